#!/usr/bin/python3 -B
# also: sanitizers
"""The user-mode Host from outside: its processes are confined, hold nothing
they should not, cost nothing when idle, and are gone when they should be."""
import glob
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from tap import done, ok, skip

B = os.environ.get('B', 'build')
BASE = B[:-5] if B.endswith('/asan') else B
GUEST = [f'--initrd={BASE}/initrd.tar', '64', f'{BASE}/guest']
running = []


class Launcher:
    """A Launcher on a terminal of its own."""

    def __init__(self, *extra, prefix=(), **kw):
        self.master, slave = pty.openpty()
        self.p = subprocess.Popen(
            [*prefix, f'{B}/lguest', *extra, *GUEST], stdin=slave,
            stdout=slave, stderr=slave, start_new_session=True, **kw)
        os.close(slave)
        running.append(self.p)
        self.seen = ''
        self.expect(r'lguest# ')

    def expect(self, pattern, limit=30):
        end = time.time() + limit
        while not (found := re.search(pattern, self.seen)):
            left = end - time.time()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise TimeoutError(f'{pattern!r} not in {self.seen!r}')
            try:
                data = os.read(self.master, 4096)
            except OSError:
                data = b''
            if not data:
                raise EOFError(f'{pattern!r} not in {self.seen!r}')
            self.seen += data.decode('latin1')
        self.seen = self.seen[found.end():]
        return found

    def type(self, line):
        os.write(self.master, line.encode() + b'\n')

    def say(self, line, pattern, limit=30):
        self.type(line)
        return self.expect(pattern, limit)

    def children(self):
        """The Host process first, then the views; not the Waker."""
        with open(f'/proc/{self.p.pid}/task/{self.p.pid}/children') as f:
            pids = [int(n) for n in f.read().split()]
        return [n for n in pids if 'memfd:lguest-' in exe(n)]

    def tasks(self):
        return [t for n in self.children()
                for t in glob.glob(f'/proc/{n}/task/*')]

    def end(self, limit=20):
        out = self.seen
        end = time.time() + limit
        while time.time() < end:
            try:
                data = os.read(self.master, 4096)
            except OSError:
                break
            if not data:
                break
            out += data.decode('latin1')
        os.close(self.master)
        return self.p.wait(limit), out


def exe(pid):
    try:
        return os.readlink(f'/proc/{pid}/exe')
    except OSError:
        return ''


def alive(pid):
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def all_gone(pids, limit=5):
    end = time.time() + limit
    while time.time() < end:
        if not any(alive(p) for p in pids):
            return True
        time.sleep(.02)
    return False


def status(task, field):
    try:
        with open(task + '/status') as f:
            return re.search(rf'^{field}:\s*(\S+)', f.read(), re.M)[1]
    except (OSError, TypeError):
        return 'gone'


def bare(m):
    """Tasks with no filter; a mapper is given a moment to put on its own."""
    for _ in range(100):
        tasks = [t for t in m.tasks() if status(t, 'Seccomp') == '0']
        if not tasks:
            break
        time.sleep(.02)
    return tasks


def ticks(pids):
    total = 0
    for p in pids:
        with open(f'/proc/{p}/stat') as f:
            total += sum(map(int, f.read().rpartition(')')[2].split()[11:13]))
    return total


def confined():
    with open('/etc/passwd') as extra:
        os.dup2(extra.fileno(), 57)
        m = Launcher(pass_fds=[57])
    os.close(57)
    m.say('run hello', r'Hello')
    m.expect(r'lguest# ')
    m.say('run spin &', r'lguest# ')
    tasks = m.tasks()
    ok(len(tasks) >= 5, 'a Host process and views of two tasks each', tasks)
    left = bare(m)
    ok(not left, 'every task wears a seccomp filter', left)
    ok(all(status(t, 'NoNewPrivs') == '1' for t in tasks),
       'no task can gain privileges')
    host, *views = m.children()
    fds = sorted(int(f) for f in os.listdir(f'/proc/{host}/fd'))
    kicks = [f for f in fds if f not in (0, 1, 5, 6)]
    ok(len(fds) == 4 + len(views) and len(kicks) == len(views) and
       all('pidfd' in os.readlink(f'/proc/{host}/fd/{f}') for f in kicks),
       'the Host process holds memory, two bells, a channel, and pidfds', fds)
    ok(all(sorted(os.listdir(f'/proc/{v}/fd')) == ['0', '1'] for v in views),
       'a view holds Guest memory and its answer, nothing it inherited')
    views_see(views)
    m.type('halt')
    return m.end()


def views_see(views):
    bad = []
    for v in views:
        with open(f'/proc/{v}/maps') as f:
            high = [line for line in f
                    if int(line.split('-')[0], 16) >= 1 << 32
                    and 'vsyscall' not in line]
        writable = [h for h in high if 'w' in h.split()[1]]
        if len(writable) != 1 or 'handover' not in writable[0]:
            bad += high
    ok(views and not bad, 'a view can write one high page range, its own',
       bad)


def idle():
    m = Launcher()
    time.sleep(.3)
    pids = [m.p.pid, *m.children()]
    before = ticks(pids)
    time.sleep(2)
    used = ticks(pids) - before
    ok(used <= 20, 'an idle Guest burns no CPU', f'{used} ticks in 2 s')
    m.say('halt', r'')
    rc, out = m.end()
    ok(rc == 0 and 'died' not in out, 'halt ends with status 0', rc, out)


def killed():
    for sig in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT,
                signal.SIGQUIT, signal.SIGSEGV, signal.SIGABRT,
                signal.SIGALRM, signal.SIGUSR1, signal.SIGPIPE):
        m = Launcher()
        m.say('run spin &', r'lguest# ')
        pids = m.children()
        os.kill(m.p.pid, sig)
        gone = all_gone(pids)
        ok(pids and gone, f'{sig.name}: no process stays behind',
           [p for p in pids if alive(p)])
        m.end()


