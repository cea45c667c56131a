#!/usr/bin/python3 -B
"""A genuine Linux Guest, if you bring one: the acceptance test.

    make check LGUEST_VMLINUX=/path/to/vmlinux LGUEST_INITRD=/path/to/initrd

LGUEST_VMLINUX is a vmlinux or a bzImage (several, with blanks between, are
tried one after the other); LGUEST_INITRD an initramfs that holds a static
i386 /bin/busybox. The chapter `A real Guest' tells which options the kernel
needs. Without them everything is skipped. LGUEST_OPTIONS are handed to the
Launcher; STRESS=SECONDS says how long each check of tests/linux_guest.c runs.
"""
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from guest_console import B, Guest
import tap

KERNELS = os.environ.get('LGUEST_VMLINUX', '').split()
INITRD = os.environ.get('LGUEST_INITRD', '')
OPTIONS = os.environ.get('LGUEST_OPTIONS', '').split()
STRESS = int(os.environ.get('STRESS', '3'))
HOST, GUEST = '10.77.0.1', '10.77.0.2'
PROMPT = 'guest# '
MIB = 100                       # of TCP in each direction

# The first program of the Guest: what busybox has, under its names, and a
# shell whose terminal is the console, so that it has job control. (Children
# of process 1 have not.) When the shell ends, process 1 does, and that is a
# panic. (A C library of today cannot read directories on the oldest kernels,
# so nothing here does, and the devices are made by name if they must be.)
INIT = f'''#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /lguest/bin /proc /sys /dev /mnt /mnt2 /tmp
$b --install -s /lguest/bin
export PATH=/lguest/bin:/lguest HOME=/ TERM=dumb
mount -t proc none /proc
mount -t sysfs none /sys
make() {{ mknod /dev/$1 $3 $(cat /sys/$2/dev | tr : " "); }}
mount -t devtmpfs none /dev 2> /tmp/no || {{
	mount -t tmpfs none /dev
	mknod /dev/hvc0 c 229 0
	make null class/mem/null c
	make urandom class/mem/urandom c
	make hwrng class/misc/hw_random c
	make vda block/vda b
	make vdb block/vdb b
}} 2> /tmp/no
mount -t tmpfs none /tmp
ifconfig lo 127.0.0.1
setsid sh -c 'PS1="{PROMPT}" exec sh -i <>/dev/hvc0 >&0 2>&1'
'''


def cpio(files):
    """A newc archive of {name: (mode, content)}."""
    out = b''
    for number, (name, (mode, data)) in enumerate(
            [*files.items(), ('TRAILER!!!', (0, b''))]):
        head = '070701' + ''.join(f'{n:08x}' for n in (
            number + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
            len(name) + 1, 0))
        out += head.encode() + name.encode() + b'\0'
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out


def make_initrd(tmp):
    """The user's initramfs, and behind it another with what we need."""
    program = f'{tmp}/linux_guest'
    subprocess.run(
        [os.environ.get('CC', 'gcc'), '-m32', '-march=i686', '-O1',
         '-std=gnu11', '-Wall', '-Wextra', '-Werror', '-static', '-nostdlib',
         '-ffreestanding', '-fno-builtin', '-fno-pic', '-fno-pie', '-no-pie',
         '-fno-stack-protector', '-fno-tree-loop-distribute-patterns',
         '-mincoming-stack-boundary=2', '-Wl,--build-id=none',
         '-o', program, 'tests/linux_guest.c'], check=True)
    with open(INITRD, 'rb') as f:
        theirs = f.read()
    with open(program, 'rb') as f:
        ours = cpio({'lguest': (0o040755, b''),
                     'lguest/init': (0o100755, INIT.encode()),
                     'lguest/linux_guest': (0o100755, f.read())})
    path = f'{tmp}/initrd'
    with open(path, 'wb') as f:
        f.write(theirs + bytes(-len(theirs) % 512) + ours)
    return path


class Linux(Guest):
    def __init__(self, tmp, kernel, *options, mem='64', words=()):
        super().__init__(*OPTIONS, *options, mem=mem, kernel=kernel,
                         initrd=f'{tmp}/initrd',
                         words=['quiet', 'rdinit=/lguest/init', *words])
        self.asked = 0
        self.booted = self.until(PROMPT, 60)

    def ask(self, line, seconds=60):
        """(what a command prints, its status)"""
        self.asked += 1
        self.send(f'echo ">"{self.asked}; {line}; echo "<"{self.asked}:$?"<"\n')
        self.until(f'>{self.asked}\r\n', seconds)      # behind all echoes
        text = self.until(f'<{self.asked}:', seconds)
        status = self.until('<', seconds)
        self.until(PROMPT, seconds)
        if not status:
            return f'no answer; so far: {self.text[-2000:]!r}', None
        return text.replace('\r', '').rpartition('<')[0], int(status[:-1])

    def poweroff(self):
        self.send('poweroff -f\n')
        return self.end(60)


