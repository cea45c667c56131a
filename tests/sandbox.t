#!/usr/bin/python3 -B
"""The Launcher's sandbox: what it still asks for, and what it cannot have.

Three lists of system calls have to agree: those that strace sees Guests with
every device make, those in the filter, and those in the book's table. Then a
library that is loaded into the Launcher does what a captured Launcher would.
"""
import errno
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

if os.getuid() and 'SANDBOX_INSIDE' not in os.environ:
    # With a network of our own, if this user may have one.
    words = ['unshare', '-rn']
    if not subprocess.run([*words, 'true'], stderr=subprocess.DEVNULL
                          ).returncode:
        os.environ['SANDBOX_INSIDE'] = '1'
        os.execvp(words[0], [*words, sys.executable, '-B', *sys.argv])
elif not os.getuid() and 'SANDBOX_INSIDE' not in os.environ:
    os.environ['SANDBOX_INSIDE'] = '1'
    os.execvp('unshare', ['unshare', '-n', sys.executable, '-B', *sys.argv])

from guest_console import B, PROMPT, Guest, started  # noqa: E402
import tap  # noqa: E402
from refuse import ERRNO, refuse        # noqa: E402

TMP = tempfile.mkdtemp(prefix='lguest-sandbox.')
TAP = os.access('/dev/net/tun', os.R_OK | os.W_OK)
ok, skip = tap.ok, tap.skip


def landlock():
    """The version of Landlock that this kernel has, 0 for none."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, libc.syscall(444, None, ctypes.c_size_t(0), 1))


def make_disk(name):
    path = f'{TMP}/{name}'
    with open(path, 'wb') as f:
        f.truncate(1 << 20)
    return path


class Trace:
    """Guests under strace, and the calls that their processes made."""

    def __init__(self, program):
        self.program, self.calls, self.number = program, set(), 0
        self.trapped, self.hostile = [], set()

    def wrap(self, terminal):
        self.number += 1
        self.log = f'{TMP}/{self.program}.{self.number}'

        def wrap(args):
            args = ['strace', '-f', '-qq', '-o', self.log, *args]
            if terminal:
                args = ['script', '-qec', shlex.join(args), '/dev/null']
            return args
        return wrap

    def guest(self, *options, terminal=False, **more):
        return started(*options, program=self.program,
                       wrap=self.wrap(terminal), **more)

    def run(self, *words, **more):
        subprocess.run(self.wrap(False)([f'{B}/{self.program}', *words]),
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=120, **more)

    def read(self):
        """Calls of 64-bit mode behind the filter, done or refused."""
        for n in range(1, self.number + 1):
            with open(f'{TMP}/{self.program}.{n}', errors='replace') as f:
                self.read_log(f, n in self.hostile)
        self.calls.discard(None)

    def read_log(self, log, hostile):
        last, outside = {}, None    # a call counts when the next line comes
        for line in log:
            pid, rest = line.split(None, 1)
            outside = outside or pid    # the first, until its filter is on
            if rest.startswith('--- SIGSYS'):
                name = last.pop(pid, None)
                if 'AUDIT_ARCH_X86_64' in rest and not hostile:
                    self.trapped.append((name, rest.strip()))
            elif (call := re.match(r'(\w+)\(', rest)) and pid != outside:
                self.calls.add(last.get(pid))
                last[pid] = call[1]
            elif pid == outside and re.match(
                    r'prctl\(PR_SET_SECCOMP.*= 0$|landlock_restrict_s', rest):
                outside = 'none'
        if not hostile:     # else who made it may have been killed for it
            self.calls |= set(last.values())


def children(pid):
    with open(f'/proc/{pid}/task/{pid}/children') as f:
        return [int(n) for n in f.read().split()]


def offspring(pid):
    found = children(pid)
    return found + [p for child in found for p in offspring(child)]


def name_of(pid):
    with open(f'/proc/{pid}/comm') as f:
        return f.read()


def take_soon(path):
    """Have the file's lock for a moment, as soon as it can be had."""
    end = time.time() + 60
    with open(path, 'r+b') as f:
        while time.time() < end:
            try:
                fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                time.sleep(.3)
                return
            except OSError:
                time.sleep(.0005)


