#!/usr/bin/python3 -B
# also: sanitizers
"""The network, in a network namespace of its own: Guests, taps, a bridge.

Needs the right to make namespaces (root, or user namespaces) and, in them,
/dev/net/tun; else everything is skipped.
"""
import fcntl
import hashlib
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from tap import child, done, ok

B = os.environ.get('B', 'build')
ASAN = os.path.basename(B) == 'asan'
T = os.path.join(os.path.dirname(B) if ASAN else B, 't')
TIMEOUT = float(os.environ.get('GUEST_TIMEOUT', '20'))
HOST, GUEST = '10.77.0.1', '10.77.0.2'


def sh(*words, check=True, **more):
    return subprocess.run(words, check=check, capture_output=True, text=True,
                          **more)


class Guest:
    def __init__(self, *words, args=(), mem='24', machine=True):
        if machine:
            words = f'--initrd={B}/initrd.tar', mem, f'{B}/guest', *words
        self.p = subprocess.Popen(
            [f'{B}/lguest', *args, *words], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.text = b''
        if machine:
            self.until('lguest# ')

    def until(self, what, seconds=TIMEOUT):
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

    def ask(self, line, seconds=TIMEOUT):
        """What the shell answers to a line."""
        self.p.stdin.write(line.encode() + b'\n')
        self.p.stdin.flush()
        self.until(line + '\n', seconds)
        return self.until('lguest# ', seconds)[:-len('lguest# ')]

    def numbers(self):
        """The counters that `net' shows."""
        text = self.ask('net')
        return {name: int(n) for n, name in re.findall(
            r'(\d+) (interrupts|frames in|out|dropped|bad sums|pings answered'
            r'|frames mirrored|datagrams sunk)', text)}

    def end(self, seconds=TIMEOUT):
        """(exit status, stderr)"""
        try:
            self.p.stdin.write(b'halt\n')
            self.p.stdin.flush()
        except BrokenPipeError:
            pass
        try:
            out, err = self.p.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.communicate()
            return None, ''
        return self.p.returncode, err.decode('latin-1')


def ping(address, *more):
    return sh('ping', '-n', '-q', '-W', '2', '-c', '1', *more, address,
              check=False).returncode == 0


def taps():
    return re.findall(r'^\d+: (tap\d+)', sh('ip', '-o', 'link').stdout, re.M)


def gone(name, seconds=5):
    end = time.monotonic() + seconds
    while name in taps():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def mirror(size, address=GUEST):
    """Send size random bytes to the TCP mirror; are they the same?"""
    data = os.urandom(size)
    with socket.create_connection((address, 7), timeout=TIMEOUT) as s:
        def send():
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        threading.Thread(target=send, daemon=True).start()
        got = hashlib.sha256()
        try:
            while piece := s.recv(1 << 20):
                got.update(piece)
        except OSError as e:
            return str(e)
    return got.digest() == hashlib.sha256(data).digest() or 'other bytes'


def pings():
    g = Guest(f'ip={GUEST}/24', args=[f'--tunnet={HOST}:02:00:00:00:77:02'])
    about = sh('ip', 'addr', 'show', 'tap0', check=False).stdout
    ok('10.77.0.1/24' in about and ',UP' in about,
       'a tap with the address, and up', about)
    ok(ping(GUEST), 'the Guest answers a ping')
    ok(ping(GUEST, '-s', '1472'), 'and one of 1500 bytes')
    table = sh('ip', 'neigh', 'show', GUEST).stdout
    ok('02:00:00:00:77:02' in table, 'from the address it was given', table)
    ok(g.ask(f'ping {HOST} 3').count(f'{HOST} answered') == 3,
       'the Guest pings the host')
    ok('no such neighbour' in g.ask('ping 10.77.0.99'),
       'nobody answers for 10.77.0.99')
    ok('no way leads there' in g.ask('ping 10.78.0.1'),
       'there is no gateway')
    ok('which address' in g.ask('ping 10.77.0.256'), 'no such address')
    before = g.numbers()
    ok(ping(GUEST, '-c', '20', '-i', '0.01'), 'twenty pings')
    after = g.numbers()
    ok(after['pings answered'] == before['pings answered'] + 20,
       'and twenty were counted', before, after)
    datagrams(g)
    frames(g)
    status, err = g.end()
    ok(status == 0 and err == '', 'and the Guest ends well', status, err)
    ok(gone('tap0'), 'the tap went with its Launcher', taps())


def datagrams(g, name='offloads'):
    good = True
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.connect((GUEST, 7))
        for n in [*range(64), *range(100, 1472, 97), 1471, 1472]:
            data = os.urandom(n)
            s.send(data)
            try:
                good = s.recv(2000) == data and good
            except TimeoutError:
                good = False
                break
    ok(good and g.numbers()['bad sums'] == 0,
       f'UDP datagrams of 0 to 1472 bytes come back, with {name}')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.3)
        s.bind((HOST, 7))
        s.sendto(b'ping-pong', (GUEST, 7))
        try:
            ok(not s.recv(100), 'a mirror does not talk to a mirror')
        except TimeoutError:
            ok(True, 'a mirror does not talk to a mirror')


