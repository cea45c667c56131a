#!/usr/bin/python3 -B
# also: sanitizers
"""Attacks the Host with Guests that mean harm, and sees who survives.

A Guest of the first kind is a kernel with one attack in it, which has to end
with one line of the Launcher's. One of the second kind is a program, which
must not take the shell with it. After each nothing may be left: no process,
no mark on a file within reach, no descriptor used.

ATTACK_THOROUGH=1: jump to every byte of Host and view, not to a sample."""
import os
import pty
import random
import re
import select
import signal
import subprocess
import tempfile
import time
from hostile import B, BASE, canary, launch, left_behind, stop
from tap import done, ok

THOROUGH = 'ATTACK_THOROUGH' in os.environ
with open('/proc/cpuinfo') as cpuinfo:
    WIDE = ' avx2 ' in cpuinfo.read()

HELD = 'held'
HURT = r'(?!LOST)[ -~]*'        # it killed itself, in whatever way
NO_STACK = 'its stack at .* is not mapped.*'
ALONE = [                       # a kernel and its Host
    ('far', HELD), ('faralarm', HELD), ('doors', HELD), ('syscall32', HELD),
    ('sysenter', HELD), ('vsyscall', HELD), ('maps', HELD),
    ('arguments', HELD), ('hosttext', HELD), ('frames', HELD), ('ldt', HELD),
    ('badframe', HURT), ('requests', HELD), ('lastwords', r'\?{200,}'),
    ('bell 3e8', HELD), ('killviews', HURT), ('selectors', HELD),
    ('codesegments', HELD), ('descriptors', HELD), ('flags', HELD),
    ('align', HELD), ('steps', HELD), ('privileged', HELD),
    ('badstack', 'its stack at fffffffc is not mapped.*'),
    ('badstack ffffffff', 'its stack at fffffffb is not mapped.*'),
    ('notify', HELD), ('notify 3fffff0', HELD), ('mappings', HELD)]
GATES = [                       # a kernel and the gates to its Host
    ('gate', HELD), ('gatestep', HELD), ('gatestack 50000000', NO_STACK),
    ('gatestack ffffffff', NO_STACK), ('gatestack 50000000 1', NO_STACK),
    ('zerocall', NO_STACK),
    ('gatestack ffffffff 1', NO_STACK), ('gatestack 1002', 'it uses.*'),
    ('gatestack 50000000 2', NO_STACK), ('gatestack ffffffff 2', NO_STACK),
    ('gateiret', 'it uses address 0;.*'), ('gatereturn', HELD),
    ('wayin', HELD), ('percpu', HELD), ('gatewrite', HELD),
    ('gategone', HURT), ('gatemap', 'it uses address ffc00000, .*'),
    ('gatealarm', HELD)]
CLOSED = ('gate', 'gatereturn', 'wayin', 'percpu', 'zerocall')   # without, too
BELOW = [                       # a user program and its kernel
    (name, HELD) for name in (
        'reach', 'reachlow', 'orders', 'borrow', 'userint', 'userflags',
        'userselectors', 'userdoors', 'bases', 'stale', 'ackrace',
        'swapflush', 'swapset', 'late', 'misorder', 'userzero',
        'forged', 'oracle', 'mxcsr', 'userdeaf', 'obstinate', 'flicker',
        'noroom', 'tables', 'usermappings', 'userlow', 'sleeper', 'usergate',
        'usergatejump', 'nothing', 'forgegate', 'vdso', 'userkick', 'avx', 'upper')]
MUTE = ['deaf', 'closeall', 'quiet', 'gatestack 0']     # never ends: the user must be able to
LISTS = {                       # calls that come back; 335, 336: see the book
    'calls': {0x3, 0x18, 0x9a, 0xdb, 0xdf, 0x14f, 0x150},
    'usercalls': {0x14f, 0x150}}
