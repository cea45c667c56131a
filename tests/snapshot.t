#!/usr/bin/python3 -B
# also: sanitizers
"""--snapshot and --restore: a Guest goes on where it was, in a new Launcher;
a file that is not whole, or not for it, is refused with one line."""
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from tap import done, ok

B = os.environ.get('B', 'build')
BASE = B[:-5] if B.endswith('/asan') else B
LG = f'{B}/lguest'
TMP = tempfile.mkdtemp(prefix='lguest-snapshot.')
FILE = TMP + '/snapshot'
running = []


class Guest:
    def __init__(self, *options, guest=True, defaults=True):
        machine = (f'--initrd={BASE}/initrd.tar', '64', f'{BASE}/guest')
        self.log = open(f'{TMP}/out.{len(running)}', 'w+b')
        self.p = subprocess.Popen(
            [LG, *options, *(machine if guest else ())],
            stdin=subprocess.PIPE, stdout=self.log, stderr=subprocess.STDOUT,
            restore_signals=defaults)
        running.append(self)

    def text(self):
        with open(self.log.name, encoding='latin1') as f:
            return f.read()

    def wait_for(self, pattern, limit=60, after=0):
        end = time.time() + limit
        while not re.search(pattern, self.text()[after:]):
            if time.time() > end or self.p.poll() is not None:
                return False
            time.sleep(0.02)
        return True

    def type(self, text):
        self.p.stdin.write(text.encode())
        self.p.stdin.flush()

    def snapshot(self):
        seen = len(self.text())
        self.p.send_signal(signal.SIGUSR1)
        return self.wait_for(r'lguest: snapshot: \d+ pages', after=seen)

    def may_write(self, size):
        hard = resource.prlimit(self.p.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.p.pid, resource.RLIMIT_FSIZE, (size, hard))

    def memory(self):
        """How much of the Guest's memory there is, in KiB."""
        for fd in os.listdir(f'/proc/{self.p.pid}/fd'):
            s = os.stat(f'/proc/{self.p.pid}/fd/{fd}')
            if s.st_size > 64 << 20:
                return s.st_blocks // 2
        return 0

    def kill(self):
        self.p.kill()
        self.p.wait()

    def end(self, typed='', limit=120):
        try:
            self.p.stdin.write(typed.encode())
            self.p.stdin.close()
            status = self.p.wait(limit)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.kill()
            status = 'hangs'
        return status


def restored(*options):
    return Guest(f'--restore={FILE}', *options, guest=False)


def half_typed():
    g = Guest(f'--snapshot={FILE}')
    g.wait_for('lguest# ')
    g.type('run hello\n')
    g.wait_for('process 2')
    g.type('run pri')
    g.wait_for('run pri')
    ok(g.snapshot(), 'a snapshot of a Guest at its prompt', g.text())
    size = os.path.getsize(FILE)
    ok(size < 8 << 20, f'pages of zeros take no room ({size} bytes)')
    g.type('mes\n')
    ok(g.wait_for('1229 primes'), 'the Guest itself goes on', g.text())
    g.kill()
    for n in range(2):
        g = restored()
        g.type('mes\n')
        good = g.wait_for('1229 primes')
        status = g.end('run hello\nhalt\n')
        ok(good and status == 0 and 'process 4' in g.text(),
           'a half-typed line goes on, and processes are counted on',
           status, g.text())


def counting():
    """Programs in the middle of their work, in user mode and out of it."""
    bad = []
    for n in range(4):
        g = Guest(f'--snapshot={FILE}')
        g.wait_for('lguest# ')
        g.type('run bench\nrun primes\nrun fpu\nrun forks\n')
        time.sleep(random.uniform(0.1, 1.2))
        if not g.snapshot():
            bad += ['no snapshot', g.text()]
        g.kill()
        before, done = g.text(), g.text().count('1229 primes')
        g = restored()
        g.before = before
        status = g.end('halt\n')
        text = g.text()
        # The first Guest may have got so far between snapshot and end.
        if status or text.count('1229 primes') > 1 or \
                not done + text.count('1229 primes') or \
                'killed' in text or \
                'as I left them' not in g.before + text:
            bad += [status, text]
    ok(not bad, 'four Guests, stopped in the middle of their work, finish it',
       *bad)


