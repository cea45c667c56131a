#!/usr/bin/python3 -B
"""The Guest's user programs, run on the host: they are Linux programs, too.
"""
import os
import resource
import signal
import subprocess
import sys
from tap import done, ok

B = os.environ.get('B', 'build')


def run(*words, typed=''):
    return subprocess.run([f'{B}/user/{words[0]}', *words[1:]], input=typed,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace', timeout=60)


def ends(words, status, text=''):
    """The program must end so, and print at least that."""
    p = run(*words)
    ok(p.returncode == status and text in p.stdout, ' '.join(words),
       p.returncode, p.stdout)


def shell():
    hello = f'{B}/user/hello'
    p = run('sh', typed=f'help\nfrobnicate\ncat /no/such\nrun\nrun nobody\n'
            f'run {hello} a  b\t c\nrun {B}/user/divide\n'
            f'run {hello} behind &\n\n   \ncat\n')
    ok(p.returncode == 0, 'the shell ends with its input', p.returncode)
    for line in ('frobnicate: unknown command; help lists them, '
                 'run starts programs',
                 'cat: /no/such: no such file',
                 'run: which program?',
                 'run: /bin/nobody: no such file',
                 ': a b c\n',
                 'divide: killed: arithmetic error',
                 ': behind',            # the prompt may come before its end
                 'cat: which file?'):
        ok(line in p.stdout, f'the shell says: {line.strip()}', p.stdout)
    for command in ('help', 'ls', 'cat', 'run', 'ps', 'free', 'uptime',
                    'crash', 'reboot', 'halt'):
        ok(f'\n{command} ' in p.stdout.replace('lguest# ', '\n'),
           f'help knows {command}')
    p = run('sh', typed='halt\nreboot\ncrash\n')
    for command in ('halt', 'reboot', 'crash'):
        ok(f'{command}: the machine: ' in p.stdout,
           f'{command} leaves the host alone', p.stdout)
    p = run('sh', typed='x' * 500 + '\nfrobnicate\n')
    ok('frobnicate: unknown' in p.stdout, 'a line too long does no harm',
       p.stdout)


resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
try:
    run('true')
except OSError as e:
    print(f'1..0 # skip 32-bit programs do not run here: {e.strerror}')
    sys.exit(0)
ends(['true'], 0)
ends(['hello', 'a', 'b'], 0, ': a b\n')
ends(['primes', '100'], 0, '25 primes below 100\n')
ends(['forks'], 0, 'parent: my 32 pages are as I left them')
ends(['fpu'], 0, 'no number lost')
ends(['divide'], -signal.SIGFPE, 'dividing seven by zero')
for misdeed in ('read', 'write', 'jump', 'top', 'hypercall', 'cli', 'port',
                'null'):
    ends(['touchkernel', misdeed], -signal.SIGSEGV, 'touchkernel: ')
ends(['touchkernel', 'nothing'], 2, 'no misdeed is called nothing')
for probe in ('wait', 'many', 'heap', 'stack'):
    ends(['probe', probe], 0)
ends(['probe', 'args', 'one'], 0)
ends(['probe', 'args'], 1, 'the number of arguments is wrong')
ends(['probe', 'seven'], 7)
ends(['probe'], 2)
shell()
done()
