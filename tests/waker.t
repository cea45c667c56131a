#!/usr/bin/python3 -B
# also: sanitizers
"""The Waker: how it is made, that it misses nothing, and that nothing of it
is left when the Launcher exits, is killed, or executes itself anew."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import tap
from tap import done, ok, skip

B = os.environ.get('B', 'build')
ASAN = B.endswith('/asan')
TOP = B[:-5] if ASAN else B
T = TOP + '/t'
CC = os.environ.get('CC', 'gcc').split()
FLAGS = ['-O2', '-g', '-std=gnu11', '-Wall', '-Wextra', '-I' + T, '-I.']
SANITIZE = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all']
FILES = ['tests/waker_test.c'] + [
    f'{T}/launcher/{f}.c' for f in ('waker', 'device', 'virtqueue')]


def build(d, cc, extra):
    program = f'{d}/waker_test{tap.count}'
    r = subprocess.run(cc + FLAGS + extra + ['-o', program] + FILES)
    return program if r.returncode == 0 else None


def run(program, *args, limit=30, **kw):
    """Runs it; one that hangs has the status None."""
    p = subprocess.Popen([program, *map(str, args)], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         **kw)
    try:
        out = p.communicate(timeout=limit)[0]
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()
        p.stdout.close()
        return subprocess.CompletedProcess(p.args, None, 'it hangs: 0 0')
    return subprocess.CompletedProcess(p.args, p.returncode, out)


def alive(pid):
    """Neither gone nor a zombie that waits for init."""
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def gone(pid, limit=5):
    end = time.monotonic() + limit
    while alive(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def flags(program, d):
    """clone's flags, as strace saw them."""
    name = 'clone(CLONE_VM | SIGCHLD), nothing else, as traced'
    if not shutil.which('strace'):
        return skip(name, 'no strace')
    out = f'{d}/trace'
    env = dict(os.environ, ASAN_OPTIONS='detect_leaks=0')
    r = run('strace', '-f', '-e', 'trace=clone,clone3,vfork,fork', '-o', out,
            program, 'exit', 'asleep', env=env)
    with open(out) as f:
        calls = [line for line in f if 'clone' in line or 'fork' in line]
    if not calls and 'PTRACE' in r.stdout:
        return skip(name, 'ptrace is not permitted')
    ok(len(calls) == 1 and re.search(
        r'clone\((child_)?stack=\w+, flags=CLONE_VM\|SIGCHLD\)', calls[0]),
       name, *calls, r.stdout)


def calls_nothing(d):
    """The machine code of the Waker calls guest_break_out and no other."""
    obj = f'{d}/waker.o'
    subprocess.run(CC + FLAGS + ['-c', '-o', obj, f'{T}/launcher/waker.c'],
                   check=True)
    text = subprocess.run(['objdump', '-dr', '--no-show-raw-insn', obj],
                          stdout=subprocess.PIPE, text=True).stdout
    body = re.search(r'<waker>:\n(.*?)\n\n', text + '\n\n', re.S)
    code = body.group(1) if body else ''
    # Each call, with its relocation if it leaves the file.
    calls = re.findall(r'\bcallq?\b[^<\n]*<(\w+)[^\n]*'
                       r'(?:\n\s*\w+: R_\w+\s+(\w+))?', code)
    names = {far or near for near, far in calls}
    ok('guest_break_out' in names and not
       {n for n in names if not n.startswith('raw_')} - {'guest_break_out'},
       'the Waker calls guest_break_out, and nothing of a library', names)
    ok(not re.search(r'%[fg]s:', code), 'and touches no thread-local storage')


def endings(program, d):
    for state in 'asleep', 'blocked':
        r = run(program, 'exit', state)
        waker = int(re.search(r'\d+ (\d+)', r.stdout)[1])
        ok(r.returncode == 0 and waker and gone(waker),
           f'exit: a Waker {state} is gone', r.stdout)

        r = run(program, 'close', state)
        waker = int(re.search(r'\d+ (\d+)', r.stdout)[1])
        ok(r.returncode == 0 and not alive(waker),
           f'waker_close: a Waker {state} is gone and waited for', r.stdout)

        p = subprocess.Popen([program, 'pause', state], text=True,
                             stdout=subprocess.PIPE)
        waker = int(p.stdout.readline().split()[1])
        time.sleep(0.3)
        before = alive(waker)
        p.send_signal(signal.SIGKILL)
        p.wait()
        ok(before and gone(waker), f'SIGKILL: a Waker {state} is gone')

        p = subprocess.Popen([program, 'pause', state], text=True,
                             stdout=subprocess.PIPE)
        waker = int(p.stdout.readline().split()[1])
        time.sleep(0.3)
        for s in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
            os.kill(waker, s)
        time.sleep(0.1)
        ok(alive(waker), f'a Waker {state} is deaf to signals')
        p.kill()
        p.wait()

        r = run(program, 'exec', state)
        waker = int(re.search(r'\d+ (\d+)', r.stdout)[1])
        ok('child: 0 -' in r.stdout and not alive(waker),
           f'reboot: a Waker {state} is gone, and no zombie is left',
           r.stdout)
    # The pipe alone, with no death of a parent and no waker_close.
    r = run(program, 'exec-only', 'asleep')
    ok(re.search(r'child: \d+ Z', r.stdout),
       'the closing of the pipe ends a Waker asleep', r.stdout)
    # Why waker_close must precede exec: without it this one would stay.
    p = subprocess.Popen([program, 'exec-only', 'blocked'], text=True,
                         stdout=subprocess.PIPE)
    waker = int(p.stdout.readline().split()[1])
    rest = p.stdout.readline()
    ok(f'child: {waker} S' in rest,
       'exec alone does not end a Waker that is blocked', rest)
    p.wait()
    ok(gone(waker), 'but the death of the process that executed does')