def host_killed():
    m = Launcher()
    pids = m.children()
    os.kill(pids[0], signal.SIGKILL)
    rc, out = m.end()
    lines = [x for x in out.splitlines() if 'lguest: ' in x]
    ok(rc == 1 and len(lines) == 1 and 'Host process ended with signal 9'
       in lines[0], 'a killed Host process is one clear line, status 1',
       rc, out)
    ok(all_gone(pids), 'and takes the views with it')


def view_killed():
    m = Launcher()
    before = set(m.children())
    m.say('run spin &', r'lguest# ')
    time.sleep(.2)
    new = [p for p in m.children() if p not in before]
    ok(len(new) >= 1, 'a new Guest process has a view of its own', new)
    for p in new:
        os.kill(p, signal.SIGKILL)
    found = m.expect(r'spin\[\d+\]: killed: general protection[^\r\n]*')
    ok(found, 'a killed view kills its program only')
    m.say('run hello', r'Hello from ring 3')
    m.say('', r'lguest# ')
    ok(True, 'the shell lives on, and new programs run')
    m.type('halt')
    ok(m.end()[0] == 0, 'and the Guest halts in good order')


def rebooted():
    m = Launcher()
    m.say('run spin &', r'lguest# ')
    old = m.children()
    m.type('reboot')
    m.expect(r'lguest# ')
    ok(all_gone(old), 'nothing of the old Guest is left after a reboot')
    m.say('run hello', r'Hello from ring 3')
    m.expect(r'lguest# ')
    m.type('halt')
    ok(m.end()[0] == 0, 'the Guest runs again after a reboot')


def as_nobody():
    if os.getuid():
        skip('as an ordinary user', 'not root: every test runs so')
        return
    r = subprocess.run(
        ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
         f'{B}/lguest', *GUEST, 'selftest'], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=120)
    ok(r.returncode == 0 and ' 0 failed' in r.stdout,
       'the selftest passes for a user without privileges', r.stdout[-500:])


def low_addresses():
    """A page at 0 cannot be had without privileges: a clear line, no loop."""
    r = subprocess.run([f'{B}/lguest', '--host=nonsense', *GUEST],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, timeout=20)
    ok(r.returncode == 1 and r.stderr.count('\n') == 1
       and 'nonsense' in r.stderr, 'an unknown Host is one clear line',
       r.stderr)


def many_starts():
    """A view's start is raced by the Guest's clock: see the trap chapter."""
    m = Launcher()
    bad = ''
    for _ in range(15):
        m.say('run fpu', r'\r\n')
        found = m.expect(r'(no number lost|WRONG|killed)[^\r\n]*')
        if 'no number lost' not in found[0]:
            bad = found[0]
            break
        if bare(m):
            bad = 'a task without a filter'
            break
        m.expect(r'lguest# ')
    ok(not bad, 'views that begin under load are all confined', bad)
    os.kill(m.p.pid, signal.SIGTERM)
    m.end()


def held(name, where, then, want):
    """gdb stops a Host at a place and does things; what does one then see?"""
    if not shutil.which('gdb'):
        return skip(name, 'gdb is not installed; ./setup --all does it')
    m = Launcher()
    m.type('run spin')
    time.sleep(.3)
    lines = ['set pagination off', 'handle all nostop noprint pass',
             f'break *((char *)&{where} - 2)', 'continue', 'delete', *then,
             'delete', 'detach']
    r = subprocess.run(
        ['gdb', '-nx', '-batch', '-p', str(m.children()[0]),
         *(w for line in lines for w in ('-ex', line)), f'{BASE}/host.elf'],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if 'ptrace' in r.stderr:
        skip(name, r.stderr.splitlines()[0])
        os.kill(m.p.pid, signal.SIGTERM)
        m.end()
        return
    if 'died' not in want:
        os.kill(m.p.pid, signal.SIGTERM)
    seen = r.stdout + m.end()[1]
    ok(re.search(want, seen, re.M), name, seen, r.stderr)


def lost_alarm():
    """An alarm between the last look and the sleep, or the departure."""
    # rax is still the number of the call that was not made
    held('a note that comes just before the Host sleeps ends the sleep',
         'napped', ['break *&napped', 'signal SIGALRM',
                    'printf "at %d\\n", $rax'], '^at 202$')
    # the last instruction is iretq, and behind it the two labels are one
    held('a note that comes just before the Host departs calls it back',
         'departed', ['break *&depart_again', 'break read_stop',
                      'break host_called', 'signal SIGALRM',
                      'info symbol $pc'], '^depart(ed|_again) in section')


def faults():
    """The Host leaves for a code segment that there is not."""
    symbols = subprocess.run(['nm', f'{BASE}/host.elf'], text=True,
                             capture_output=True).stdout
    found = re.search('^0*(.{4})(.*) T departed$', symbols, re.M)
    at = f'{found[1]}:{int(found[2], 16) - 2:x}'
    held('a fault in the Host is told, with its place', 'departed',
         ['set {long}($rsp + 8) = 0x1234'],
         f'the Guest died: fault in the Host: signal 11 at {at}\r')


def main():
    for test in (confined, idle, killed, host_killed, view_killed, rebooted,
                 as_nobody, low_addresses, many_starts, lost_alarm,
                 faults):
        try:
            test()
        except Exception as e:      # a hang or an end that nobody expected
            ok(False, test.__name__, repr(e))
        for p in running:
            if p.poll() is None:
                p.kill()
                p.wait()
        running.clear()
    done()


main()
