#!/usr/bin/python3 -B
# also: sanitizers
"""--gdb: Debian's gdb against the teaching Guest, with its symbols; and a
debugger of our own, which says what no gdb would say."""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from tap import done, ok, skip

B = os.environ.get('B', 'build')
BASE = B[:-5] if B.endswith('/asan') else B
LG = f'{B}/lguest'
GUEST = f'{BASE}/guest'
TMP = tempfile.mkdtemp(prefix='lguest-gdb.')
SOCK = TMP + '/socket'


class Guest:
    """A Launcher that waits for a debugger."""

    def __init__(self, *args, where=SOCK, typed=''):
        args = args or (f'--initrd={BASE}/initrd.tar', '64', GUEST)
        self.keys = tempfile.TemporaryFile()
        self.keys.write(typed.encode())
        self.keys.seek(0)
        self.out = open(TMP + '/out', 'w+b')
        self.p = subprocess.Popen([LG, f'--gdb={where}', *args],
                                  stdin=self.keys, stdout=self.out,
                                  stderr=subprocess.STDOUT)
        for _ in range(600):
            if 'waiting for gdb' in self.text() or self.p.poll() is not None:
                break
            time.sleep(0.05)

    def text(self):
        with open(TMP + '/out', encoding='latin1') as f:
            return f.read()

    def wait(self, limit=60):
        try:
            return self.p.wait(limit)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
            return 'hangs'


class Debugger:
    """The protocol, by hand."""

    def __init__(self, where=SOCK):
        if isinstance(where, int):
            self.s = socket.create_connection(('127.0.0.1', where))
        else:
            self.s = socket.socket(socket.AF_UNIX)
            self.s.connect(where)
        self.s.settimeout(60)
        self.buffer = b''

    def send(self, text):
        data = text.encode('latin1')
        self.s.sendall(b'$' + data + b'#%02x' % (sum(data) % 256))

    def answer(self):
        while not (m := re.match(rb'[+-]*\$([^#]*)#..', self.buffer)):
            got = self.s.recv(65536)
            if not got:
                return None
            self.buffer += got
        self.buffer = self.buffer[m.end():]
        self.s.sendall(b'+')
        return m[1].decode('latin1')

    def ask(self, text):
        self.send(text)
        return self.answer()

    def registers(self):
        raw = bytes.fromhex(self.ask('g'))
        names = ('eax ecx edx ebx esp ebp esi edi eip eflags '
                 'cs ss ds es fs gs').split()
        return {n: int.from_bytes(raw[4 * i:4 * i + 4], 'little')
                for i, n in enumerate(names)}


def symbol(name):
    text = subprocess.run(['nm', GUEST], capture_output=True, text=True)
    return int(re.search(rf'^(\w+) \w {name}$', text.stdout, re.M)[1], 16)


def gdb(commands, typed, limit=120):
    g = Guest(typed=typed)
    script = TMP + '/script'
    with open(script, 'w') as f:
        f.write(f'set confirm off\nset pagination off\nset width 0\n'
                f'file {GUEST}\ntarget remote {SOCK}\n{commands}')
    p = subprocess.run(['gdb', '-nx', '-batch', '-x', script],
                       stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, timeout=limit)
    return p.stdout + p.stderr, g.wait(), g.text()


def debian():
    if not shutil.which('gdb'):
        for _ in range(8):
            skip('gdb', 'not installed; ./setup --all does it')
        return
    text, status, out = gdb('''break sys_fork
continue
backtrace 3
info line
print f->eax
next
step
echo HERE\\n
print switches
watch switches
continue
backtrace 2
delete
set var switches = 1000
print switches
continue
''', 'run hello\nhalt\n')
    ok(re.search(r'Breakpoint 1, sys_fork \(f=0x\w+.*\) at \S*lguest.nw:\d+',
                 text), 'a breakpoint in a function of the kernel', text)
    ok(re.search(r'#1 .* syscall \(.*\n#2 .* trap \(.*lguest.nw', text),
       'a backtrace, in lines of lguest.nw', text)
    ok(re.search(r'Line \d+ of "\S*lguest.nw"', text) and '$1 = 2' in text,
       'lines and variables', text)
    ok(len(re.findall(r'^\d+\t', text.split('$1 = 2')[-1].split('HERE')[0],
                      re.M)) == 2, 'next and step go to the next line', text)
    ok(re.search(r'Old value = 1\nNew value = 2\n.*(\n.*)?\n#0 +\S*.*schedule|'
                 r'Old value = 1\nNew value = 2\nswitch_to', text),
       'a watched variable stops the Guest where it is changed', text)
    ok('$3 = 1000' in text, 'a variable can be set', text)
    ok('exited normally' in text and status == 0, 'and the Guest goes on to '
       'its end, which gdb hears of', text, status)
    ok('Hello from ring 3' in out, 'the Guest has noticed nothing', out)