def family(pid):
    """The live processes that descend from pid, and pid."""
    parent = {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                with open(f'/proc/{name}/stat') as f:
                    fields = f.read().rpartition(')')[2].split()
                parent[int(name)] = int(fields[1])
            except OSError:
                pass
    found = {pid}
    while True:
        more = {p for p in parent if parent[p] in found} - found
        if not more:
            return {p for p in found if alive(p)}
        found |= more


def all_gone(pids):
    return [p for p in pids if not gone(p)] == []


class Lguest:
    """The real Launcher with the teaching Guest, in a session of its own."""

    def __init__(self, *before):
        self.p = subprocess.Popen(
            [*before, f'{B}/lguest', f'--initrd={TOP}/initrd.tar', '64',
             f'{TOP}/guest'], start_new_session=True, bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.prompt()

    def prompt(self):
        out = b''
        while not out.endswith(b'# '):
            part = self.p.stdout.read(4096)
            if not part:
                raise EOFError(out.decode(errors='replace'))
            out += part
        return out

    def say(self, line):
        self.p.stdin.write(line + b'\n')

    def end(self):
        status = self.p.wait(30)
        self.p.stdin.close()
        self.p.stdout.close()
        return status


def real(d):
    g = Lguest()
    pids = family(g.p.pid)
    ok(len(pids) >= 3, 'a Launcher, a Waker and a Host are running', pids)
    g.say(b'halt')
    ok(g.end() == 0 and all_gone(pids), 'switched off: none of them is left',
       list(filter(alive, pids)))
    g = Lguest()
    pids = family(g.p.pid)
    g.p.kill()
    g.end()
    ok(all_gone(pids), 'SIGKILL: none of them is left',
       list(filter(alive, pids)))
    g = Lguest()
    before = family(g.p.pid)
    g.say(b'reboot')
    g.prompt()
    after = family(g.p.pid)
    ok(before & after == {g.p.pid} and all_gone(before - after) and
       len(after) >= 3, 'reboot: all but the Launcher itself are new',
       before, after)
    g.say(b'halt')
    ok(g.end() == 0 and all_gone(after), 'and are gone at the end',
       list(filter(alive, after)))
    name = "clone's flags in the real Launcher"
    if not shutil.which('strace'):
        return skip(name, 'no strace')
    g = Lguest('strace', '-f', '-e', 'trace=clone,clone3', '-o', f'{d}/real')
    g.say(b'halt')
    g.end()
    with open(f'{d}/real') as f:
        calls = f.read()
    ok(len(re.findall(r'flags=CLONE_VM\|SIGCHLD\)', calls)) == 1,
       name, calls)


def main():
    with tempfile.TemporaryDirectory() as d:
        program = build(d, CC, SANITIZE if ASAN else [])
        if not ok(program, 'it compiles'):
            return
        flags(program, d)
        calls_nothing(d)
        r = run(program, 'sees')
        ok(r.returncode == 0 and 'seen' in r.stdout,
           'it sees a descriptor enabled while it sleeps in select', r.stdout)
        r = run(program, 'bad')
        ok('errno 4242' in r.stdout,
           'a system call that fails in the Waker leaves errno alone',
           r.stdout)
        ok(r.returncode == 1 and
           'the Waker cannot wait for input: Bad file descriptor' in r.stdout,
           'and the Launcher reports it', r.stdout)
        r = run(program, 'late')
        ok(r.returncode == 1 and 'after the Waker was started' in r.stdout,
           'a descriptor that comes after the Waker is refused', r.stdout)
        endings(program, d)
        if all(map(os.path.exists, (f'{B}/lguest', f'{TOP}/guest'))):
            real(d)
        else:
            skip('the real Launcher', f'{B}/lguest is not built')
        n, limit = (100000, 150) if ASAN else (1000000, 150)
        start = time.monotonic()
        r = run(program, 'rounds', n, limit, limit=limit + 30)
        took = time.monotonic() - start
        ok(r.returncode == 0 and f'{n} rounds' in r.stdout,
           f'{n} rounds of enable and disable without a lost wake-up',
           r.stdout)
        print(f'# {took:.1f} s')
        if not ASAN:
            for name, cc, extra in (('32 bits', CC, ['-m32']),
                                    ('musl', ['musl-gcc'], ['-static'])):
                if not shutil.which(cc[0]):
                    skip(f'rounds, {name}', f'no {cc[0]}')
                    continue
                p = build(d, cc, extra)
                r = run(p, 'rounds', 20000, 60, limit=90) if p else None
                ok(r and r.returncode == 0, f'20000 rounds, {name}',
                   r and r.stdout)
    done()


main()