def scenes(t):
    """Guests with every device, and every kind of end."""
    disk, net = make_disk('disk'), ['--tunnet=10.77.0.1/24'] if TAP else []
    g = t.guest('--verbose', f'--block={disk}', '--rng', *net, mem='64',
                words=['ip=10.77.0.2/24'] if TAP else [], terminal=True)
    g.ask('rand')
    if TAP:
        g.ask('ping 10.77.0.1')
    g.ask('disk 0 flush')
    g.ask('disk 0 read 0')
    g.ask('run spin &')
    g.send('reboot\n')
    g.until(PROMPT)
    g.send('halt\n')
    ok(g.end()[0] == 0, f'{t.program}: a Guest with every device, traced')
    g = t.guest(f'--block={disk},ro', '--rng=/dev/zero')
    # While it reboots somebody else has the disk, and it waits a little.
    other = threading.Thread(target=take_soon, args=(disk,))
    other.start()
    g.send('reboot\n')
    g.until(PROMPT)
    other.join()
    g.halt()
    g = t.guest(terminal=True)
    g.send('\x03\x03\x03')
    ok(g.end()[0] == 2, f'{t.program}: three ^C, traced')
    g = t.guest(terminal=True)
    launcher = next(p for p in offspring(g.p.pid) if t.program in name_of(p))
    for sig in (signal.SIGSTOP, signal.SIGCONT):    # at the prompt it waits
        for pid in offspring(launcher):
            os.kill(pid, sig)
        time.sleep(.3)
    os.kill(launcher, signal.SIGTERM)
    g.end()
    for attack in ('noroom', 'badframe', 'killviews'):
        t.hostile.add(t.number + 1)     # what is refused there is refused
        t.run('64', f'{B}/attack', attack)
    t.run('64', f'{B}/guest', 'selftest')
    t.run('64', f'{B}/guest/')          # a bad name
    t.run('--host=dev:/dev/null', '64', f'{B}/guest')


def table():
    """The calls of the book's table: all, those marked, those checked."""
    with open('lguest.nw', encoding='utf-8') as f:
        text = f.read()
    text = text.split('% sandbox.t reads from here\n')[1].split(
        '% to here')[0].split('\\midrule')
    names = [re.findall(r'\[\[(\w+)\]\](\$\^\*\$|\$\\dagger\$)?',
                        '\n'.join(line.split(' & ')[0]
                                  for line in part.splitlines()))
             for part in text[1:]]
    every = [name for part in names for name, _ in part]
    marked = {name for part in names for name, mark in part if '*' in mark}
    network = {name for part in names for name, mark in part
               if 'dagger' in mark}
    return every, marked, {n for n, m in names[1] if not m}, network


def filters():
    """The calls of the filter: those free, those looked at."""
    with open(f'{B}/t/launcher/sandbox.c', encoding='utf-8') as f:
        text = f.read()
    text = re.search(r'launcher_filter\[\] = \{(.*?)\n\};', text, re.S)[1]
    return (re.findall(r'FREE_CALL\(__NR_(\w+)\)', text),
            re.findall(r'IF_CALL\(__NR_(\w+)', text))


def of_host():
    """The calls in the filters of Host, mapper and user task."""
    with open(f'{B}/t/host/inside/filter.c', encoding='utf-8') as f:
        text = f.read()
    return [re.findall(r'_CALL\(__NR_(\w+)', re.search(
        rf'\b{name}_filter\[\] = \{{(.*?)\n\}};', text, re.S)[1])
        for name in ('host', 'mapper', 'view')]


def figure():
    """The numbers of calls in the figure of the fences."""
    with open('figures/sandbox-fences.tex', encoding='utf-8') as f:
        return [int(n) for n in re.findall(r'\b(\d+) calls?\b', f.read())]


def lists():
    every, marked, checked, network = table()
    free, looked = filters()
    ok(len(set(every)) == len(every) > 50, 'no call is twice in the table',
       [n for n in every if every.count(n) > 1])
    ok(sorted(free + looked) == sorted(every),
       'the table has the calls of the filter',
       set(every) ^ set(free + looked))
    ok(set(looked) == checked, 'those are checked that the table says',
       set(looked) ^ checked)
    drawn = figure()
    ok(drawn == [len(every), *map(len, of_host())],
       'the figure has as many calls as the filters', drawn)
    if not shutil.which('strace'):
        skip('the calls that are made', 'no strace')
        return
    seen = set()
    for program in ('lguest', 'lguest-musl'):
        if not os.path.exists(f'{B}/{program}'):
            skip(f'the calls of {program}', 'it is not built')
            continue
        t = Trace(program)
        scenes(t)
        t.read()
        seen |= t.calls
        ok(len(t.calls) > 40 and t.calls <= set(every),
           f'{program}: no call that is not in the table',
           t.calls - set(every))
        ok(not t.trapped, f'{program}: and none that was refused', t.trapped)
    unseen = set(every) - marked - seen - (set() if TAP else network)
    ok(not unseen, 'no call in the table that nobody makes', unseen)


def field(pid, name):
    with open(f'/proc/{pid}/status') as f:
        return re.search(rf'^{name}:\s*(.*)$', f.read(), re.M)[1]


