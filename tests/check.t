#!/usr/bin/python3 -B
"""lguest --check and --version: what is refused is named, each for itself.

The program runs below a seccomp filter that refuses one system call, with an
errno or by death, or below a limit.
"""
import errno
import os
import re
import resource
import subprocess
from refuse import ERRNO, KILL, refuse
from tap import done, ok, skip

B = os.environ.get('B', 'build')
LG = os.path.abspath(B + '/lguest')


def check(*words, before=None):
    return subprocess.run([LG, '--check', *words], text=True, timeout=120,
                          capture_output=True, preexec_fn=before)


def lines(p, mark):
    return [l[4:] for l in p.stdout.splitlines() if l.startswith(f'{mark:<4}')]


def lacks(name, before, line, *words):
    """One thing is missing: it has its line, and the verdict is no."""
    p = check(*words, before=before)
    found = [l for l in lines(p, 'no') if re.search(line, l)]
    ok(p.returncode == 1 and p.stderr == '' and found and
       p.stdout.endswith('lguest: no Guest can run here\n'),
       name, p.returncode, p.stdout, p.stderr)


def limit(which, much):
    return lambda: resource.setrlimit(which, (much, much))


def calls():
    """Each call in turn."""
    for call, line in ((154, 'modify_ldt'), (434, 'pidfds'),
                       (424, 'pidfds'), (319, "a file for the Guest's"),
                       (322, 'programs in memory'), (222, 'a timer'),
                       (290, 'events and sockets'), (53, 'events and')):
        lacks(f'call {call} does not exist',
              lambda: refuse(call, ERRNO | errno.ENOSYS),
              rf'^{line}.*: Function not implemented; see (?!.*forbids)')
        lacks(f'call {call} is forbidden',
              lambda: refuse(call, ERRNO | errno.EPERM),
              rf'^{line}.*: Operation not permitted; see .*, or what forbids')
    lacks('a call is punished with death', lambda: refuse(154, KILL),
          '^modify_ldt: Bad system call; see .*, or what forbids it$')
    lacks('filters are forbidden',
          lambda: refuse(157, ERRNO | errno.EINVAL, (0, 22)),
          '^seccomp filters: Invalid argument; see CONFIG_SECCOMP_FILTER$')
    lacks('low addresses are forbidden',
          lambda: refuse(9, ERRNO | errno.EPERM, (0, 0x10000)),
          '^a mapping at 0x10000: Operation not permitted; '
          'see vm.mmap_min_addr')
    lacks('there is no room for mappings',
          lambda: refuse(9, ERRNO | errno.ENOMEM, (3, 0x11)),
          '^4096 mappings: Cannot allocate memory; see vm.max_map_count$')
    lacks('files in memory may not be executed',
          lambda: refuse(319, ERRNO | errno.EACCES, (1, 0x10)),
          '^programs in memory: Permission denied; see vm.memfd_noexec')
    # Only the Host itself makes this one: nothing but the trial can tell.
    p = check(before=lambda: refuse(131, KILL))
    ok(p.returncode == 1 and lines(p, 'no') and all(
        l.startswith('a small Guest') for l in lines(p, 'no')),
       'what no line knows, the trial finds', p.stdout)


