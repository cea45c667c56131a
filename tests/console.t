#!/usr/bin/python3 -B
# also: sanitizers
"""The console, driven through a pseudo-terminal as a person would."""
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import time
from tap import done, ok

B = os.environ.get('B', 'build')
ASAN = B.endswith('/asan')
TOP = B[:-5] if ASAN else B
T = TOP + '/t'
CC = os.environ.get('CC', 'gcc').split()
FLAGS = ['-O2', '-g', '-std=gnu11', '-Wall', '-Wextra', '-I' + T, '-I.']
SANITIZE = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all']
FILES = ['tests/console_test.c'] + [
    f'{T}/launcher/{f}.c' for f in ('console', 'waker', 'device', 'virtqueue')]


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, *args, ready=True):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.out = b''

        def own():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.p = subprocess.Popen(args, stdin=self.slave, stdout=self.slave,
                                  stderr=subprocess.PIPE, preexec_fn=own)
        if ready:
            self.p.stderr.readline()    # "ready"

    def type(self, text):
        while text:
            text = text[os.write(self.master, text[:200]):]

    def sees(self, text, limit=5):
        """Reads the screen until text is on it."""
        end = time.monotonic() + limit
        while text not in self.out:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                return False
            self.out += os.read(self.master, 4096)
        return True

    def quiet(self, seconds):
        time.sleep(seconds)
        while select.select([self.master], [], [], 0)[0]:
            self.out += os.read(self.master, 4096)

    def modes(self):
        return termios.tcgetattr(self.slave)

    def wait(self, limit=5):
        try:
            return self.p.wait(limit)
        except subprocess.TimeoutExpired:
            self.p.kill()
            return 'still running'

    def restored(self):
        return self.modes() == self.before

    def close(self):
        self.p.kill()
        self.p.wait()
        self.p.stderr.close()
        os.close(self.master)
        os.close(self.slave)


def typing(program):
    t = Terminal(program, 'echo', '4', '10')
    m = t.modes()
    ok(not m[3] & (termios.ICANON | termios.ECHO | termios.ISIG) and
       not m[0] & termios.IXON, 'the terminal is raw')
    ok(m[1] == t.before[1], 'but output is as before')
    t.type(b'hello')
    ok(t.sees(b'hello'), 'a word comes back', t.out)
    t.type(b'\x1a\x11\x13\x1c\x16\x04')
    ok(t.sees(b'\x1a\x11\x13\x1c\x16\x04'),
       'control characters are the Guest\'s', t.out)
    t.out = b''
    text = b''.join(b'%04d,' % i for i in range(2000))
    for i in range(0, len(text), 500):      # a paste; the screen is read too
        t.type(text[i:i + 500])
        t.quiet(0.01)
    ok(t.sees(text), 'a paste of 10,000 bytes, in order', t.out[:100])
    t.type(b'Q')
    ok(t.wait() == 0 and t.restored(), 'the end: the terminal is restored')
    t.close()


def endings(program):
    t = Terminal(program, 'echo', '4', '10')
    t.type(b'E')
    status = t.wait()
    line = t.p.stderr.read()
    ok(status == 1 and t.restored() and line == b'console_test: as you wish\n',
       'an error: the terminal is restored', status, line)
    t.close()
    for name in ('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGPIPE',
                 'SIGUSR2', 'SIGALRM', 'SIGXCPU'):
        t = Terminal(program, 'echo', '4', '10')
        sig = getattr(signal, name)
        raw = not t.restored()
        t.p.send_signal(sig)
        status = t.wait()
        ok(raw and status == -sig and t.restored(),
           f'{name}: the terminal is restored', status)
        t.close()


def leaving(program):
    t = Terminal(program, 'echo', '4', '10')
    for _ in range(4):
        t.type(b'\x03')
        t.quiet(0.6)
    ok(t.p.poll() is None and t.sees(b'\x03\x03\x03\x03'),
       '^C at leisure goes to the Guest', t.out)
    t.quiet(1.1)
    t.type(b'\x03')
    t.quiet(0.2)
    t.type(b'\x03')
    t.quiet(0.2)
    two = t.p.poll() is None
    t.type(b'\x03')
    status = t.wait()
    ok(two and status == 2 and t.restored(),
       'three within a second: status 2, terminal restored', status)
    t.close()
    t = Terminal(program, 'hang')
    t.type(b'anybody there?')
    t.quiet(0.2)
    t.type(b'\x03\x03\x03')
    status = t.wait()
    ok(status == 2 and t.restored(), 'also when the Guest hangs', status)
    t.close()


def pressure(program):
    t = Terminal(program, 'hang')
    text = b''.join(b'%03d,' % i for i in range(500))
    t.type(text)
    t.quiet(0.5)
    ok(t.out == b'', '2000 bytes for a Guest without buffers wait', t.out)
    ok(idle(t.p.pid), 'and cost no time meanwhile')
    t.p.send_signal(signal.SIGUSR1)
    ok(t.sees(text), 'and come, in order, when it has some', t.out)
    t.type(b'more')
    ok(t.sees(b'more'), 'and so does what follows')
    t.close()


