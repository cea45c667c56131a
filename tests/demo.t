#!/usr/bin/python3 -B
"""make demo: the scripted session, the interactive one, and that it can fail.
"""
import os
import pty
import select
import subprocess
import tempfile
import time
from tap import done, ok

B = os.environ.get('B', 'build')


def demo(**environment):
    return subprocess.run(['tests/demo'], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=120, text=True, errors='replace',
                          env=dict(os.environ, **environment))


def scripted():
    p = demo(B=B)
    ok(p.returncode == 0, 'the scripted session exits 0', p.stdout)
    ok('steps answered as they should' in p.stdout, 'and says so')
    ok('lguest# run touchkernel' in p.stdout, 'and prints the session')


def pretender(text):
    """A directory with a Launcher in it that is only a shell script."""
    d = tempfile.mkdtemp()
    with open(d + '/lguest', 'w') as f:
        f.write('#!/bin/sh\n' + text + '\n')
    os.chmod(d + '/lguest', 0o755)
    return d


def can_fail():
    yes_man = 'while :; do printf "lguest# "; read line || exit 0; ' \
        'case "$line" in halt) exit 0;; esac; echo Yes.; done'
    p = demo(B=pretender(yes_man))
    ok(p.returncode != 0 and 'not the answer' in p.stdout,
       'wrong answers are noticed', p.stdout)
    p = demo(B=pretender('exit 0'))
    ok(p.returncode != 0, 'a Guest that ends at once is noticed', p.stdout)
    p = demo(B=pretender('exec sleep 100'), DEMO_LIMIT='1')
    ok(p.returncode != 0 and 'no answer' in p.stdout,
       'a Guest that hangs is noticed', p.stdout)


def read_until(fd, what, text=b''):
    end = time.monotonic() + 30
    while what not in text and time.monotonic() < end:
        if select.select([fd], [], [], 0.5)[0]:
            try:
                text += os.read(fd, 4096)
            except OSError:             # the other side is gone
                break
    return text


def interactive():
    pid, fd = pty.fork()
    if pid == 0:
        os.execve('tests/demo', ['demo'], dict(os.environ, B=B))
    text = read_until(fd, b'lguest# ')
    ok(b'halt ends it' in text, 'on a terminal there is a hint', text)
    ok(text.endswith(b'lguest# '), 'and a prompt', text)
    os.write(fd, b'run hello you\r')
    text = read_until(fd, b'lguest# ')
    ok(b'Hello from ring 3' in text, 'what is typed is obeyed', text)
    os.write(fd, b'halt\r')
    read_until(fd, b'\0')               # to the end
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    ok(status == 0, 'halt ends it with status 0', status)


scripted()
can_fail()
interactive()
done()
