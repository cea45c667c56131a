#!/usr/bin/python3 -B
# also: sanitizers
"""The command line: every complaint, word by word."""
import os, re, subprocess, tempfile
from tap import done, ok

B = os.environ.get('B', 'build')
LG = B + '/lguest'
USAGE = 'write lguest [options] <mem-in-mb> <kernel> [kernel args...]'


def run(*args, **more):
    return subprocess.run([LG, *args], stdin=subprocess.DEVNULL, timeout=60,
                          capture_output=True, text=True, **more)


def bad(args, line):
    p = run(*args)
    ok(p.returncode == 1 and p.stdout == '' and p.stderr == f'lguest: {line}\n',
       ' '.join(['lguest', *args])[:60], f'status {p.returncode}',
       f'got  {p.stderr!r}', f'want {"lguest: " + line!r}', p.stdout)


def main():
    bad([], f'command line: no memory size and no kernel; {USAGE}')
    bad(['--'], f'command line: no memory size and no kernel; {USAGE}')
    bad(['--verbose'], f'command line: no memory size and no kernel; {USAGE}')
    bad(['64'], f'command line: no kernel after 64; {USAGE}')
    bad(['--', '64'], f'command line: no kernel after 64; {USAGE}')
    for word in ('--verb', '--initr=x', '--frob', '-v', '-', '-64', '---',
                 '--Verbose', '--verbosely', '--=', '-h'):
        bad([word, '64', 'k'],
            f'{word}: unknown option; lguest --help lists them')
    bad(['--frob=1', '64', 'k'],
        '--frob=1: unknown option; lguest --help lists them')
    bad(['--verbose=1', '64', 'k'],
        '--verbose=1: takes no value; write --verbose')
    bad(['--help='], '--help=: takes no value; write --help')
    bad(['--initrd', '64', 'k'], '--initrd: no value; write --initrd=FILE')
    bad(['--initrd=', '64', 'k'], '--initrd=: no value; write --initrd=FILE')
    bad(['--gates', '64', 'k'], '--gates: no value; write --gates=on|off')
    for word in ('1', 'ON', 'of', 'onoff', 'off '):
        bad([f'--gates={word}', '64', 'k'],
            f'--gates={word}: neither on nor off')
    bad(['--gates=off', '64', '/nonexistent'],
        'kernel /nonexistent: cannot open: No such file or directory')
    bad(['--host', 'user', '64', 'k'], '--host: no value; write --host=HOST')
    for word in ('64M', 'x', '', ' 64', '+64', '6 4', '0x40', '64.0', '1e3',
                 '６４'):
        bad([word, 'k'], f'memory size {word}: not a whole number; write '
            'MiB, from 1 to 2047')
    for word in ('0', '00', '2048', '4096', '4294967297',
                 '18446744073709551617', '9' * 60):
        bad([word, 'k'], f'memory size {word}: out of range; write MiB, '
            'from 1 to 2047')
    bad(['--', '-64', 'k'], 'memory size -64: not a whole number; write '
        'MiB, from 1 to 2047')
    bad(['--host=frob', '64', 'k'], '--host=frob: no such Host; use auto or '
        'one of: user dev')
    bad(['--host=dev', '64', '/nonexistent'],
        'kernel /nonexistent: cannot open: No such file or directory')
    bad(['0000064', '/nonexistent', '--frob', '--initrd=x'],
        'kernel /nonexistent: cannot open: No such file or directory')
    bad(['--initrd=a', '--initrd=b', '64', '/nonexistent'],
        'kernel /nonexistent: cannot open: No such file or directory')
    good()
    devices()
    closed()


def good():
    p = run('--help')
    ok(p.returncode == 0 and p.stderr == '' and
       p.stdout.startswith(f'usage: {USAGE[6:]}\n') and
       all(o in p.stdout for o in ('--initrd=FILE', '--host=HOST', '--help', '--gates=on|off',
                                   '--verbose', '--version')) and
       max(map(len, p.stdout.splitlines())) < 80,
       '--help lists every option', p)
    p = run('--version')
    ok(p.returncode == 0 and p.stderr == '' and re.fullmatch(
        r'lguest [0-9.]+, commit \S+ \(Hosts: user dev\)\n', p.stdout), '--version', p)
    p = run('--verbose', '--host=dev', '--sandbox=off', '1', '/nonexistent')
    ok(re.sub('lguest: sandbox: none.*\n', '', p.stderr) ==
       'lguest: the Host is dev\nlguest: kernel /nonexistent: '
       'cannot open: No such file or directory\n', '--verbose', p)


def devices():
    """--host=dev:PATH opens another path; what can be wrong with it?"""
    kernel = tempfile.NamedTemporaryFile(prefix='lguest-options.')
    kernel.write(b'\x7fELF\1\1\1' + bytes(9) + bytes.fromhex(
        '0200 0300 01000000 00001000 34000000 00000000 00000000 3400 2000'
        '0100 0000 0000 0000   01000000 00000000 00001000 00001000 54000000'
        '54000000 05000000 00100000'))
    kernel.flush()
    bad(['--host=dev:/nonexistent', '4', kernel.name],
        '--host=dev: cannot open /nonexistent: No such file or directory; '
        'Linux 2.6.23 to 4.13 had it (module lg): use --host=user')
    bad(['--host=dev:/etc', '4', kernel.name],
        '--host=dev: cannot open /etc: Is a directory; may you use it?')
    bad(['--host=dev:/dev/full', '4', kernel.name],
        '/dev/full: cannot begin a Guest: No space left on device; is this '
        'an lguest device?')
    bad(['--host=dev:/dev/null', '4', kernel.name],
        '/dev/null: answered with 0 bytes where a word was due; is this an '
        'lguest device?')


def unheard():
    """What is printed for nobody is an error, if it is all there was to do."""
    for word in '--help', '--version', '--check':
        with open('/dev/full', 'w') as full:
            p = subprocess.run([LG, word], stdout=full, timeout=120,
                               stderr=subprocess.PIPE, text=True)
        ok(p.returncode == 1 and p.stderr == 'lguest: standard output: cannot '
           'write; make room, or send it elsewhere: No space left on device\n',
           f'{word} on a full disk', p.returncode, p.stderr)


def closed():
    """Started without descriptors 0 to 2, nothing else takes their place."""
    p = subprocess.run(['sh', '-c', f'exec "$0" --verbose 64 /nonexistent '
                        '<&- >&- 2>&-', LG], timeout=60)
    ok(p.returncode == 1, 'without descriptors 0, 1 and 2', p)


main()
unheard()
done()