def said(g, line, seconds=60):
    return g.ask(line, seconds)[0].strip()


# ---- what must work ------------------------------------------------------------
def boots(tmp, kernel):
    g = Linux(tmp, kernel, '--rng')
    if not tap.ok(g.booted, 'boots to a shell', g.text[-2000:]):
        g.kill()
        return False
    first = said(g, 'uname -srm')
    tap.ok('Linux' in first and '86' in first, f'is {first}')
    a, b = (said(g, 'dd if=/dev/hwrng bs=16 count=1 2>/dev/null | md5sum')
            for _ in 'ab')
    tap.ok(len(a) == 35 and a != b, '/dev/hwrng gives other bytes each time',
           a, b)
    clocks(g)
    jobs(g)
    r = g.poweroff()
    tap.ok(r[0] == 0 and r[2] == '', 'poweroff ends with status 0', r)
    return True


def clocks(g):
    now = time.time()
    there = said(g, '/lguest/linux_guest date')
    tap.ok(there.isdigit() and abs(int(there) - now) < 5,
           'knows what time it is', there, now)
    up = float(said(g, 'cat /proc/uptime').split()[0])
    start = time.monotonic()
    _, status = g.ask('sleep 10')
    slept = time.monotonic() - start
    there = float(said(g, 'cat /proc/uptime').split()[0]) - up
    tap.ok(status == 0 and 9.9 < slept < 60, '`sleep 10\' takes ten seconds',
           slept)
    tap.ok(abs(there - slept) < 1 + slept / 20,
           'and its clock agrees with ours', there, slept)


def jobs(g):
    g.send('sleep 1000\n')
    time.sleep(1)
    g.send('\x03')
    tap.ok(g.until(PROMPT, 30), '^C reaches the job in the foreground')
    g.send('sleep 1000\n')
    time.sleep(1)
    g.send('\x1a')
    tap.ok('Stopped' in g.until(PROMPT, 30) + said(g, 'jobs'),
           '^Z stops it')
    g.ask('bg')
    tap.ok('Running' in said(g, 'jobs'), '`bg\' continues it')
    g.send('fg\n')
    time.sleep(1)
    g.send('\x03')
    g.until(PROMPT, 30)
    tap.ok(said(g, 'jobs') == '', 'and `fg\' brings it back to ^C')


def loops(tmp, kernel):
    g = Linux(tmp, kernel)
    r = g.ask('i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo $i')
    tap.ok(r == ('20000\n', 0), 'a loop of the shell', r)
    r = g.ask('i=0; while [ $i -lt 300 ]; do i=$(/bin/busybox expr $i + 1);'
              ' done; echo $i', 120)
    tap.ok(r == ('300\n', 0), 'a loop of three hundred programs', r)
    for what in 'tls', 'fpu', 'avx', 'signals', 'memory', 'stress':
        seconds = STRESS if what == 'stress' else min(STRESS, 10)
        text, status = g.ask(f'/lguest/linux_guest {what} {seconds}',
                             seconds + 120)
        if text.startswith('skip'):
            tap.skip(f'linux_guest {what}', text.strip())
        else:
            tap.ok(status == 0 and f'ok {what}' in text,
                   f'linux_guest {what}, {seconds} s', text, status)
    neighbours(g)
    idle(g)
    r = g.poweroff()
    tap.ok(r[0] == 0, 'and poweroff', r)


def neighbours(g):
    """A program's page that its kernel has touched has a neighbour in its two
    mebibytes, so that the page table stays when the page goes (ch:shadow)."""
    host = [p for p in children(g.p.pid)
            if 'lguest-host' in os.readlink(f'/proc/{p}/exe')]
    with open(f'/proc/{host[0]}/maps') as f:
        low = [(int(m[1], 16), int(m[2], 16), m[3]) for m in
               (re.match(r'(\w+)-(\w+) (\S+)', line) for line in f)
               if int(m[1], 16) < 0xC0000000]
    pages = [at for at, _, rights in low if rights[0] == 'r']
    alone = [hex(at) for at in pages
             if not any(a != at and at >> 21 in (a >> 21, end - 1 >> 21)
                        for a, end, _ in low)]
    tap.ok(pages and not alone, 'no page of a program that its kernel has '
           'touched is alone in its page table', alone, low)