def states():
    disk = make_disk('other')
    g = started(f'--block={disk}')
    tasks = [g.p.pid, *children(g.p.pid)]
    seen = [(field(p, 'NoNewPrivs'), field(p, 'Seccomp'), field(p, 'CapPrm'),
             field(p, 'CapEff')) for p in tasks]
    ok(len(tasks) >= 5 and set(seen) == {('1', '2', '0' * 16, '0' * 16)},
       'Launcher, Waker, disk, Host and views: no new privileges, a filter, '
       'no capability', seen)
    threads = [p for p in children(g.p.pid)
               if name_of(p) == name_of(g.p.pid)]
    blocked = [int(field(p, 'SigBlk'), 16) for p in threads]
    ok(len(blocked) == 2 and all(b >> 14 & 1 and not b >> 30 & 1
                                 for b in blocked),
       'Waker and disk hear no SIGTERM, and can say which call is forbidden',
       blocked)
    g.halt()
    g = started('--sandbox=off')
    ok((field(g.p.pid, 'NoNewPrivs'), field(g.p.pid, 'Seccomp')) ==
       ('0', '0'), '--sandbox=off: neither for the Launcher')
    g.halt()
    if TAP:
        g = started('--tunnet=10.77.0.1/24')
        ok(int(field(g.p.pid, 'CapPrm'), 16) & ~(1 << 12) == 0,
           'with a network: no capability but one',
           field(g.p.pid, 'CapPrm'))
        g.halt()


def others_files():
    """Root may use a disk that only its owner may open, again and again."""
    disk = make_disk('owned')
    os.chmod(disk, 0o600)
    try:
        os.chown(disk, 65534, 65534)
    except OSError as e:
        skip('a disk of somebody else', e)
        return
    g = started(f'--block={disk}')
    ok(int(field(g.p.pid, 'CapPrm'), 16) == 1 << 1,
       'a disk of somebody else: the capability to open it is kept',
       field(g.p.pid, 'CapPrm'))
    g.send('reboot\n')
    ok(g.until(PROMPT) and g.halt()[0] == 0, 'and it is there after a reboot')


def outputs():
    """A socket is standard output, and there is no network."""
    a, b = socket.socketpair()
    p = subprocess.Popen([f'{B}/lguest', f'--initrd={B}/initrd.tar', '64',
                          f'{B}/guest'], stdin=b, stdout=b,
                         stderr=subprocess.PIPE)
    b.close()
    a.settimeout(60)
    a.sendall(b'run hello\nhalt\n')
    said = b''.join(iter(lambda: a.recv(4096), b''))
    err = p.stderr.read()
    ok(p.wait(60) == 0 and b'Hello from ring 3' in said and not err,
       'a socket as standard output', p.returncode, said, err)
    a.close()


def exchanged():
    """A kernel is made anew while its Guest runs, and the Guest reboots."""
    kernel = f'{TMP}/kernel'
    shutil.copy(f'{B}/guest', kernel)
    g = Guest(kernel=kernel)
    good = g.until(PROMPT)
    shutil.copy(f'{B}/guest', kernel + '.o')
    os.rename(kernel + '.o', kernel)
    g.send('reboot\n')
    status, _, err = g.end() if landlock() else g.halt()
    ok(good and status == 1 and err == f'lguest: {kernel}: not the file that '
       'it was when lguest was started, and the sandbox has a right to no '
       'other; start lguest anew\n' if landlock() else status == 0,
       'a kernel that was exchanged: what is the matter is said', err)


def reboots():
    """More often than sixteen fences of Landlock would let us."""
    diary = f'{TMP}/diary'
    g = Guest('--verbose', f'--trace={diary}')
    good = g.until(PROMPT)
    for _ in range(18):
        g.send('reboot\n')
        good = good and g.until(PROMPT)
    status, _, err = g.halt()
    ok(good and status == 0 and
       err.count('sandbox: that of the last beginning') == 18,
       '18 reboots, one sandbox', err[-1000:])
    with open(diary) as f:
        ok(len(json.load(f)) > 100, 'and a diary that was begun anew')


def attempt(library, what, *options, terminal=False, **env):
    args = [f'{B}/lguest', *options, '64', f'{B}/guest']
    if terminal:
        args = ['script', '-qec', shlex.join(args), '/dev/null']
    return subprocess.run(
        args, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, env=dict(os.environ, LD_PRELOAD=library, TRY=what,
                             TRY_FILE=f'{TMP}/file', **env))


DEADLY = {'socket': 41, 'create': 257, 'truncate': 257, 'temporary': 257,
          'unlink': 87, 'chmod': 90, 'type': 16, 'unshare': 272,
          'namespace': 56, 'trace': 101, 'all': 62, 'group': 62,
          'limit': 302, 'dumpable': 157, 'path': 322, 'int80': 20,
          '+socket': 41, '+trace': 101}