FOUGHT = {                      # what an attack must have come to, at least
    'calls': ('trap: general protection', 1190),
    'maps': ('trap: general protection', 14),
    'arguments': ('trap: general protection', 11),
    'frames': ('trap: general protection', 2000),
    'descriptors': ('LOAD_GDT_ENTRY', 4096),
    'mappings': ('page fault', 73728),
    'align': ('another signal', 1),         # the fault that nobody sees
    'ring': ('NOTIFY', 67),
    'late': ('NOTIFY', 33),
    'notify': ('NOTIFY', 131072),
    'reach': ('trap: general protection', 7),
    'orders': ('trap: general protection', 2),
    'usercalls': ('trap: general protection', 1190),
    'userint': ('trap: general protection', 250),
    'userselectors': ('trap: general protection', 4800),
    'userdoors': ('trap: general protection', 2000),
    'borrow': ('trap: general protection', 10),
    'forged': ('trap: general protection', 300),
    'obstinate': ('ask the Launcher', 3),   # to kill it, and a new one
    'flicker': ('trap: interrupt vector', 1),
    'noroom': ('ask the Launcher', 21),     # a view, and twenty more
    'tables': ('page fault', 11200),
    'usermappings': ('page fault', 73728),
    'userkick': ('trap: interrupt vector', 4000),
    'fuzzuser 1 3e8': ('trap: general protection', 300)}
BAD_CALLS = [                   # number and three arguments
    '1', '1 3', '1 7fffffff', '3', '4 1', '4 fffff000', '4 7ffff000',
    '5 2', '6 100 0 8e00', '6 3 0 8d00', '6 3 ffffffff ffffffff',
    '7 68 0 1', '7 69 0 3', '7 69 ffffffff 2', '8 ffffffff', '9 1',
    '9 ffffffff', 'b', 'd', 'e 1', 'e 0 ffffffff ffffffff',
    'e ffffffff 40000000 67', 'f 0 400', 'f ffffffff ffffffff', '10 1',
    '10 fffffff0', '10 7ffffffc', '12 20', '12 ffffffff', '12 f ffffffff '
    'ffffffff', '12 d 0 0', '13', '14', 'ff', 'ffffffff', '2 0 1',
    '2 ffffffff 1', '2 101 3', '2 ffffffff ffffffff',
    '11 4000000', '11 4000001', '11 4000fff', '11 4001000', '11 40fffff',
    '11 4100000', '11 7fffffff', '11 80000000', '11 ffffffff']

# The device page and the rings of the console and of the device behind it.
PAGE, RECEIVE, TRANSMIT, NEXT = 0x4000000, 0x4001000, 0x4004000, 0x4007000


def desc(ring, i, addr, length, flags=0, following=0):
    """The four words of a descriptor, each with its address."""
    words = (addr & 0xffffffff, addr >> 32, length, flags | following << 16)
    return {ring + 16 * i + 4 * n: w for n, w in enumerate(words)}


def offer(ring, *heads):
    """The available ring, with an index for that many chains."""
    return {ring + 0x1000: len(heads) << 16,
            **{ring + 0x1004 + 4 * n: h for n, h in enumerate(heads)}}