def checksum(data):
    total = sum(struct.unpack(f'>{len(data) // 2}H', data[:len(data) & ~1]))
    total += data[-1] << 8 if len(data) & 1 else 0
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def ip_header(protocol, data_length):
    h = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + data_length, 1, 0, 64,
                    protocol, 0, socket.inet_aton(HOST),
                    socket.inet_aton(GUEST))
    return h[:10] + struct.pack('>H', checksum(h)) + h[12:]


def pseudo(protocol, data_length):
    return (socket.inet_aton(HOST) + socket.inet_aton(GUEST) +
            struct.pack('>HH', protocol, data_length))


def raw(name='tap0'):
    """A socket for frames of an interface, with vnet headers."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(263, 15, 1)            # SOL_PACKET, PACKET_VNET_HDR
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    s.bind((name, 3))
    s.settimeout(5)
    return s


def frames(g):
    """Frames made by hand."""
    def mac(name):
        said = sh('ip', 'link', 'show', name).stdout
        return bytes.fromhex(said.split('link/ether ')[1][:17]
                             .replace(':', ''))
    ethernet = bytes.fromhex('020000007702') + mac('tap0') + b'\x08\x00'
    none = bytes(10)
    s = raw()

    def back(match):
        """The frame that comes back and has match in it."""
        try:
            while True:
                got = s.recv(1 << 17)
                if match in got and got[16:22] == ethernet[:6]:
                    return got
        except TimeoutError:
            return b''

    def udp(data, wrong=0, to=7):
        h = struct.pack('>HHHH', 4242, to, 8 + len(data), 0)
        total = checksum(pseudo(17, 8 + len(data)) + h + data) ^ wrong
        return (ethernet + ip_header(17, 8 + len(data)) + h[:6] +
                struct.pack('>H', total) + data)
    s.send(none + udp(b'right sum'))
    ok(b'right sum' in back(b'right sum'), 'a right sum is mirrored')
    before = g.numbers()
    s.send(none + udp(b'wrong sum', wrong=1))
    s.send(none + udp(b'wrong sum', wrong=0x8000))
    s.send(none + udp(b'cut', to=9)[:40])
    s.send(none + ethernet + b'\x45')
    after = g.numbers()
    ok(after['bad sums'] == before['bad sums'] + 2, 'a wrong one is counted',
       before, after)
    ok(after['dropped'] == before['dropped'] + 2, 'so are cut frames',
       before, after)
    for n in range(65536):              # a sum that carries when changed
        echo = struct.pack('>BBHHH', 8, 0, 0, n, 1) + b'carry me round'
        total = checksum(echo)
        if total >= 0xf8ff and total & 0xff == 0xff:
            break
    echo = echo[:2] + struct.pack('>H', total) + echo[4:]
    s.send(none + ethernet + ip_header(1, len(echo)) + echo)
    got = back(b'carry me round')[44:44 + len(echo)]
    ok(got and got[0] == 0 and checksum(got) == 0,
       'a ping whose sum wraps around', got)
    large(s, ethernet, back)
    s.close()


def large(s, ethernet, back):
    """The largest TCP frame a tap takes uncut, unfinished, and back."""
    data = os.urandom(65535 - 54)
    tcp = struct.pack('>HHIIBBHHH', 4242, 7, 1000, 2000, 0x50, 0x10, 512, 0, 0)
    part = checksum(pseudo(6, 20 + len(data))) ^ 0xffff
    tcp = tcp[:16] + struct.pack('>H', part) + tcp[18:]
    frame = ethernet + ip_header(6, 20 + len(data)) + tcp + data
    vnet = struct.pack('<BBHHHH', 1, 1, 54, 1460, 34, 16)
    s.send(vnet + frame)
    got = back(data[-32:])
    ok(len(got) == 10 + len(frame) == 65545, 'a frame of 65,535 bytes is back '
       'in one piece', len(got))
    ok(got[-len(data):] == data, 'with all its bytes')
    ok(got[:2] == vnet[:2] and got[4:10] == vnet[4:10],
       'and with the note how to cut and sum it', got[:10])


def offloads():
    for words, name in ((), 'large frames'), (('offload=off',), 'small ones'):
        g = Guest(f'ip={GUEST}', *words, args=[f'--tunnet={HOST}'])
        size = 20_000_000
        before = g.numbers()
        same = mirror(size)
        after = g.numbers()
        n = after['frames in'] - before['frames in']
        ok(same is True, f'20 MB of TCP there and back in {name}', same)
        ok(n < size / 8000 if not words else n > size / 1500,
           f'which were {name}: {n}')
        ok(after['bad sums'] == 0, 'no bad sums', after)
        datagrams(g, name)
        g.end()


def ethtool(name, command, value):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        data = bytearray(struct.pack('II', command, value))
        keep = (len(data), data)
        import ctypes
        buffer = (ctypes.c_char * 8).from_buffer(keep[1])
        fcntl.ioctl(s, 0x8946, struct.pack('16sQ16x', name.encode(),
                                           ctypes.addressof(buffer)))


def cut_on_the_way():
    """A client behind a wire that neither sums nor cuts: the kernel must do
    both, in software, for what the Guest sends."""
    sh('ip', 'link', 'add', 'br0', 'type', 'bridge')
    sh('ip', 'link', 'set', 'br0', 'up')
    sh('ip', 'link', 'add', 'wire0', 'type', 'veth', 'peer', 'name', 'wire1')
    sh('ip', 'link', 'set', 'wire0', 'master', 'br0', 'up')
    for command in 0x1f, 0x25, 0x17:    # TSO, GSO, TX checksums
        try:
            ethtool('wire0', command, 0)
        except OSError as e:
            print('# ethtool', hex(command), e)
    client = subprocess.Popen(
        ['unshare', '-n', sys.executable, __file__, 'client'],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=dict(os.environ, IN_NAMESPACE='1'))
    client.stdout.readline()
    sh('ip', 'link', 'set', 'wire1', 'netns', str(client.pid))
    g = Guest(f'ip={GUEST}', args=['--tunnet=bridge:br0'])
    said, _ = client.communicate('go\n', timeout=60)
    ok('same True' in said, '10 MB through the bridge, cut and summed by the '
       'kernel on the way back', said)
    longest = re.search(r'longest (\d+)', said)
    ok(longest and int(longest[1]) <= 1514, 'indeed they were cut', said)
    ok(g.numbers()['frames in'] < 10_000_000 / 3000,
       'though not on the way to the Guest')
    two_guests(g)
    sh('ip', 'link', 'del', 'br0')


def client():
    print('here', flush=True)
    sys.stdin.readline()
    sh('ip', 'link', 'set', 'lo', 'up')
    sh('ip', 'link', 'set', 'wire1', 'up')
    sh('ip', 'addr', 'add', HOST + '/24', 'dev', 'wire1')
    s = raw('wire1')
    s.setblocking(False)
    longest = 0
    for _ in range(50):
        if ping(GUEST):
            break
    done = []
    t = threading.Thread(target=lambda: done.append(mirror(10_000_000)))
    t.start()
    while t.is_alive():
        select.select([s], [], [], 0.1)
        try:
            while True:
                got, where = s.recvfrom(1 << 17)
                if where[2] == 0:       # to us
                    longest = max(longest, len(got) - 10)
        except BlockingIOError:
            pass
    print('same', done[0], 'longest', longest)


def two_guests(g):
    h = Guest('ip=10.77.0.3/24', args=['--tunnet=bridge:br0'])
    said = h.ask('ping 10.77.0.2 5')
    ok(said.count('answered') == 5, 'two Guests on a bridge: one pings', said)
    said = g.ask('ping 10.77.0.3 5')
    ok(said.count('answered') == 5, 'and the other', said)
    ok(h.numbers()['pings answered'] == 5, 'and each was answered by the '
       'other and not by itself')
    h.ask('run sh &')
    h.p.stdin.write(b'ping 10.77.0.99\nping 10.77.0.98\n')
    h.p.stdin.flush()
    said = h.until("is under way\n", 20)
    ok("somebody else's ping" in said, 'a second shell may not ping beside '
       'the first, and is told so', said, h.text)
    bridge = sh('ip', '-o', 'link', 'show', 'master', 'br0').stdout
    ok('tap0' in bridge and 'tap1' in bridge, 'both taps are in it', bridge)
    h.p.kill()
    h.p.wait()
    ok(gone('tap1'), 'a Launcher that is killed takes its tap along', taps())
    ok(g.end()[0] == 0, 'and the other Guest does not mind')


def bulk():
    g = Guest(f'ip={GUEST}', args=[f'--tunnet={HOST}'])
    ping(GUEST)
    good, data = True, bytes(1400)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((GUEST, 9))
        for _ in range(5):
            end = time.monotonic() + 1
            sent = 0
            while time.monotonic() < end:
                for _ in range(100):
                    s.send(data)
                sent += 100
            # What the flood left in the tap's own queue goes first; a full
            # queue drops, so one echo request may be lost.
            good = good and any(ping(GUEST) for _ in range(10))
    ok(good, 'five seconds of flood, and it answers after each')
    n = g.numbers()
    ok(n['datagrams sunk'] > 5000 and n['bad sums'] == 0,
       f'{n["datagrams sunk"]} datagrams sunk', n)
    ok(n['interrupts'] < n['frames in'], 'in fewer interrupts', n)
    ok(mirror(100_000_000 if not ASAN else 10_000_000) is True,
       'a long TCP stream after it')
    g.ask('run spin 4000 &')
    ok(mirror(20_000_000) is True, 'and one while the Guest computes')
    ok(g.end()[0] == 0, 'and the Guest ends well')


def slow_reader():
    """Nobody reads what the Guest prints, and its network does not mind."""
    g = Guest(f'ip={GUEST}', args=[f'--tunnet={HOST}'])
    g.p.stdin.write(b'run charspeed 100000\n')
    g.p.stdin.flush()
    time.sleep(1)
    ok(ping(GUEST, '-c', '5', '-i', '0.01') and mirror(1_000_000) is True,
       'a Guest whose console is stuck answers its network')
    ok(g.p.poll() is None, 'and has not ended')
    g.p.kill()
    g.p.communicate()
    ok(gone('tap0'), 'killed, it takes its tap along', taps())


def unplugged():
    g = Guest(f'ip={GUEST}', args=[f'--tunnet={HOST}', '--verbose'])
    ok(ping(GUEST), 'plugged in')
    sh('ip', 'link', 'set', 'tap0', 'down')
    said = g.ask(f'ping {HOST}')
    ok('no answer' in said, 'link down: no answer', said)
    sh('ip', 'link', 'set', 'tap0', 'up')
    ok(ping(GUEST) and 'answered' in g.ask(f'ping {HOST}'),
       'link up: all is well again')
    sh('ip', 'link', 'del', 'tap0')
    said = g.ask(f'ping {HOST}')
    ok('no answer' in said, 'interface removed: no answer', said)
    cpu = time.process_time, os.sysconf('SC_CLK_TCK')
    with open(f'/proc/{g.p.pid}/stat') as f:
        before = sum(map(int, f.read().split(') ')[1].split()[11:13]))
    time.sleep(1)
    with open(f'/proc/{g.p.pid}/stat') as f:
        after = sum(map(int, f.read().split(') ')[1].split()[11:13]))
    ok((after - before) / cpu[1] < 0.3, 'and nobody spins', before, after)
    status, err = g.end()
    ok(status == 0 and err.count('was removed') == 1,
       'the Guest lives on, and one line says why it is lonely', status, err)
    ok('2 refused' in err, 'what it sent meanwhile was counted', err)


def reboot():
    g = Guest(f'ip={GUEST}', args=[f'--tunnet={HOST}'])
    ok(ping(GUEST), 'before a reboot')
    g.ask('reboot')
    sh('ip', 'neigh', 'flush', 'all')
    ok(ping(GUEST) and taps() == ['tap0'], 'and after it', taps())
    g.end()


def given_tap():
    if sh('mount', '--make-rprivate', '/', check=False).returncode:
        ok(True, 'a tap given to a user # skip no mount namespace')
        return
    d = tempfile.mkdtemp(prefix='lguest-net.')
    node, user = d + '/tun', 65534
    made = sh('sh', '-c', f'mknod {node} c 10 200 && chmod 666 {node} && '
              f'mount --bind {node} /dev/net/tun', check=False)
    if made.returncode or sh(
            'test', '-r', f'{B}/lguest', user=user, check=False).returncode:
        ok(True, 'a tap given to a user # skip cannot become another user')
        return
    sh('ip', 'tuntap', 'add', 'dev', 'guest0', 'mode', 'tap', 'user',
       str(user))
    sh('ip', 'addr', 'add', HOST + '/24', 'dev', 'guest0')
    sh('ip', 'link', 'set', 'guest0', 'up')

    def lguest(*args):
        return subprocess.run(
            [f'{B}/lguest', *args, f'--initrd={B}/initrd.tar', '24',
             f'{B}/guest', f'ip={GUEST}'], input=f'ping {HOST} 2\nhalt\n',
            user=user, group=user, capture_output=True, text=True, timeout=30)
    r = lguest('--tunnet=tap:guest0')
    ok(r.returncode == 0 and r.stdout.count('answered') == 2,
       'a user who was given a tap needs no privilege', r.stdout, r.stderr)
    with open('/dev/net/tun', 'r+b', buffering=0) as other:
        fcntl.ioctl(other, 0x400454ca, struct.pack('16sH22x', b'guest0',
                                                   0x5002))
        fcntl.ioctl(other, 0x400454d8, struct.pack('i', 12))
        fcntl.ioctl(other, 0x400454d0, 7)
    r = lguest('--tunnet=tap:guest0')
    ok(r.returncode == 0 and r.stdout.count('answered') == 2,
       'whatever was done with the tap before', r.stdout, r.stderr)
    r = lguest(f'--tunnet={HOST}')
    ok(r.returncode == 1 and 'Operation not permitted' in r.stderr and
       '--tunnet=tap:NAME' in r.stderr and r.stderr.count('\n') == 1,
       'who may not make one is told what to do', r.stderr)
    g = Guest(args=['--tunnet=tap:guest0'])
    r = lguest('--tunnet=tap:guest0')
    ok(r.returncode == 1 and 'another program has it' in r.stderr,
       'one Guest for each tap', r.stderr)
    g.end()
    ok('guest0' in sh('ip', '-o', 'link').stdout, 'the tap stays')
    sh('ip', 'tuntap', 'add', 'dev', 'guest1', 'mode', 'tap', 'user', '1')
    r = lguest('--tunnet=tap:guest1')
    ok(r.returncode == 1 and 'made for somebody else' in r.stderr,
       'a tap of somebody else', r.stderr)
    sh('umount', '/dev/net/tun')
    shutil.rmtree(d)


def errors():
    sh('ip', 'link', 'add', 'dummy0', 'type', 'veth', 'peer', 'name', 'dummy1')
    long = '--tunnet=bridge:sixteencharacter'
    for args, said in (
            (['--tunnet='], '--tunnet=: no value; write --tunnet=NETWORK'),
            (['--tunnet=10.0.0'], 'no IPv4 address'),
            (['--tunnet=10.0.0.1.1'], 'no IPv4 address'),
            (['--tunnet=host'], 'neither bridge: nor tap:'),
            (['--tunnet=10.0.0.1/32'], 'a network has 1 to 31 bits'),
            (['--tunnet=10.0.0.1/x'], 'a network has 1 to 31 bits'),
            (['--tunnet=10.0.0.1/24x'], 'an Ethernet address is'),
            (['--tunnet=10.0.0.1:'], 'an Ethernet address is'),
            (['--tunnet=10.0.0.1:2:3:4:5:6:7'], 'an Ethernet address is'),
            (['--tunnet=10.0.0.1:02:00:00:00:00:0g'], 'an Ethernet address'),
            (['--tunnet=10.0.0.1:02:00:00:00:00:00:'], 'something follows'),
            (['--tunnet=10.0.0.1:03:00:00:00:00:00'], "is nobody's"),
            (['--tunnet=bridge:'], 'no interface is named'),
            (['--tunnet=bridge:br%d'], 'no interface can have such a name'),
            ([long], 'at most 15 characters'),
            (['--tunnet=bridge:nobr'], 'there is no interface nobr'),
            (['--tunnet=bridge:dummy0'], 'cannot bring tap0 up in dummy0'),
            (['--tunnet=tap:notap'], 'there is no interface notap'),
            (['--tunnet=tap:dummy0'], 'it is no tap'),
            (['--tunnet=10.1.0.1'] * 9, 'one too many')):
        r = sh(f'{B}/lguest', *args, '24', f'{B}/guest', check=False,
               stdin=subprocess.DEVNULL, timeout=20)
        ok(r.returncode == 1 and said in r.stderr and
           r.stderr.count('\n') == 1 and args[0] in r.stderr,
           f'{args[0]}: {said}', r.returncode, r.stderr)
    ok(taps() == [], 'and nothing stays behind', taps())


def two_cards():
    g = Guest(f'ip={GUEST}', args=[f'--tunnet={HOST}', '--tunnet=10.78.0.1'])
    ok(taps() == ['tap0', 'tap1'] and ping(GUEST), 'two cards', taps())
    g.end()


def frozen():
    """A snapshot goes on in another Launcher, with a tap of its own; what was
    on its way is sent again, and a connection does not notice."""
    path = tempfile.mkdtemp(prefix='lguest-net.') + '/snapshot'
    g = Guest(f'ip={GUEST}', args=[f'--tunnet={HOST}', f'--snapshot={path}'])
    data = os.urandom(300_000)
    s = socket.create_connection((GUEST, 7), timeout=TIMEOUT)

    def through(part):
        """The part is sent, and comes back."""
        sender = threading.Thread(target=s.sendall, args=(part,), daemon=True)
        sender.start()
        got = b''
        try:
            while len(got) < len(part):
                got += s.recv(1 << 16)
        except OSError as e:
            return str(e)
        sender.join()
        return got == part or 'other bytes'
    ok(ping(GUEST) and through(data[:100_000]) is True,
       'a connection before the snapshot')
    g.p.send_signal(signal.SIGUSR1)
    line = g.p.stderr.readline()
    ok(b'snapshot: ' in line, 'a snapshot of a Guest with a network', line)
    g.p.kill()
    g.p.communicate()
    ok(gone('tap0'), 'its tap goes with its Launcher', taps())
    s.sendall(data[100_000:100_100])    # to nobody, so far
    g = Guest(args=[f'--restore={path}'], machine=False)
    ok(any(ping(GUEST) or time.sleep(0.1) for _ in range(50)),
       'the restored Guest answers a ping')
    got = b''
    try:
        while len(got) < 100:
            got += s.recv(1000)
    except OSError as e:
        got = e
    ok(got == data[100_000:100_100], 'what was sent meanwhile comes back', got)
    same = through(data[100_100:])
    ok(same is True, 'and the connection goes on', same)
    ok(f'{HOST} answered' in g.ask(f'ping {HOST} 1'), 'it pings the host')
    s.close()
    status, err = g.end()
    ok(status == 0 and err == '', 'and ends well', status, err)
    shutil.rmtree(os.path.dirname(path))


def device():
    """launcher/net.c with a driver that lies: tests/net_test.c."""
    d = tempfile.mkdtemp(prefix='lguest-net.')
    flags = ['-O1', '-g', '-std=gnu11', '-Wall', '-Wextra', f'-I{T}', '-I.']
    if ASAN:
        flags += ['-fsanitize=address,undefined',
                  '-fno-sanitize-recover=all']
    subprocess.run(
        os.environ.get('CC', 'gcc').split() + flags + ['tests/net_test.c'] +
        [f'{T}/launcher/{f}.c' for f in ('net', 'device', 'virtqueue')] +
        ['-o', d + '/test'], check=True)
    p = subprocess.run([d + '/test'], stdout=subprocess.PIPE, text=True,
                       timeout=120)
    child(p.stdout)
    ok(p.returncode in (0, 1), 'the test of the device ends', p.returncode)
    shutil.rmtree(d)


def main():
    if not os.environ.get('IN_NAMESPACE'):
        for flags in ('-nm', '-rnm'):
            if sh('unshare', flags, 'sh', '-c', 'command -v ping && ip link '
                  'set lo up && ip tuntap add dev t0 mode tap',
                  check=False).returncode == 0:
                os.environ['IN_NAMESPACE'] = '1'
                os.execvp('unshare', ['unshare', flags, sys.executable,
                                      __file__, *sys.argv[1:]])
        print('1..0 # skip no network namespaces with taps here '
              '(unshare -n, ip, ping, /dev/net/tun)')
        return
    with open('/proc/sys/net/ipv6/conf/default/disable_ipv6', 'w') as f:
        f.write('1\n')
    sh('ip', 'link', 'set', 'lo', 'up')
    if sys.argv[1:] == ['client']:
        return client()
    parts = (pings, offloads, cut_on_the_way, bulk, slow_reader, unplugged,
             reboot, two_cards, frozen, device, errors, given_tap)
    for part in parts:
        if not sys.argv[1:] or part.__name__ in sys.argv[1:]:
            part()
    done()


main()