def attempts():
    library = f'{TMP}/try.so'
    cc = os.environ.get('CC', 'gcc')
    subprocess.run([cc, '-shared', '-fPIC', '-O1', '-Wall', '-o', library,
                    'tests/sandbox_try.c', '-ldl'], check=True)
    with open(f'{TMP}/file', 'w') as f:
        f.write('secret\n')
    for what, number in DEADLY.items():
        p = attempt(library, what)
        ok(p.returncode == -signal.SIGTERM and p.stdout == '' and p.stderr ==
           f'lguest: system call {number} is none that a Launcher makes; '
           '--sandbox=off allows it, to debug\n', f'{what}: ends in one line',
           p.returncode, p.stdout, p.stderr)
        p = attempt(library, what, '--sandbox=off')
        ok(p.returncode == 0 and (p.stdout.startswith('try: ') or
                                  what == 'path'),
           f'{what}: can be tried without a sandbox', p)
        # It may have worked.
        with open(f'{TMP}/file', 'a'):
            pass
    p = attempt(library, 'getpid')
    ok(p.stdout == 'try: getpid: allowed\n', 'a call of a Launcher works', p)
    for what in ('x32', 'young'):
        p = attempt(library, what)
        ok(p.stdout == f'try: {what}: ENOSYS\n',
           f'{what}: is answered as by an older kernel', p)
    fences(library)


def fences(library):
    version = landlock()
    with open(f'{TMP}/file', 'a') as f:
        f.write('secret\n')
    other = subprocess.Popen(['sleep', '60'])
    tries = {'read': 1, 'write': 1, 'list': 1, 'status': 1, 'execute': 1,
             'signal': 6}
    for what, since in tries.items():
        if version < since:
            skip(what, f'Landlock has version {version} here, not {since}')
            continue
        p = attempt(library, what, TRY_PID=str(other.pid))
        refusal = 'EPERM' if what == 'signal' else 'EACCES'
        ok(p.stdout == f'try: {what}: {refusal}\n', f'{what}: {refusal}', p)
        p = attempt(library, what, '--sandbox=off', TRY_PID=str(other.pid))
        ok(p.stdout in (f'try: {what}: allowed\n', '') and
           p.returncode == 0, f'{what}: allowed without a sandbox', p)
    other.kill()
    other.wait()


LACKS = [       # call, argument, errno; what the Launcher says; how it ends
    ('Landlock', 444, None, errno.ENOSYS,
     'lguest: sandbox: no Landlock here', 'the Guest died: held'),
    ('no_new_privs', 157, (0, 38), errno.EINVAL,
     'lguest: sandbox: none, this kernel has no no_new_privs',
     'the Guest died: held'),
    ('filters', 157, (0, 22), errno.EINVAL,
     'lguest: sandbox: this kernel has no filters',
     '--host=user: this kernel lacks seccomp filters (CONFIG_'),
    ('faccessat2', 439, None, errno.ENOSYS, 'lguest: sandbox: a filter',
     'the Guest died: held'),
    ('modify_ldt', 154, None, errno.ENOSYS, 'lguest: sandbox: a filter',
     '--host=user: this kernel lacks modify_ldt (CONFIG_'),
    ('pidfd_open', 434, None, errno.ENOSYS, 'lguest: sandbox: a filter',
     '--host=user: this kernel lacks pidfds (Linux 5.3'),
]


def lacking():
    """Kernels that lack something: what is there is put on, and said."""
    for name, call, argument, error, says, end in LACKS:
        p = subprocess.run(
            [f'{B}/lguest', '--verbose', '--host=user', '64', f'{B}/attack',
             'far'], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60,
            preexec_fn=lambda: refuse(call, ERRNO | error, argument))
        last = p.stderr.splitlines()[-1] if p.stderr else ''
        ok(p.returncode == 1 and says in p.stderr and
           last.startswith(f'lguest: {end}'), f'without {name}: {last}', p)


def words():
    for word in ('', 'yes', 'on ', 'OFF'):
        p = subprocess.run([f'{B}/lguest', f'--sandbox={word}', '64', 'k'],
                           capture_output=True, text=True)
        ok(p.returncode == 1 and p.stderr.count('\n') == 1 and
           '--sandbox' in p.stderr, f'--sandbox={word}: one line', p)


def main():
    for part in (words, lacking, states, others_files, outputs,
                 exchanged, reboots, attempts, lists):
        try:
            part()
        except Exception as e:      # a hang or an end that nobody expected
            ok(False, part.__name__, repr(e))
    shutil.rmtree(TMP)
    tap.done()


main()
