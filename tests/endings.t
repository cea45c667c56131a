#!/usr/bin/python3 -B
# also: sanitizers
"""How the run loop ends and begins again, with a Host that runs nothing."""
import glob, os, re, shutil, struct, subprocess, tempfile
from tap import done, ok

B = os.environ.get('B', 'build')
ASAN = os.path.basename(B) == 'asan'
T = os.path.join(os.path.dirname(B) if ASAN else B, 't')
CC = os.environ.get('CC', 'gcc').split()
TMP = tempfile.mkdtemp(prefix='lguest-endings.')
LG = TMP + '/lguest'


def kernel():
    path = TMP + '/kernel'
    with open(path, 'wb') as f:
        f.write(b'\x7fELF\1\1\1' + bytes(9) + struct.pack(
            '<HHIIIIIHHHHHH8I', 2, 3, 1, 0x100000, 52, 0, 0, 52, 32, 1, 0, 0,
            0, 1, 0, 0x100000, 0x100000, 84, 84, 5, 4096))
    return path


def run(ending, *options, name=LG, **more):
    return subprocess.run([name, *options, '4', TMP + '/kernel', 'a', 'b'],
                          executable=LG, env=dict(os.environ, ENDING=ending),
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=120, **more)


def left():
    """Processes that still run our program."""
    found = []
    for path in glob.glob('/proc/[0-9]*/exe'):
        try:
            if os.readlink(path).startswith(LG):
                found.append(path)
        except OSError:
            pass
    return found


def main():
    flags = ['-O1', '-g', '-std=gnu11', '-Wall', '-Wextra', '-I' + T]
    if ASAN:
        flags += ['-fsanitize=address,undefined',
                  '-fno-sanitize-recover=all']
    subprocess.run(CC + flags + ['tests/endings_test.c', T + '/host/dev.c',
                                T + '/host/check.c'] +
                   glob.glob(T + '/launcher/*.c') + ['-o', LG], check=True)
    kernel()
    p = run('p')
    ok(p.returncode == 0 and p.stderr == '', 'powered off: status 0, not a '
       'word', p)
    ok(p.stdout.endswith('closed, no child left\n'),
       'powered off: Waker and Host are gone', p.stdout)
    p = run('d')
    ok(p.returncode == 1 and
       p.stderr == 'lguest: the Guest died: Power down?\n',
       'died: status 1, one line', p)
    ok(p.stdout.endswith('closed, no child left\n'),
       'died: Waker and Host are gone', p.stdout)
    p = run('nnap')
    ok(re.sub(r'(?s).*?run: n', 'run: n', p.stdout, count=1) ==
       'run: n\nrun: n\nrun: a\nreleased\nrun: p\n'
       'released\nclosed, no child left\n',
       'notify and run on; again, release and run on', p.stdout)
    reboots()
    ok(not left(), 'nothing is left behind', left())


def reboots():
    spare = os.open('/dev/null', os.O_RDONLY)
    fds = [os.dup(spare) for n in range(5)]
    high = 3000 if ulimit() > 3000 else 900
    os.dup2(spare, high)
    p = run('rp', '--verbose', pass_fds=fds + [high])
    generations = p.stdout.split('pid ')[1:]
    ok(p.returncode == 0 and len(generations) == 2, 'reboot, then off', p)
    a, b = [g.split('\n') for g in generations] \
        if len(generations) == 2 else (['?'] * 3, ['??'] * 3)
    ok(a[0] == b[0], 'the process number stays', a[0], b[0])
    n, m = int(a[1].split()[0]), int(b[1].split()[0])
    ok(n - m == 6, 'inherited descriptors are closed, also high ones',
       f'{n} descriptors, then {m}')
    ok(b[1].endswith(', no child'), 'no child comes along', b[1])
    ok(a[2] == b[2], 'the same kernel, the same memory', a[2], b[2])
    ok(p.stderr.count('command line "a b"') == 2 and
       p.stderr.count('wants to be restarted') == 1, 'the same arguments',
       p.stderr)
    p = run('rp', name='no-such-program')
    ok(p.returncode == 0 and p.stdout.count('pid ') == 2,
       'whatever its name is', p)
    p = run('r' * 100 + 'd')
    first, *rest = re.findall(r'.*descriptors, .*', p.stdout)
    ok(p.returncode == 1 and len(rest) == 100 and set(rest) == {first},
       '100 reboots, always the same descriptors', p.stderr, set(rest))


def ulimit():
    import resource
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


try:
    main()
finally:
    shutil.rmtree(TMP)
done()