T = TRANSMIT
LIARS = [                       # what is stored, what is notified, the line
    ('a head of 300', offer(T, 300), [T],
     "console: transmit: descriptor index 300 is beyond the ring's 256 "
     'entries'),
    ('an index far ahead', {T + 0x1000: 0xffff0000}, [T],
     'console: transmit: the available index jumped from 0 to 65535, further '
     "than the ring's 256 entries"),
    ('a loop', {**desc(T, 0, 0x1000, 1, 1, 0), **offer(T, 0)}, [T],
     'console: transmit: the chain that begins at descriptor 0 is a loop'),
    ('a buffer at the end', {**desc(T, 0, PAGE, 1), **offer(T, 0)}, [T],
     'console: transmit: descriptor 0, 1 bytes at 0x4000000, is not in the '
     "Guest's memory"),
    ('across the end', {**desc(T, 0, PAGE - 1, 2), **offer(T, 0)}, [T],
     'console: transmit: descriptor 0, 2 bytes at 0x3ffffff, is not in the '
     "Guest's memory"),
    ('one that wraps', {**desc(T, 0, 0xfffff000, 0x2000), **offer(T, 0)}, [T],
     'console: transmit: descriptor 0, 8192 bytes at 0xfffff000, is not in '
     "the Guest's memory"),
    ('one of 64 bits', {**desc(T, 0, 1 << 40, 8), **offer(T, 0)}, [T],
     'console: transmit: descriptor 0, 8 bytes at 0x10000000000, is not in '
     "the Guest's memory"),
    ('no bytes', {**desc(T, 0, 0x1000, 0), **offer(T, 0)}, [T],
     'console: transmit: descriptor 0 has no length'),
    ('4 GiB', {**desc(T, 0, 0, 0xffffffff), **offer(T, 0)}, [T],
     'console: transmit: descriptor 0, 4294967295 bytes at 0, is not in the '
     "Guest's memory"),
    ('read after write', {**desc(T, 0, 0x1000, 4, 3, 1),
                          **desc(T, 1, 0x1000, 4), **offer(T, 0)}, [T],
     'console: transmit: descriptor 1 is to be read but follows one to be '
     'written'),
    ('a table', {**desc(T, 0, 0x1000, 16, 4), **offer(T, 0)}, [T],
     'console: transmit: descriptor 0 is indirect, which was never offered'),
    ('text to be written', {**desc(T, 0, 0x1000, 4, 2), **offer(T, 0)}, [T],
     'console: transmit: a buffer to transmit is marked to be written'),
    ('features', {PAGE + 1: 0x07ffffff, PAGE + 25: 0xffffffff}, [PAGE],
     'console: the Guest accepted features 0xffffffff, of which 0xfefffffe '
     'were never offered'),
    ('a text without an end', {PAGE - 4: 0x41414141}, [PAGE - 4],
     'the Guest notified 0x3fffffc, which is no ring, no device and no text '
     'in its memory'),
    ('a number beside a device', {}, [PAGE + 1],
     'the Guest notified 0x4000001, which is no ring, no device and no text '
     'in its memory'),
    ('a used ring rewritten, and a reset, are no lies',
     {T + 0x2000: 0x12345678, **desc(T, 0, 0x1000, 1), **offer(T, 0),
      PAGE + 1: 0}, [T, T, PAGE, T, RECEIVE], 'the Guest died: held')]
DISK_LIARS = [
    ('a short header', {**desc(NEXT, 0, 0x1000, 15, 1, 1),
                        **desc(NEXT, 1, 0x2000, 513, 2), **offer(NEXT, 0)},
     [NEXT], "{}: requests: a request's header is shorter than 16 bytes"),
    ('no status', {**desc(NEXT, 0, 0x1000, 16), **offer(NEXT, 0)}, [NEXT],
     '{}: requests: a request has no room for its status')]
ENTROPY_LIARS = [
    ('entropy to be read', {**desc(NEXT, 0, 0x1000, 16), **offer(NEXT, 0)},
     [NEXT], 'entropy: requests: a buffer for entropy is marked to be read')]


def addresses():
    """An attack on a place where nothing is would be held."""
    places = [dict(re.findall(r'^#define (\w+)_(?:AT|BASE)\s+(0x\w+?)(?:ul)?\b',
                              text, re.M))
              for text in (open(f'{BASE}/t/{f}').read() for f in
                           ('guest/attack/attack.h', 'host/inside/layout.h'))]
    theirs, ours = places
    theirs.pop('USER')
    ok(len(theirs) == 5 and theirs.items() <= ours.items(),
       "the attackers know the Host's addresses", theirs, ours)


def attack(name, pattern, limit=60, gates='on'):
    """One attack by a kernel: its text and its end."""
    p = launch(name.split(), gates)
    if gates == 'off':
        name += ' (no gates)'
    try:
        out, err = p.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        ok(False, name, 'hangs', stop(p, signal.SIGKILL), left_behind())
        return ''
    out, err = out.decode('latin1'), err.decode('latin1')
    wrong = canary.dead()
    left = left_behind()
    if left:
        wrong.append(f'left behind: {left}')
    lines = err.splitlines()
    if p.returncode != 1 or len(lines) != 1:
        wrong.append(f'status {p.returncode}, {len(lines)} lines')
    elif not re.fullmatch(f'lguest: (the Guest died: ({pattern})|'
                          'the Guest notified 0x.*)', lines[0]):
        wrong.append('not the end that was expected')
    good = ok(not wrong, name, *wrong, err[:400], out[-400:])
    return (out, lines[0]) if good else None


def ring():
    """The order of queued calls, as their words tell it."""
    said = attack('ring', HELD)
    ok(said and said[0] == f'first second third aloud {"." * 64}all\n',
       'ring: each slot in its turn, and once', said)