def limits():
    lacks('too few descriptors', limit(resource.RLIMIT_NOFILE, 64),
          '^descriptor 128: Invalid argument; see ulimit -n$')
    # The trial complains in pieces, and must not be cut off behind the first.
    said = {l for _ in range(100) for l in lines(
        check('8', '--host=user', before=limit(resource.RLIMIT_NOFILE, 64)),
        'no') if l.startswith('a small')}
    ok(said == {'a small Guest and a view: --host=user: a process for the '
                'Guest could not be executed; see the lines above'},
       'a complaint is heard to its end', said)
    lacks('files too small', limit(resource.RLIMIT_FSIZE, 1 << 20),
          "^a file for the Guest's memory: File size limit exceeded; "
          'see CONFIG_MEMFD_CREATE, ulimit -f$')
    p = subprocess.run([LG, '8', f'{B}/guest'], capture_output=True, text=True,
                       preexec_fn=limit(resource.RLIMIT_FSIZE, 1 << 20))
    ok(p.returncode == 1 and p.stderr == "lguest: Guest memory: a file of "
       f'{9 << 20} bytes: File too large; give the Guest less\n',
       'and a Launcher says so, too', p.returncode, p.stderr)
    lacks('address space too small', limit(resource.RLIMIT_AS, 150 << 20),
          '^address space: Cannot allocate memory; see ulimit -v$')
    p = check('8', before=limit(resource.RLIMIT_AS, 150 << 20))
    ok(p.returncode == 0, 'but large enough for 8 MiB', p.stdout)
    p = check('--tunnet=tap:none', '2047', 'vmlinuz', 'quiet')
    tun = os.path.exists('/dev/net/tun')
    ok(p.returncode == (0 if tun else 1) and p.stderr == '',
       'it goes in front of any command line', p.stdout, p.stderr)
    if os.getuid():
        one = limit(resource.RLIMIT_NPROC, 1)
    else:               # root has no limit: be somebody else
        def one():
            limit(resource.RLIMIT_NPROC, 8)()
            os.setgid(64999)
            os.setuid(64999)
    try:
        lacks('too few tasks', one, '^36 tasks: Resource temporarily '
              'unavailable; see ulimit -u, pids.max$')
    except PermissionError:
        skip('too few tasks', f'others may not read {LG}')


def optional():
    p = check(before=lambda: refuse(257, ERRNO | errno.ENOENT, (2, 0x80002)))
    ok(p.returncode == 0 and any('/dev/net/tun' in l for l in lines(p, '-')),
       'no network is no hindrance', p.stdout)
    p = check('--tunnet=10.9.8.7', before=lambda: refuse(
        257, ERRNO | errno.ENOENT, (2, 0x80002)))
    ok(p.returncode == 1 and any('/dev/net/tun' in l for l in lines(p, 'no')),
       'unless one is asked for', p.stdout)
    p = check(before=lambda: refuse(444, ERRNO | errno.ENOSYS))
    ok(p.returncode == 0 and any('Landlock: Function' in l
                                 for l in lines(p, '-')),
       'nor is no Landlock', p.stdout)


def commit():
    """--version tells the commit that the program was made from."""
    p = subprocess.run([LG, '--version'], capture_output=True, text=True)
    found = re.fullmatch(r'lguest [0-9.]+, commit (\S+) '
                         r'\(Hosts: user dev\)\n', p.stdout)
    ok(found, '--version has a commit', p.stdout)
    if os.path.exists('COMMIT') or not os.path.exists('.git'):
        skip('is it one of ours', 'no git here')
        return
    # The build may be older than the last commit.
    git = subprocess.run(['git', 'merge-base', '--is-ancestor',
                          found[1].rstrip('+') if found else '', 'HEAD'],
                         capture_output=True, text=True)
    ok(git.returncode == 0, 'it is one of ours', p.stdout, git.stderr)


def main():
    p = check()
    if p.returncode:
        print('# this machine cannot run Guests:\n# ' +
              p.stdout.replace('\n', '\n# '))
    ok(p.returncode == 0 and p.stderr == '' and not lines(p, 'no') and
       len(lines(p, 'ok')) >= 14 and
       p.stdout.endswith('lguest: this machine can run a Guest\n'),
       'where the tests run, Guests run', p)
    calls()
    limits()
    optional()
    p = check('--host=dev')
    ok(p.returncode == 1 and lines(p, '-')[0] == 'the Host dev',
       '--host=dev has no device here', p.stdout)
    p = check('--host=frob')
    ok(p.returncode == 1 and p.stderr == 'lguest: --host=frob: no such Host; '
       'lguest --version lists them\n', '--host=frob is none', p.stderr)
    p = check('64M')
    ok(p.returncode == 1 and 'not a whole number' in p.stderr,
       'a size that is none', p.stderr)
    commit()


main()
done()