def window(program):
    def resize(t, columns, rows):
        fcntl.ioctl(t.master, termios.TIOCSWINSZ,
                    struct.pack('HHHH', rows, columns, 0, 0))
    t = Terminal(program, 'echo', '4', '10')
    t.type(b'S')
    ok(t.sees(b'[0 x 0]'), 'a window of unknown size', t.out)
    for columns, rows in (80, 24), (200, 60), (1, 65535):
        resize(t, columns, rows)
        time.sleep(0.1)
        t.type(b'S')
        ok(t.sees(b'[%d x %d]' % (columns, rows)),
           f'{columns} columns, {rows} rows', t.out)
    t.close()


def slow(program):
    """Nobody reads what the Guest prints."""
    t = Terminal(program, 'flood', '100000000')
    time.sleep(0.5)
    ok(t.p.poll() is None and idle(t.p.pid),
       'nobody reads the terminal: it waits, and idles')
    t.type(b'\x03')
    time.sleep(1.5)
    one = t.p.poll() is None
    t.type(b'\x03\x03\x03')
    status = t.wait()
    ok(one and status == 2 and t.restored(), 'and three ^C end it', status)
    t.close()
    t = Terminal(program, 'flood', '50000')
    time.sleep(0.5)
    t.type(b'not for the Guest')
    waited = t.p.poll() is None
    text = b''.join(bytes([97 + i % 26]) * 1000 for i in range(50))
    t.sees(text)
    ok(waited and t.wait() == 0 and t.out == text,
       'a late reader finds all of it', waited, len(t.out))
    t.close()