def one_each():
    """As many snapshots as signals, also while views are made."""
    g = Guest(f'--snapshot={FILE}')
    g.wait_for('lguest# ')
    g.type('run bench\n' * 20)
    good = 0
    for n in range(6):
        time.sleep(random.uniform(0.05, 0.3))
        good += g.snapshot()
    time.sleep(0.3)
    made = len(re.findall(r'lguest: snapshot: \d+ pages', g.text()))
    g.kill()
    ok(good == made == 6, 'one snapshot for each signal', good, made)


def selftest():
    """Of the Guest's self-test, most is done by a Host that is new."""
    g = Guest(f'--snapshot={FILE}', '64', f'{BASE}/guest', 'selftest',
              guest=False)
    g.wait_for('registers and flags')
    good = g.snapshot()
    g.kill()
    status = restored().end()
    text = running[-1].text()
    # How long a HALT lasts is not to be asked of one that was frozen.
    missed = [x for x in re.findall(r'FAILED: (.*)', text)
              if 'clock' not in x and 'halt' not in x.lower()]
    ok(good and re.search(r'\d+ passed', text) and not missed,
       'the self-test ends well in a restored Guest', status, text)


def disk():
    path = TMP + '/disk'
    with open(path, 'wb') as f:
        f.write(b'before'.ljust(512) + bytes(511 * 512))
    g = Guest(f'--snapshot={FILE}', f'--block={path}', '--rng')
    g.wait_for('lguest# ')
    g.type('disk 0 read 0\n')
    g.wait_for('before')
    g.snapshot()
    g.kill()
    g = restored()
    status = g.end('disk 0 read 0\nrand 4\nrun hello\nhalt\n')
    ok(status == 0 and 'before' in g.text() and 'process' in g.text(),
       'a disk and an entropy device go on', status, g.text())
    with open(path, 'r+b') as f:
        f.write(b'after!')
    p = subprocess.run([LG, f'--restore={FILE}'], capture_output=True,
                       text=True, timeout=60)
    ok(p.returncode == 1 and p.stderr == f'lguest: --restore={FILE}: a disk '
       'has been written to since; restore a copy of it that was made at the '
       'same time\n', 'a disk that has been written to is refused', p.stderr)
    os.unlink(path)
    p = subprocess.run([LG, f'--restore={FILE}'], capture_output=True,
                       text=True, timeout=60)
    ok(p.returncode == 1 and p.stderr.startswith(f'lguest: --block={path}: '),
       'a disk that is gone, too', p.stderr)


def again():
    """A snapshot of a restored Guest, traced; and its reboot."""
    g = Guest(f'--snapshot={FILE}')
    g.wait_for('lguest# ')
    g.snapshot()
    g.kill()
    second = FILE + '2'
    g = restored(f'--snapshot={second}', '--trace-summary')
    g.type('run hello\n')
    g.wait_for('process 2')
    good = g.snapshot()
    g.end('halt\n')
    good = good and 'LGUEST_INIT' not in g.text()
    g = Guest(f'--restore={second}', guest=False)
    g.type('run hello\n')
    good = good and g.wait_for('process 3')
    ok(good, 'a restored Guest can be kept and restored again', g.text())
    g.type('reboot\n')
    good = g.wait_for('Type help')
    status = g.end('run hello\nhalt\n')
    ok(good and status == 0 and 'process 2' in g.text(),
       'and reboots into the kernel it came from', status, g.text())


def goes_on(*options):
    g = restored(*options)
    g.type('run hello\n')
    return g, g.wait_for('Hello from ring 3')


