#!/usr/bin/python3 -B
# also: sanitizers
"""The teaching Guest at its console: a prompt, answers, and ways to end.

Every step waits for what the Guest says before it types the next line.
"""
import os
import select
import subprocess
import tempfile
import time
from tap import done, ok

B = os.environ.get('B', 'build')
G = os.path.dirname(B) if os.path.basename(B) == 'asan' else B
TIMEOUT = float(os.environ.get('GUEST_TIMEOUT', '20'))


class Guest:
    def __init__(self, *words, initrd=f'{G}/initrd.tar', mem='64'):
        args = [f'{B}/lguest'] + [f'--initrd={initrd}'] * bool(initrd)
        self.p = subprocess.Popen(args + [mem, f'{G}/guest', *words],
                                  stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        self.text = b''

    def until(self, what, seconds=TIMEOUT):
        """Read on until `what' comes; the text before and with it."""
        end = time.monotonic() + seconds
        fd = self.p.stdout.fileno()
        while what.encode() not in self.text:
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                return ''
            more = os.read(fd, 65536)
            if not more:
                return ''
            self.text += more
        before, _, self.text = self.text.partition(what.encode())
        return before.decode('latin-1') + what

    def type(self, line):
        try:
            self.p.stdin.write(line.encode())
            self.p.stdin.flush()
        except BrokenPipeError:
            pass

    def end(self, seconds=TIMEOUT):
        """(exit status, rest of stdout, stderr)"""
        try:
            out, err = self.p.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.p.kill()
            out, err = self.p.communicate()
            return None, out.decode('latin-1'), err.decode('latin-1')
        return (self.p.returncode, (self.text + out).decode('latin-1'),
                err.decode('latin-1'))


def conversation():
    g = Guest()
    ok(g.until('lguest# '), 'a prompt appears', g.text)
    for line, expected in (
            ('ls', 'bin/sh\n'),
            ('run hello one two', 'Hello from ring 3'),
            ('run forks', 'as I left them'),
            ('run fpu', 'no number lost'),
            ('run divide', 'killed: divide error'),
            ('run touchkernel',
             'killed: page fault at 0xc0100000 (read, user)'),
            ('ps', ' sh\n'),
            ('free', 'KiB free'),
            ('hallo\b\b\b\b\bhelp', 'switch the Guest off\n'),
            ('thrown away\x15uptime', 'up ')):
        g.type(line + '\n')
        got = g.until(expected)
        ok(got, f'{line!r} is answered', g.text)
        g.until('lguest# ')
    return g


def interrupt(g):
    g.type('run spin 60000\n')
    g.until('spin 60000\n')
    time.sleep(0.3)
    g.type('\x03')
    ok(g.until('lguest# ', 10), '^C ends a program that is busy', g.text)
    g.type('run probe mutter\n')
    ok(g.until('said in passing'), 'what a busy program has printed is sent',
       g.text)
    time.sleep(0.3)             # the shell, too, must have come to wait
    g.type('\x03')
    g.until('lguest# ', 10)
    g.type('run spin 2000 &\n')
    g.until('lguest# ')
    g.type('run hello\n')
    got = g.until('Hello from ring 3', 1.5)
    ok(got, 'a busy program in the background is preempted', g.text)
    g.until('lguest# ')


def memory_returns(g):
    def free():
        g.type('free\n')
        line = g.until('KiB free')
        return line.split(',')[-1] if line else None
    before = free()
    for _ in range(3):
        g.until('lguest# ')
        g.type('run forks\n')
        g.until('as I left them')
    g.until('lguest# ')
    after = free()
    ok(before and before == after, 'programs give all their memory back',
       before, after)
    g.until('lguest# ')


def pasted(g):
    g.type('cat motd\n' * 300)
    first = g.until('lguest# ')
    good = bool(first)
    for _ in range(299):
        good = good and g.until('lguest# ')[-60:] == first[-60:]
    ok(good, '300 lines pasted at once: none is lost', g.text)


def interrupt_beside_an_orphan():
    g = Guest()
    g.until('lguest# ')
    g.type('run probe orphan\n')
    g.until('lguest# ')
    g.type('run spin 60000\n')
    g.until('spin 60000\n')
    time.sleep(0.3)
    g.type('\x03')
    ok(g.until('lguest# ', 10), '^C finds the program the shell waits for, '
       'not an orphan', g.text)
    g.type('halt\n')
    g.end()


def ways_to_end(g):
    g.type('reboot\n')
    ok(g.until('lguest# '), 'reboot brings a new prompt', g.text)
    g.type('halt\n')
    ok(g.end()[0] == 0, 'halt exits 0')
    for mem in ('64', '800'):   # a kernel's crash must not hit a page of it
        g = Guest(mem=mem)
        g.until('lguest# ')
        g.type('crash\n')
        code, out, err = g.end()
        ok(code == 1, f'crash exits 1, with {mem} MiB', code)
        ok('kernel panic: page fault at 0xffb00000 (write, kernel) eip 0x'
           in err and 'esp 0x' in err.replace('esp c', 'esp 0xc'),
           'its reason names trap, address and registers', err)
    g = Guest()
    g.until('lguest# ')
    g.type('cat motd\ncrash\n')
    code, out, err = g.end()
    ok(code == 1 and 'panic' in err and out.count('lguest# ') == 1,
       'and what was printed just before it is seen', out, err)
    code, out, err = Guest('init=/bin/hello', 'there').end()
    ok(code == 0 and 'there' in out, 'a first program that ends well', out)
    code, out, err = Guest('init=/bin/divide').end()
    ok(code == 1 and '/bin/divide ended with status 0x8' in err,
       'a first program that is killed', code, err)
    code, out, err = Guest('init=/bin/nothing').end()
    ok(code == 1 and 'cannot start /bin/nothing: error 2' in err,
       'a first program that is not there', code, err)
    code, out, err = Guest(initrd=False).end()
    ok(code == 1 and 'cannot start /bin/sh' in err, 'no ramdisk', code, err)


def sizes():
    for mem in ('8', '800', '1500'):
        code, out, err = Guest('init=/bin/hello', mem=mem).end()
        ok(code == 0 and 'Hello' in out, f'{mem} MiB of memory', code, err)
    with tempfile.NamedTemporaryFile() as big:
        with open(f'{G}/initrd.tar', 'rb') as f:
            big.write(f.read())
        big.truncate(241 << 20)
        code, out, err = Guest('init=/bin/hello', initrd=big.name,
                               mem='300').end()
        ok(code == 1 and 'larger than 240 MiB' in err,
           'a ramdisk that does not fit into its window', code, err)
    for mem in ('2', '3', '4', '7'):
        code, out, err = Guest('init=/bin/hello', mem=mem).end()
        ok(code == 1 and 'needs at least 8 MiB' in err,
           f'{mem} MiB are too few', code, err)


g = conversation()
interrupt(g)
interrupt_beside_an_orphan()
memory_returns(g)
pasted(g)
ways_to_end(g)
sizes()
done()