def proc(pid, what, pattern):
    """What a task's file in /proc says of this, or nothing."""
    try:
        with open(f'/proc/{pid}/{what}') as f:
            found = re.search(pattern, f.read(), re.M)
    except OSError:
        return None
    return found and found[1]


def soon(what, limit=20):
    """Waits for it to be true, within reason; what it has become."""
    end = time.time() + limit
    while not (found := what()) and time.time() < end:
        time.sleep(.01)
    return found


def bell():
    """The bell is full, its reader is stopped: does whoever rings sleep?"""
    p = launch(['bell', '7fffffff'], stdin=subprocess.PIPE)
    p.stdout.readline()                     # it has begun
    host, *others = proc(p.pid, f'task/{p.pid}/children', '(.*)').split()

    def sleeps_in(*calls):
        return [n for n in others if proc(n, 'syscall', r'(\d+)') in calls]

    waker = soon(lambda: sleeps_in('23', '270'))        # select
    for _ in range(10):     # it may be about to let the Guest go on: again
        os.kill(p.pid, signal.SIGSTOP)
        if full := soon(lambda: proc(host, 'fdinfo/5', 'count: *(f{15}e)$'), 3):
            break
        os.kill(p.pid, signal.SIGCONT)
        time.sleep(.2)
    p.stdin.write(b'typed\n')
    p.stdin.flush()
    woken = soon(lambda: sleeps_in('1', '202') == waker)    # write, futex
    refused = soon(lambda: sleeps_in('202') == waker)
    os.kill(p.pid, signal.SIGCONT)
    ended = stop(p)
    left = left_behind()
    ok(full and waker and woken and refused and ended and not left,
       'bell: it is full, and the Waker does not sleep on it', full, waker,
       woken, refused, left)


def fought():
    """An attack that was turned away at once says `held' as well."""
    for name, (what, least) in FOUGHT.items():
        p = launch(name.split(), options=['--trace-summary'])
        try:
            err = p.communicate(timeout=60)[1].decode('latin1')
        except subprocess.TimeoutExpired:
            ok(False, name, 'hangs', stop(p, signal.SIGKILL), left_behind())
            continue
        found = re.search(rf'^lguest: {what} +(\d+)', err, re.M)
        ok(found and int(found[1]) >= least and not left_behind(),
           f'{name} has fought: {what}, {least} or more', err)


def mute(name):
    """A Guest that nobody hears of any more ends with its Launcher."""
    p = launch(name.split())
    time.sleep(.3)
    # Its last words are heard all the same if the Waker happens to call;
    # but who only spins has none.
    ended = p.poll()
    good = stop(p) if ended is None else ended == 1 and name != 'quiet'
    left = left_behind()
    ok(good and not left and not canary.dead(),
       f'{name}: the Launcher is alive, and ends when told to', left)


def lists():
    for name, allowed in LISTS.items():
        out = attack(name, HELD)
        found = out and {int(n, 16) for n in
                         re.search('allowed:(.*)', out[0])[1].split()}
        ok(out and found <= allowed,
           f'{name}: no other call than the filters allow', found)


def jump(name, offsets, bad):
    """A Guest that is somewhere else at once."""
    for offset in offsets:
        p = launch([name, f'{offset:x}'])
        try:
            out, err = p.communicate(timeout=.5)
        except subprocess.TimeoutExpired:
            if not stop(p):
                bad.append((offset, 'does not end when told to'))
            continue        # it slept or span: that is allowed
        if p.returncode != 1 or b'LOST' in err or err.count(b'\n') != 1:
            bad.append((offset, p.returncode, err))


def jumps():
    seed = random.randrange(1 << 32)
    print(f'# seed {seed}')
    pick = random.Random(seed)
    size = os.path.getsize(f'{BASE}/host.elf.bare')
    every = range(size) if THOROUGH else pick.sample(range(size), 40)
    bad = []
    jump('hostjump', every, bad)
    ok(not bad and not left_behind() and not canary.dead(),
       f'{len(every)} jumps into the Host hurt nobody else', bad)
    every = [*range(0 if THOROUGH else pick.randrange(3), 160,
                    1 if THOROUGH else 3), 4095]
    for name in 'gatejump', 'gatejump32':
        jump(name, every, bad)
    ok(not bad and not left_behind() and not canary.dead(),
       f'{len(every)} jumps into the gate page, in either mode', bad)
    first = pick.randrange(5)
    attack(f'viewjump {0 if THOROUGH else first} {1 if THOROUGH else 5}',
           HELD)