def by_hand():
    g = Guest(typed='run spin &\n')
    d = Debugger()
    r = d.registers()
    ok(r['eip'] == 0x100000 and r['cs'] == 0x61 and r['ss'] == 0x69,
       'a Guest stops before its first instruction', r)
    ok(not os.path.exists(SOCK), 'the socket has no name any more')
    fork = symbol('process_fork')
    ok(d.ask(f'Z0,{fork:x},1') == 'OK' and d.ask('c') == 'T05swbreak:;' and
       d.registers()['eip'] == fork, 'a breakpoint', d.registers())
    memory = d.ask(f'm{fork:x},1')
    d.ask(f'z0,{fork:x},1')
    ok(memory == 'cc' and d.ask(f'm{fork:x},1') != 'cc',
       'is an int3, and is taken away again', memory)
    steps = []
    for _ in range(200):
        if d.ask('s') != 'S05':
            break
        steps.append(d.registers()['eip'])
    ok(len(steps) == 200 and len(set(steps)) > 25 and
       all(s >= 0xc0000000 for s in steps), '200 steps in the kernel',
       [hex(s) for s in steps])
    d.send('c')
    time.sleep(1)
    modes = set()
    for _ in range(30):
        d.s.sendall(b'\x03')
        if d.answer() != 'S02':
            break
        r = d.registers()
        modes.add(r['cs'] & 3)
        d.send('c')
        time.sleep(0.02)
    ok(modes and max(modes) == 3, 'a program that spins is stopped by ^C',
       modes)
    d.s.sendall(b'\x03')
    d.answer()
    while d.registers()['cs'] & 3 != 3:
        d.send('c')
        time.sleep(0.02)        # or it is stopped again where it stood
        d.s.sendall(b'\x03')
        d.answer()
    places, kernel = [], 0
    for _ in range(50):
        d.ask('s')
        r = d.registers()
        places.append(r['eip'])
        kernel += r['cs'] & 3 != 3
    ok(not kernel and len(set(places)) > 1 and
       all(0x8000000 <= p < 0x8100000 for p in places),
       '50 steps in a program stay in it', [hex(p) for p in places])
    r = d.registers()
    eax = 0x12345678
    value = eax.to_bytes(4, 'little').hex()
    ok(d.ask(f'P0={value}') == 'OK' and d.registers()['eax'] == eax and
       d.ask(f'P0={r["eax"].to_bytes(4, "little").hex()}') == 'OK',
       'a register can be set')
    esp = r['esp']
    ok(d.ask(f'M{esp - 64:x},4:01020304') == 'OK' and
       d.ask(f'm{esp - 64:x},4') == '01020304', "a program's stack, too")
    wrong = {'m0,10': 'E02', 'm': 'E01', 'm12345678': 'E01', 'mx,1': 'E01',
             'm1,fffffff': 'E01', 'M1,2:00': 'E01', 'Mc0100000,1:zz': 'E01',
             'P99=00000000': 'E01', 'P0=12': 'E01', 'Z1,1,1': '',
             'Z0,0,1': 'E02', 'Z2,c0100000,9': 'E02', 'Z0': 'E01',
             'vCont?': '', 'X': '', '': '', 'qRcmd': '', 'cx': '', 's1x': '',
             'c123456789': '', '?': 'S05'}
    before = d.registers()
    got = {order: d.ask(order) for order in wrong}
    ok(got == wrong, 'wrong orders are answered',
       {k: v for k, v in got.items() if wrong[k] != v})
    ok(d.registers() == before, 'and do nothing', before, d.registers())
    d.s.sendall(b'$g#00')
    d.s.sendall(b'#$$$' + b'x' * 5000 + b'#00')
    ok(d.ask('?') == 'S05', 'rubbish on the line is not an order')
    d.s.close()
    time.sleep(0.3)
    ok(g.p.poll() is None, 'a debugger that hangs up leaves the Guest alone')
    g.p.kill()
    g.wait()
    g = Guest(typed='run hello\nhalt\n')
    d = Debugger()
    d.send('g')
    d.s.close()                         # before it has heard the answer
    status = g.wait()
    ok(status == 0 and 'Hello from ring 3' in g.text(),
       'so does one that does not wait for its answer', status, g.text())


def photographed():
    """A snapshot has none of the debugger's breakpoints in it."""
    shot = TMP + '/shot'
    g = Guest(f'--snapshot={shot}', f'--initrd={BASE}/initrd.tar', '64',
              GUEST)
    d = Debugger()
    for name in 'shutdown', 'process_fork':
        d.ask(f'Z0,{symbol(name):x},1')
    d.send('c')
    for text in 'lguest# ', 'lguest: snapshot: ':
        while text not in g.text() and g.p.poll() is None:
            time.sleep(0.05)
        if text == 'lguest# ':
            g.p.send_signal(signal.SIGUSR1)
    d.s.sendall(b'\x03')
    there = d.answer(), d.ask(f'm{symbol("shutdown"):x},1')
    g.p.kill()
    g.wait()
    p = subprocess.run([LG, f'--restore={shot}'], capture_output=True,
                       text=True, input='run hello\nhalt\n', timeout=120)
    ok(there == ('S02', 'cc') and p.returncode == 0 and
       'Hello from ring 3' in p.stdout,
       'a snapshot has no breakpoints in it, and the Guest keeps them', there,
       p)