def slow_pipes(program):
    text = b''.join(bytes([97 + i % 26]) * 1000 for i in range(300))
    for name, pair in (('a pipe', os.pipe), ('a socket', sockets)):
        r, w = pair()
        p = subprocess.Popen([program, 'flood', '300000'], stdout=w,
                             stdin=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
        p.stderr.readline()
        time.sleep(0.3)
        blocked = p.poll() is None and idle(p.pid)
        ours = os.get_blocking(w)
        os.close(w)
        with open(r, 'rb') as f:
            got = f.read()
        status = p.wait(10)
        ok(blocked and ours and status == 0 and got == text,
           f'{name} with a late reader: all comes, and it is left blocking',
           blocked, ours, status, len(got))
        p.stderr.close()


def reset(program):
    p = subprocess.Popen([program, 'reset'], stdout=subprocess.PIPE,
                         stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    p.stderr.readline()
    time.sleep(0.2)
    got = p.communicate(timeout=20)[0]
    ok(p.returncode == 0 and got.strip(b'a') == b'fter'
       and 0 < len(got) < 0x40000,
       'a reset half way: what was not written is forgotten',
       p.returncode, len(got), got[-20:])


def sockets():
    a, b = socket.socketpair()
    return a.detach(), b.detach()


def ticks(pid):
    with open(f'/proc/{pid}/stat') as f:
        fields = f.read().rpartition(')')[2].split()
    return int(fields[11]) + int(fields[12])


def idle(pid):
    """Do the program and its Waker use (nearly) no time?"""
    with open(f'/proc/{pid}/task/{pid}/children') as f:
        pids = [pid] + [int(c) for c in f.read().split()]
    before = sum(map(ticks, pids))
    time.sleep(0.5)
    return len(pids) == 2 and sum(map(ticks, pids)) - before <= 5


def inputs(program, d):
    def run(stdin, *args, **kw):
        return subprocess.run([program, *args], stdin=stdin, timeout=20,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              **kw)
    with open(f'{d}/file', 'wb') as f:
        f.write(b'x' * 5000 + b'Q')
    with open(f'{d}/file', 'rb') as f:
        r = run(f, 'echo', '2', '10')
    ok(r.returncode == 0 and r.stdout == b'x' * 5000 + b'Q', 'from a file',
       r)
    r = subprocess.run([program, 'echo', '1', '1'], input=b'by pipe Q',
                       timeout=20, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    ok(r.returncode == 0 and r.stdout == b'by pipe Q', 'from a pipe', r)
    r = subprocess.run([program, 'echo', '4', '100'], input=b'\3\3\3\3\3Q',
                       timeout=20, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    ok(r.returncode == 0 and r.stdout == b'\3\3\3\3\3Q',
       '^C in a pipe is data', r)
    for name, redirect in ('/dev/null', '< /dev/null'), ('nothing', '<&-'):
        p = subprocess.Popen(['sh', '-c', f'exec "$0" echo 2 10 {redirect}',
                              program], stderr=subprocess.PIPE)
        p.stderr.readline()
        time.sleep(0.2)
        ok(p.poll() is None and idle(p.pid),
           f'from {name}: it runs, and idles', p.poll())
        p.kill()
        p.wait()
        p.stderr.close()


def outputs(program, d):
    r, w = os.pipe()
    os.set_blocking(w, False)
    p = subprocess.Popen([program, 'flood', '1000000'], stdout=w,
                         stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(w)
    got = b''
    while True:
        part = os.read(r, 65536)
        if not part:
            break
        got += part
        time.sleep(0.002)
    os.close(r)
    expected = b''.join(bytes([97 + i % 26]) * 1000 for i in range(1000))
    ok(p.wait() == 0 and got == expected,
       'a megabyte through a slow, non-blocking pipe', len(got))
    with open('/dev/full', 'wb') as f:
        r = subprocess.run([program, 'flood', '1000'], stdout=f,
                           stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    ok(r.returncode == 1 and
       b'console: writing to standard output: No space left' in r.stderr,
       'a disk that is full', r)


def lies(program):
    r = subprocess.run([program, 'lie', '1'], stdin=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, timeout=20)
    ok(r.returncode == 1 and b'console: transmit: a buffer to transmit is '
       b'marked to be written' in r.stderr, 'a writable transmit buffer', r)
    r = subprocess.run([program, 'lie', '2'], input=b'x',
                       stderr=subprocess.PIPE, timeout=20)
    ok(r.returncode == 1 and b'console: receive: a buffer to receive into is '
       b'marked to be read' in r.stderr, 'a readable receive buffer', r)


def real():
    """The real Launcher and the teaching Guest."""
    lguest = (f'{B}/lguest', f'--initrd={TOP}/initrd.tar', '64',
              f'{TOP}/guest')
    if not all(map(os.path.exists, (lguest[0], lguest[3]))):
        return ok(True, f'the real Guest # skip {lguest[0]} is not built')
    t = Terminal(*lguest, ready=False)
    ok(t.sees(b'# ', 20), 'the Guest boots to a prompt', t.out)
    t.type(b'help\n')
    ok(t.sees(b'help\r\n') and
       t.sees(b'switch the Guest off\r\nlguest# '),
       'what is typed is echoed by the Guest, and answered', t.out)
    for n in 1, 2:
        t.out = b''
        t.type(b'reboot\n')
        ok(t.sees(b'# ', 20), f'a prompt after reboot {n}', t.out)
    t.type(b'halt\n')
    status = t.wait(10)
    ok(status == 0 and t.restored(), 'halt: status 0, terminal restored',
       status)
    t.close()
    t = Terminal(*lguest, ready=False)
    t.sees(b'# ', 20)
    t.type(b'run spin\n')
    t.quiet(0.5)
    t.type(b'\x03\x03\x03')
    status = t.wait(10)
    ok(status == 2 and t.restored(), 'three ^C while it spins: status 2',
       status)
    t.close()
    t = Terminal(*lguest, ready=False)
    t.sees(b'# ', 20)
    t.type(b'run charspeed 100000\n')   # kibibytes
    time.sleep(1)
    t.type(b'\x03\x03\x03')
    status = t.wait(10)
    ok(status == 2 and t.restored(),
       'three ^C while nobody reads what it prints: status 2', status)
    t.close()
    for name in 'SIGTERM', 'SIGUSR1':
        sig = getattr(signal, name)
        t = Terminal(*lguest, ready=False)
        t.sees(b'# ', 20)
        raw = not t.restored()
        t.p.send_signal(sig)
        status = t.wait(10)
        ok(raw and status == -sig and t.restored(),
           f'{name}: terminal restored', status)
        t.close()


def real_inputs(d):
    """The real Launcher, with whatever for a standard input."""
    lguest = [f'{B}/lguest', f'--initrd={TOP}/initrd.tar', '64',
              f'{TOP}/guest']
    if not all(map(os.path.exists, (lguest[0], lguest[3]))):
        return ok(True, f'standard inputs # skip {lguest[0]} is not built')
    with open(f'{d}/typed', 'w') as f:
        f.write('cat motd\n' * 100 + 'halt\n')
    for name, redirect, words in (
            ('a file', f'< {d}/typed', []), ('a pipe', f'< {d}/typed cat |', []),
            ('/dev/null', '< /dev/null', ['init=/bin/hello', 'there']),
            ('nothing', '<&-', ['init=/bin/hello', 'there'])):
        before, after = ((redirect, '') if redirect.endswith('|')
                         else ('', redirect))
        r = subprocess.run(['sh', '-c', f'{before} "$0" "$@" {after}',
                            *lguest, *words], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=60)
        good = (b': there' in r.stdout if words else
                r.stdout.count(b'lguest# ') == 101)
        ok(r.returncode == 0 and good and not r.stderr,
           f'a Guest with {name} for a keyboard', r.returncode,
           r.stdout[-200:], r.stderr)


def main():
    with tempfile.TemporaryDirectory() as d:
        program = f'{d}/console_test'
        r = subprocess.run(CC + FLAGS + (SANITIZE if ASAN else []) +
                           ['-o', program] + FILES)
        if not ok(r.returncode == 0, 'it compiles'):
            return
        typing(program)
        endings(program)
        leaving(program)
        pressure(program)
        window(program)
        slow(program)
        slow_pipes(program)
        reset(program)
        inputs(program, d)
        outputs(program, d)
        lies(program)
        real()
        real_inputs(d)
    done()


main()