def pages():
    """Each page of the Host's data, overwritten, but for two large arrays:
    the pool of tables and the signal stack, of each of which the first."""
    base, pages = 0x100000000000, set()
    for line in subprocess.run(['nm', '-S', f'{BASE}/host.elf'], check=True,
                               capture_output=True, text=True
                               ).stdout.splitlines():
        word = line.split()
        if len(word) == 4 and word[2] in 'dDbB':
            first = int(word[0], 16) - base >> 12
            last = (int(word[0], 16) + int(word[1], 16) - 1 - base) >> 12
            pages |= {first, last} if last - first > 12 else {
                *range(first, last + 1)}
    ends = [attack(f'hostdata {page:x}', HURT) for page in sorted(pages)]
    fatal = [line for _, line in filter(None, ends)
             if not line.endswith(': held')]
    ok(fatal, f"hostdata: {len(fatal)} of the Host's {len(pages)} pages "
       'mattered', ends)


class Terminal:
    """The teaching Guest on a terminal of its own."""

    def __init__(self):
        self.master, slave = pty.openpty()
        self.p = subprocess.Popen(
            [f'{B}/lguest', f'--initrd={BASE}/attack.tar', '64',
             f'{BASE}/guest'], stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, pass_fds=[canary.fd],
            cwd=canary.dir.name)
        os.close(slave)
        self.seen = ''
        self.expect(r'lguest# ')

    def expect(self, pattern, limit=30):
        end = time.time() + limit
        while not (found := re.search(pattern, self.seen)):
            left = end - time.time()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise TimeoutError(f'{pattern!r} not in {self.seen[-500:]!r}')
            try:
                data = os.read(self.master, 4096)
            except OSError:
                data = b''
            if not data:
                raise EOFError(f'{pattern!r} not in {self.seen[-500:]!r}')
            self.seen += data.decode('latin1')
        self.seen = self.seen[found.end():]
        return found

    def say(self, line, pattern, limit=30):
        os.write(self.master, line.encode() + b'\n')
        return self.expect(pattern, limit)

    def end(self):
        os.write(self.master, b'halt\n')
        try:
            while os.read(self.master, 4096):
                pass
        except OSError:
            pass
        os.close(self.master)
        return self.p.wait(60)

    def kill(self):
        os.kill(self.p.pid, signal.SIGKILL)
        self.p.wait()
        os.close(self.master)


PROGRAMS = [
    ('reach', 'killed by 11'), ('deaf', 'killed by 11'),
    ('flicker', r'killed by (11|2)'), ('noroom', 'killed by 11'),
    ('ghost', 'exit 0'), ('storm', 'exit 0'), ('wide', 'exit 0'),
    ('tables', 'exit 0'), ('calls', 'exit 0')]
STUBBORN = ('flicker',)


def programs():
    for name, pattern in PROGRAMS:
        if name == 'wide' and not WIDE:
            continue
        t = Terminal()
        try:
            told = rf'attack: {name}: ([^\r\n]*)'
            try:
                found = t.say(f'run attack {name}', told,
                              3 if name in STUBBORN else 60)[1]
            except TimeoutError:    # it runs for ever: that is no offence
                os.write(t.master, b'\x03')
                found = t.expect(told, 10)[1]
            good = ok(re.fullmatch(pattern, found),
                      f'a program: {name}: {pattern}', found)
            t.say('run primes 1000', r'168 primes below 1000')
            t.expect(r'lguest# ')
            t.say('run fpu', r'no number lost')
            t.expect(r'lguest# ')
            rc = t.end()
            ok(good and rc == 0, f'{name}: the shell answers, halt is 0', rc)
        except (TimeoutError, EOFError) as e:
            ok(False, f'{name}: the shell answers', e)
            t.kill()
        left = left_behind()
        ok(not left and not canary.dead(), f'{name}: nothing is left', left,
           canary.dead())