def ticks(pid):
    """Of a process and its children."""
    total = 0
    for p in [pid, *children(pid)]:
        try:
            with open(f'/proc/{p}/stat') as f:
                words = f.read().rpartition(')')[2].split()
            total += int(words[11]) + int(words[12])
        except OSError:
            pass
    return total


def children(pid):
    out = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(pid)],
                         capture_output=True, text=True).stdout.split()
    return [c for p in map(int, out) for c in (p, *children(p))]


def idle(g):
    before = ticks(g.p.pid)
    time.sleep(5)
    used = ticks(g.p.pid) - before
    tap.ok(used <= 10, 'idle costs no processor time',
           f'{used} ticks in 5 s')


def parked(tmp, kernel):
    """A view that has stopped needs the processor to go to sleep. On a single
    one it must be given it, or be killed as if it had lied (ch:views)."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        g = Linux(tmp, kernel)
    finally:
        os.sched_setaffinity(0, allowed)
    programs = ('i=0; while [ $i -lt 300 ]; do /bin/busybox true; i=$((i+1)); '
                'done; echo $i')
    g.ask(programs, 120)
    before = set(children(g.p.pid))
    r = g.ask(programs, 120)
    tap.ok(r == ('300\n', 0) and before and before <= set(children(g.p.pid)),
           'on one processor no view of an honest program is killed',
           r, before, children(g.p.pid))
    g.poweroff()


def frozen(tmp, kernel):
    """What the Host has changed in the kernel's code it knows again when the
    Guest goes on in another process."""
    path = f'{tmp}/frozen'
    g = Linux(tmp, kernel, f'--snapshot={path}')
    g.ask('i=0; while [ $i -lt 20 ]; do /bin/busybox true; i=$((i+1)); done')
    g.p.send_signal(signal.SIGUSR1)
    end = time.monotonic() + 60
    while time.monotonic() < end and not os.path.getsize(path):
        time.sleep(0.1)
    g.kill()
    g.end()
    r = subprocess.run(
        [f'{B}/lguest', f'--restore={path}'], text=True, timeout=120,
        capture_output=True, errors='replace', input='for i in 1 2 3 4 5 6; '
        'do /bin/busybox echo go$i; done; poweroff -f\n')
    tap.ok(r.returncode == 0 and 'go6' in r.stdout,
           'frozen, and programs start in another process', r)


def disks(tmp, kernel):
    """Written, synced, found again after a reboot, clean for fsck."""
    images = [f'{tmp}/ext2', f'{tmp}/ext4']
    plain = 'none,has_journal,extents,filetype,sparse_super'
    for image, words in zip(images, (['ext2'], ['ext4', '-O', plain])):
        subprocess.run(['mke2fs', '-q', '-F', '-t', *words, image, '32M'],
                       check=True, capture_output=True)
    g = Linux(tmp, kernel, *(f'--block={i}' for i in images))
    known = said(g, 'cat /proc/filesystems').split()
    for disk, kind, image in zip('ab', ('ext2', 'ext4'), images):
        if kind not in known:
            tap.skip(f'/dev/vd{disk}', f'this kernel has no {kind}')
            continue
        one_disk(g, disk, kind)
    g.send('reboot -f\n')
    tap.ok(g.until(PROMPT, 60), 'reboot -f, and it boots again')
    for disk, kind, image in zip('ab', ('ext2', 'ext4'), images):
        if kind in known:
            r = g.ask(f'mount -t {kind} /dev/vd{disk} /mnt && '
                      'cd /mnt && md5sum -c sums; cd /; umount /mnt')
            tap.ok(r[1] == 0 and r[0].count(': OK') == 2,
                   f'{kind}: all is there after the reboot', r)
    r = g.poweroff()
    tap.ok(r[0] == 0, 'and poweroff', r)
    for image in images:
        r = subprocess.run(['e2fsck', '-f', '-n', image], text=True,
                           capture_output=True)
        tap.ok(r.returncode == 0, f'e2fsck finds nothing in {image[-4:]}', r)


def one_disk(g, disk, kind):
    r = g.ask(f'mount -t {kind} /dev/vd{disk} /mnt')
    tap.ok(r[1] == 0, f'/dev/vd{disk}: mount {kind}', r)
    r = g.ask('dd if=/dev/urandom of=/mnt/random bs=64k count=100 && '
              'mkdir /mnt/d && cp /lguest/linux_guest /mnt/d && '
              'cp /mnt/random /mnt/copy && cmp /mnt/random /mnt/copy', 120)
    tap.ok(r[1] == 0, f'{kind}: write and read', r)
    r = g.ask('cd /mnt && md5sum random copy > sums && cd / && sync && '
              'umount /mnt')
    tap.ok(r[1] == 0, f'{kind}: sync and umount', r)


# ---- the network -----------------------------------------------------------------
def network(tmp, kernel):
    if not in_namespace:
        tap.skip('eth0', 'no network namespaces with taps here')
        return
    g = Linux(tmp, kernel, f'--tunnet={HOST}', mem='256')
    r = g.ask(f'ifconfig eth0 {GUEST}')
    tap.ok(r[1] == 0, 'eth0 goes up', r)
    r = g.ask(f'ping -c 3 {HOST}')
    tap.ok(r[1] == 0 and ' 0% packet loss' in r[0], 'pings the host', r)
    r = subprocess.run(['ping', '-n', '-c', '3', GUEST], text=True,
                       capture_output=True)
    tap.ok(' 0% packet loss' in r.stdout, 'the host pings the Guest', r)
    data = os.urandom(MIB << 20)
    sum_ = hashlib.md5(data).hexdigest()
    with socket.create_server((HOST, 5000)) as s:
        s.settimeout(60)
        threading.Thread(target=serve, args=(s, data), daemon=True).start()
        r = g.ask(f'nc {HOST} 5000 < /dev/null > /tmp/f; md5sum < /tmp/f',
                  200)
        tap.ok(r[0].strip() == f'{sum_}  -', f'{MIB} MiB of TCP in', r)
    with socket.create_server((HOST, 5001)) as s:
        s.settimeout(60)
        got = []
        t = threading.Thread(target=receive, args=(s, got), daemon=True)
        t.start()
        r = g.ask(f'nc {HOST} 5001 < /tmp/f', 200)
        t.join(60)
        tap.ok(got == [sum_], 'and out again', r, got)
    r = g.poweroff()
    tap.ok(r[0] == 0, 'and poweroff', r)


def serve(listener, data):
    try:
        with listener.accept()[0] as c:
            c.sendall(data)
    except OSError as e:
        print('# the sender:', e)


def receive(listener, got):
    digest = hashlib.md5()
    try:
        with listener.accept()[0] as c:
            while piece := c.recv(1 << 20):
                digest.update(piece)
        got.append(digest.hexdigest())
    except OSError as e:
        print('# the receiver:', e)


def panics(tmp, kernel):
    g = Linux(tmp, kernel)
    g.send('exit\n')
    r = g.end(60)
    tap.ok(r[0] == 1 and re.search(
        r'lguest: the Guest died: .*Attempted to kill init', r[2]),
        'a panic is its last words, and status 1', r)


def enter_namespace():
    """Start again in a network namespace, if one can be had."""
    if os.environ.get('IN_NAMESPACE'):
        subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
        return True
    for flags in ('-n', '-rn'):
        if subprocess.run(
                ['unshare', flags, 'sh', '-c', 'command -v ping && ip link '
                 'set lo up && ip tuntap add dev t0 mode tap'],
                capture_output=True).returncode == 0:
            os.environ['IN_NAMESPACE'] = '1'
            os.execvp('unshare', ['unshare', flags, sys.executable, '-B',
                                  __file__, *sys.argv[1:]])
    return False


if not KERNELS or not INITRD:
    print('1..0 # skip bring a Linux Guest: make check '
          'LGUEST_VMLINUX=... LGUEST_INITRD=...')
    raise SystemExit
in_namespace = enter_namespace()
tmp = tempfile.mkdtemp(prefix='lguest-linux.')
try:
    make_initrd(tmp)
    for kernel in KERNELS:
        print('#', kernel)
        parts = (boots, loops, parked, frozen, disks, network, panics)
        for part in parts:
            if not sys.argv[1:] or part.__name__ in sys.argv[1:]:
                if part(tmp, kernel) is False:
                    break
finally:
    shutil.rmtree(tmp)
tap.done()