def kept():
    """What is not written to its end does not cost what was there before."""
    g = Guest(f'--snapshot={FILE}', defaults=False)
    g.wait_for('lguest# ')
    before = g.memory()
    g.snapshot()
    after = g.memory()
    ok(0 < before <= after < before + 1024, 'a snapshot does not touch the '
       'pages that the Guest has not', before, after)
    with open(FILE, 'rb') as f:
        whole = f.read()
    g.may_write(len(whole) // 2)
    g.p.send_signal(signal.SIGUSR1)
    good = g.wait_for('cannot write; make room')
    with open(FILE, 'rb') as f:
        good = good and f.read() == whole
    good = good and os.path.getsize(FILE + '.new') == 0
    g.may_write(-1)
    ok(good and g.snapshot(), 'no room: the last one stays, and the next is '
       'written when there is some', g.text())
    g.kill()
    g, good = goes_on(f'--snapshot={FILE}')
    g.may_write(len(whole) // 2)
    g.p.send_signal(signal.SIGUSR1)
    said = g.wait_for('cannot write; make room')
    g.kill()
    g, again = goes_on(f'--snapshot={FILE}')
    ok(good and said and again, 'killed when there was no room: the last one '
       'stays', g.text())
    bad = []
    for n in range(8):
        g.p.send_signal(signal.SIGUSR1)
        time.sleep(random.uniform(0, 0.03))
        g.kill()
        bad += [g.text()] if not good else []
        g, good = goes_on(f'--snapshot={FILE}')
    ok(good and not bad, 'killed at any moment: there is always one', *bad,
       g.text())
    good = g.snapshot()
    g.type('reboot\n')
    good = good and g.wait_for('Type help')
    status = g.end('run hello\nhalt\n')
    ok(good and status == 0 and 'process 2' in g.text(),
       'restored from the file that it is written to, it reboots', status,
       g.text())
    g, good = goes_on(f'--snapshot={FILE}')
    g.type('reboot\n')
    good = good and g.wait_for('Type help')
    g.p.send_signal(signal.SIGUSR1)
    time.sleep(0.3)
    status = g.end('run hello\nhalt\n')
    ok(good and status == 0 and 'process 2' in g.text(),
       'a wish after that is lost, and ends nobody', status, g.text())
    if BASE != B:       # a program that is examined has no fence
        return
    g = Guest(f'--snapshot={FILE}')
    g.wait_for('lguest# ')
    os.unlink(FILE + '.new')
    status = g.end('reboot\n')
    ok(status == 1 and g.text().endswith(
        f'lguest: --snapshot={FILE}.new: cannot open for writing: No such '
        'file or directory\n'), 'a reboot that misses one of its files says '
       'so', status, g.text())


def beside():
    """Killed while the old one is overwritten: the new one is beside it."""
    g = Guest(f'--snapshot={FILE}')
    g.wait_for('lguest# ')
    g.snapshot()
    g.kill()
    shutil.copy(FILE, FILE + '.new')
    os.truncate(FILE, 100000)
    g, good = goes_on(f'--snapshot={FILE}')
    said = (f'lguest: --restore={FILE}: it is damaged; going on from '
            f'{FILE}.new\n')
    g.may_write(50000)
    g.p.send_signal(signal.SIGUSR1)
    good = good and g.wait_for('cannot write; make room')
    g.kill()
    ok(good and said in g.text() and os.path.getsize(FILE + '.new') > 100000,
       'the one beside is taken, and not overwritten while it is the only '
       'one', g.text())
    g, good = goes_on(f'--snapshot={FILE}')
    good = good and g.snapshot() and os.path.getsize(FILE + '.new') == 0
    g.kill()
    g, again = goes_on()
    ok(good and again and 'damaged' not in g.text(),
       'and the next one mends it', g.text())
    g.kill()
    with open(FILE, 'r+b') as f:
        f.write(b'#')
    p = subprocess.run([LG, f'--restore={FILE}'], capture_output=True,
                       text=True, timeout=60)
    ok(p.stderr == f'lguest: --restore={FILE}: it is no snapshot\n',
       'an empty file beside is no help', p.stderr)
    os.unlink(FILE)
    p = subprocess.run([LG, f'--restore={FILE}'], capture_output=True,
                       text=True, timeout=60)
    ok(p.stderr == f'lguest: --restore={FILE}: cannot open: No such file or '
       'directory\n', 'nor for one that is not there', p.stderr)


def refused():
    g = Guest(f'--snapshot={FILE}')
    g.wait_for('lguest# ')
    g.snapshot()
    g.kill()
    with open(FILE, 'rb') as f:
        whole = f.read()
    bad = FILE + '.bad'

    def line(data, *options):
        with open(bad, 'wb') as f:
            f.write(data)
        p = subprocess.run([LG, f'--restore={bad}', *options],
                           capture_output=True, text=True, timeout=60)
        return p.returncode, p.stderr.replace(f'lguest: --restore={bad}: ',
                                              '')
    wrong = {}
    for n in range(60):
        at = random.randrange(len(whole))
        data = bytearray(whole)
        data[at] ^= 1 << random.randrange(8)
        got = line(data)
        if got not in ((1, 'it is damaged\n'), (1, 'it is no snapshot\n')):
            wrong[at] = got
    ok(not wrong, 'a bit that has changed, anywhere', wrong)
    wrong = [n for n in (0, 1, 15, 16, 50, 5000, len(whole) - 1)
             if line(whole[:n])[0] != 1]
    ok(not wrong, 'a file that is cut off', wrong)
    ok(line(whole + b'more') == (1, 'it is damaged\n'), 'one with a tail')
    ok(line(b'\x7fELF' + bytes(5000)) == (1, 'it is no snapshot\n'),
       'another file')
    p = subprocess.run([LG, '--restore=/dev/null'], capture_output=True,
                       text=True)
    ok(p.stderr == 'lguest: --restore=/dev/null: it is no snapshot\n',
       'a device', p.stderr)
    ok(line(whole, '64', 'kernel') == (
        1, 'memory, devices and kernel are in the file; name none\n'),
       'a kernel besides', line(whole, '64', 'kernel'))

    def resum(data):
        """The sum is put right: damage by somebody who means it."""
        total = 0xcbf29ce484222325
        for i in range(0, len(data) - 8, 8):
            total = ((total ^ int.from_bytes(data[i:i + 8], 'little')) *
                     0x100000001b3) % 2 ** 64
        return data[:-8] + total.to_bytes(8, 'little')
    data = bytearray(whole)
    data[16:24] = b'\xff' * 7 + b'\x7f'
    ok('counter (TSC) is behind' in line(resum(data))[1],
       'a time that has not come yet')
    hang = []
    state = 48 + int.from_bytes(whole[32:36], 'little') + \
        296 * int.from_bytes(whole[36:40], 'little')
    for n in range(12):
        data = bytearray(whole)
        for _ in range(1 + n):
            at = random.randrange(48, state + 3808)
            data[at] = random.randrange(256)
        with open(bad, 'wb') as f:
            f.write(resum(data))
        g = Guest(f'--restore={bad}', guest=False)
        status = g.end('halt\n', limit=20)
        if status not in (0, 1, 2, 'hangs'):
            hang += [n, status, g.text()]
    ok(not hang, 'a forged one may hang or die, and nobody else', *hang)
    pipe = TMP + '/pipe'
    os.mkfifo(pipe)
    for path in '/dev/null', '/dev/full', pipe:
        p = subprocess.run([LG, f'--snapshot={path}', '64', f'{BASE}/guest'],
                           stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, timeout=60)
        ok(p.returncode == 1 and p.stderr == f'lguest: --snapshot={path}: not '
           'a regular file; name one, or one that is to be made\n',
           f'--snapshot={path}', p.returncode, p.stderr)
    g = Guest(f'--snapshot={FILE}')
    g.wait_for('lguest# ')
    g.may_write(50000)
    g.p.send_signal(signal.SIGUSR1)
    good = g.wait_for('cannot write; make room')
    ok(good and g.end('halt\n') == 0, 'no room: the Guest goes on',
       g.text())
    p = subprocess.run([LG, '--snapshot=/nonexistent/x', '64',
                        f'{BASE}/guest'], capture_output=True, text=True)
    ok(p.returncode == 1 and 'cannot open for writing' in p.stderr,
       'no place for it', p.stderr)
    none = TMP + '/none'
    for name, *words in ((none, '64', none), (TMP, '64', TMP),
                         (none, f'--initrd={none}', '64', f'{BASE}/guest')):
        made = tempfile.mkdtemp(dir=TMP)
        p = subprocess.run([LG, f'--snapshot={made}/x', *words],
                           capture_output=True, text=True, timeout=60)
        ok(p.returncode == 1 and len(p.stderr.splitlines()) == 1 and
           name in p.stderr and not os.listdir(made),
           f'{" ".join(words)}: nothing is left behind', p.stderr,
           os.listdir(made))


def main():
    random.seed(int(os.environ.get('SEED', '1')))
    try:
        half_typed()
        one_each()
        counting()
        selftest()
        disk()
        again()
        kept()
        beside()
        refused()
    finally:
        for g in running:
            if g.p.poll() is None:
                g.kill()
        shutil.rmtree(TMP)
    done()


main()