def idle():
    """Halted at its prompt, the Guest is stopped, and goes on."""
    r, w = os.pipe()
    p = subprocess.Popen([LG, f'--gdb={SOCK}', f'--initrd={BASE}/initrd.tar',
                          '64', GUEST], stdin=r, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT)
    p.stdout.readline()
    d = Debugger()
    d.send('c')
    seen = b''
    while b'lguest# ' not in seen:
        seen += os.read(p.stdout.fileno(), 1000)
    time.sleep(0.5)
    start = time.monotonic()
    d.s.sendall(b'\x03')
    ok(d.answer() == 'S02' and d.registers()['cs'] == 0x61,
       f'a halted Guest is stopped ({time.monotonic() - start:.3f} s)')
    d.send('s')
    d.s.sendall(b'\x03')
    ok(d.answer() == 'S02', 'a step from there waits, until ^C')
    d.send('c')
    os.write(w, b'run hello\nhalt\n')
    ok(d.answer() == 'W00' and p.wait(60) == 0,
       'and goes on to its end')
    os.close(w)
    os.close(r)


def reboot():
    g = Guest(typed='reboot\n')
    d = Debugger()
    ok(d.ask('c') == 'W00' and g.wait() == 1 and g.text().endswith(
        'lguest: the Guest wants to be restarted; with --gdb that is its '
        'end, so start it by hand\n'), 'a reboot is the end', g.text())


def watched():
    """A Guest whose every instruction is watched still hears a ^C."""
    g = Guest(typed='run spin &\n')
    d = Debugger()
    place = symbol('trap_entry')
    fork = symbol('process_fork')
    d.ask(f'Z0,{fork:x},1')
    d.ask('c')
    d.ask(f'z0,{fork:x},1')
    ok(d.ask(f'Z2,{place:x},1') == 'OK', 'a watchpoint')
    heard = 0
    for _ in range(10):
        d.send('c')
        time.sleep(0.1)
        d.s.sendall(b'\x03')
        got = d.answer()
        heard += got == 'S02'
    ok(heard == 10, 'and ^C is heard, each time', heard, got)
    d.send('k')
    g.wait()


def selftest():
    """int3 and single steps of the Guest's own stay the Guest's."""
    g = Guest('64', GUEST, 'selftest')
    d = Debugger()
    last = d.ask('c')
    ok(last == 'W00' and g.wait(300) == 0 and
       re.search(r'0 failed|all .*passed|passed', g.text()),
       'the selftest passes under a debugger', last, g.text())


def places():
    g = Guest(where='38531')
    try:
        d = Debugger(38531)
    except OSError as e:
        ok(False, 'a port', e, g.text())
        return
    with open('/proc/net/tcp') as f:
        lines = [x.split() for x in f][1:]
    local = {x[1] for x in lines if x[1].endswith(f'{38531:04X}')}
    ok(local == {f'0100007F:{38531:04X}'} and d.ask('?') == 'S05',
       'a port is on the loopback interface only', local)
    d.send('k')
    ok(g.wait() == 2, 'k ends the Launcher', g.p.returncode)
    for where in ('0', '65536', 'x', '12x', '-1', '99999999999'):
        p = subprocess.run([LG, f'--gdb={where}', '64', GUEST],
                           capture_output=True, text=True, timeout=60)
        ok(p.returncode == 1 and p.stderr == f'lguest: --gdb={where}: neither'
           ' a port, 1 to 65535, nor a path with a slash in it\n',
           f'--gdb={where}', p.stderr)
    plain = TMP + '/plain'
    with open(plain, 'w') as f:
        f.write('thesis')
    p = subprocess.run([LG, f'--gdb={plain}', '64', GUEST],
                       capture_output=True, text=True, timeout=60)
    ok(p.returncode == 1 and 'cannot listen there' in p.stderr and
       open(plain).read() == 'thesis', 'a plain file is left alone', p.stderr)
    g = Guest()
    g.p.kill()
    g.wait()
    ok(os.path.exists(SOCK), 'a Launcher that is killed leaves a socket')
    g = Guest()
    d = Debugger()
    ok(d.ask('?') == 'S05', 'and the next one takes its name over')
    d.send('k')
    g.wait()


def main():
    try:
        debian()
        by_hand()
        photographed()
        idle()
        watched()
        reboot()
        selftest()
        places()
    finally:
        shutil.rmtree(TMP)
    done()


main()