def frozen():
    """Stopped from outside and let go on, as by a debugger, or a nap.

    The Host, the first of the Launcher's children, loses patience with a view
    that does not stop for a second, and a busy machine may keep this test from
    running for as long. So the Host is stopped first and goes on last."""
    t = Terminal()
    try:
        t.say('run spin &', r'lguest# ')
        for _ in range(20):
            with open(f'/proc/{t.p.pid}/task/{t.p.pid}/children') as f:
                pids = [int(n) for n in f.read().split()]
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(.01)
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)
            time.sleep(.01)
        t.say('run primes 1000', r'168 primes below 1000', 120)
        t.expect(r'lguest# ', 120)
        ok(t.end() == 0, 'a Guest that is frozen and thawed goes on')
    except (OSError, EOFError) as e:    # a process that is gone, a time-out, an end
        ok(False, 'a Guest that is frozen and thawed goes on', e)
        t.kill()
    left = left_behind()
    ok(not left, 'frozen: nothing is left', left)


def liar(name, stores, notified, line, *options):
    """A Guest that lies to a device ends with one line, and leaves nothing.
    A store is of 32 bits, so those at lower addresses come first."""
    words = [f'{n:x}' for pair in sorted(stores.items()) for n in pair]
    p = launch(['store', *words, '0', *(f'{n:x}' for n in notified)],
               options=options)
    try:
        err = p.communicate(timeout=60)[1].decode('latin1')
    except subprocess.TimeoutExpired:
        ok(False, name, 'hangs', stop(p, signal.SIGKILL), left_behind())
        return
    left = left_behind()
    ok(p.returncode == 1 and err == f'lguest: {line}\n' and not left and
       not canary.dead(), f'a driver that lies: {name}', p.returncode, err,
       left)


def liars():
    for words in LIARS:
        liar(*words)
    with tempfile.NamedTemporaryFile() as f:
        f.truncate(65536)
        for name, stores, notified, line in DISK_LIARS:
            liar(name, stores, notified, line.format(f.name),
                 f'--block={f.name}')
    for words in ENTROPY_LIARS:
        liar(*words, '--rng')


def traced():
    """What the Guest's processes ask of the host, as strace sees it."""
    log = canary.dir.name + '/../' + os.path.basename(
        canary.dir.name) + '.strace'
    try:
        subprocess.run(
            ['strace', '-f', '-qq', '-o', log, f'{B}/lguest', '64',
             f'{BASE}/attack', 'requests'], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
        with open(log) as f:
            text = f.read()
    except (OSError, subprocess.TimeoutExpired) as e:
        print(f'ok # skip strace: {e}')
        return
    finally:
        if os.path.exists(log):
            os.unlink(log)
    confined, seen = set(), set()
    launcher = text.split(None, 1)[0]   # has a filter of its own: sandbox.t
    for line in text.splitlines():
        pid, call = line.split(None, 1)
        if pid in confined:
            name = re.match(r'(?:<\.\.\. )?(\w+)(?:\(| resumed)', call)
            if name and not re.search(r'\)\s+= (-1|\?)', call):
                seen.add(name[1])
        if ('SECCOMP_MODE_FILTER' in call or 'PR_SET_SECCOMP' in call) and \
                call.endswith('= 0') and pid != launcher:
            confined.add(pid)
    allowed = {'rt_sigreturn', 'clock_gettime', 'timer_settime', 'munmap',
               'modify_ldt', 'close', 'mmap', 'pidfd_send_signal', 'write',
               'read', 'recvmsg', 'futex', 'restart_syscall',
               'sched_yield'}
    ok(len(confined) >= 1 and seen <= allowed,
       'behind the filters only their calls succeed', len(confined),
       seen - allowed)


def main():
    addresses()
    ring()
    for name, pattern in ALONE + GATES + BELOW:
        if name != 'avx' or WIDE:
            attack(name, pattern)
    closed = [row for row in GATES if row[0] in CLOSED]
    for name, pattern in closed + ALONE + BELOW:
        if name != 'avx' or WIDE:
            attack(name, pattern, gates='off')
    fought()
    for name in MUTE:
        mute(name)
    lists()
    bell()
    for words in BAD_CALLS:
        attack('hypercall ' + words, HURT)
    liars()
    pages()
    jumps()
    programs()
    frozen()
    traced()
    done()


main()
