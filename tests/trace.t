#!/usr/bin/python3 -B
# also: sanitizers
"""--trace and --trace-summary: the file can be read, by anybody and whatever
happens; it says what happened; nothing in it goes back in time."""
import collections
import json
import os
import re
import signal
import struct
import subprocess
import tempfile
import time
from tap import done, ok

B = os.environ.get('B', 'build')
ASAN = os.path.basename(B) == 'asan'
BASE = os.path.dirname(B) if ASAN else B
LG = f'{B}/lguest'
INITRD, GUEST = f'--initrd={BASE}/initrd.tar', f'{BASE}/guest'
CC = os.environ.get('CC', 'gcc').split()
TMP = tempfile.mkdtemp(prefix='lguest-trace.')
FILE = TMP + '/trace.json'


def load(path=FILE):
    """The events without metadata, and the names of the rows."""
    with open(path, encoding='ascii') as f:
        events = json.load(f)
    rows = {e['tid']: e['args']['name'] for e in events
            if e['name'] == 'thread_name'}
    return [e for e in events if e['ph'] != 'M'], rows


def run(*args, typed='', limit=120):
    return subprocess.run([LG, *args], input=typed, capture_output=True,
                          text=True, timeout=limit)


def guest(*options, typed):
    return run(*options, INITRD, '64', GUEST, typed=typed)


def tallies(text):
    """Of each name in a summary: how often."""
    return {m[1].strip(): int(m[2]) for m in re.finditer(
        r'^lguest: (\S[^\n]{27}) +(\d+)', text, re.M)}


def monotonic(events):
    """In each row, slices end in order, and points lie in order."""
    last = collections.defaultdict(int)
    for e in events:
        end = round(1000 * (e['ts'] + e.get('dur', 0)))
        if e['ts'] < 0 or end < last[e['tid']]:
            return e
        last[e['tid']] = end
    return None


def apart(events):
    """Two slices of one row lie apart or one within the other."""
    for tid in {e['tid'] for e in events}:
        around = []
        for e in sorted((e for e in events
                         if e['tid'] == tid and e['ph'] == 'X'),
                        key=lambda e: (e['ts'], -e['dur'])):
            start = round(1000 * e['ts'])
            end = start + round(1000 * e['dur'])
            while around and around[-1] <= start:
                around.pop()
            if around and end > around[-1]:
                return e
            around.append(end)
    return None


def whole():
    p = guest(f'--trace={FILE}', '--trace-summary',
              typed='hello\nrun hello\nhalt\n')
    events, rows = load()
    ok(p.returncode == 0, 'a Guest with a trace runs', p.stdout, p.stderr)
    names = {rows[e['tid']] for e in events}
    ok({'Launcher', 'Waker', 'Host', 'view 0', 'view 1'} <= names,
       'the rows have names', names)
    ok(not monotonic(events), 'time goes on', monotonic(events))
    ok(not apart(events), 'slices do not overlap', apart(events))
    seen = collections.Counter(e['name'] for e in events)
    ok(tallies(p.stderr) == seen and 'lguest: 0 records lost\n' in p.stderr,
       'the summary has the same counts', p.stderr, seen)
    wanted = {'guest_run', 'serve a notification', 'serve input', 'wake-up',
              'break', 'raise interrupt', "Guest's kernel", 'program',
              'hypercall', 'page fault', 'interrupt', 'NOTIFY',
              'SHUTDOWN', 'trap: system call', 'trap: page fault',
              'ask the Launcher', 'SET_PTE', 'LGUEST_INIT'}
    ok(wanted <= set(seen), 'all that happens is there', wanted - set(seen))
    ok(seen['break'] <= seen['wake-up'] <= seen['break'] + 1 and
       seen['NOTIFY'] == seen['serve a notification'],
       'who is woken breaks, who notifies is served', seen)
    p = guest('--trace-summary', typed='hello\nhalt\n')
    ok(p.returncode == 0 and tallies(p.stderr)['LGUEST_INIT'] == 1,
       'a summary needs no file', p.stderr)
    p = guest(typed='hello\nhalt\n')
    ok(p.returncode == 0 and p.stderr == '', 'without the options: silence',
       p.stderr)


def counts():
    """The program bench makes 5 times 2000 hypercalls and as many as 5 times
    2048 through the ring. 101 programs are started, itself the first; with
    each comes one of the same kind, and one when it first uses the FPU."""
    got = []
    for typed in 'halt\n', 'run bench\nhalt\n':
        p = guest('--trace-summary', typed=typed)
        t = tallies(p.stderr)
        got.append(t.get('FLUSH_ASYNC', 0) -
                   t.get('trap: FPU not available', 0))
        lost = int(re.search(r'(\d+) records lost', p.stderr)[1])
    made = 5 * 2000 + 5 * 2048 + 101
    ok(got[1] - got[0] == made or lost and got[1] - got[0] < made,
       'the hypercalls that bench makes are counted, each' +
       (f' ({lost} were lost)' if lost else ''), got, made, lost)


def unless_torn(what):
    """A kill in the middle of the one write that moves the bracket leaves a
    file without an end, as the book says. Then once more: four such kills in
    a row would be a bracket that is not there at all."""
    for _ in range(4):
        try:
            return what()
        except json.JSONDecodeError as e:
            print(f'# killed while it was writing: {e}')
    ok(False, 'the file can be read after a kill')
    return None


def killed():
    p = subprocess.Popen([LG, f'--trace={FILE}', INITRD, '64', GUEST],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT)
    p.stdin.write(b'run bench\nrun bench\n')
    p.stdin.flush()
    time.sleep(1.5)
    p.kill()
    p.wait()
    events, _ = load()
    ok(len(events) > 1000 and not monotonic(events),
       'after SIGKILL the file can be read', len(events))


def full():
    """A Launcher that does not come to read loses records, and says so. The
    Guest is `in $0x80, %al' for ever: two records, and never a word."""
    kernel = TMP + '/kernel'
    with open(kernel, 'wb') as f:
        f.write(b'\x7fELF\1\1\1' + bytes(9) + struct.pack(
            '<HHIIIIIHHHHHH8I', 2, 3, 1, 0x100000, 52, 0, 0, 52, 32, 1, 0, 0,
            0, 1, 84, 0x100000, 0x100000, 4, 4, 5, 4096) +
            b'\xe4\x80\xeb\xfc')
    p = subprocess.Popen([LG, f'--trace={FILE}', '4', kernel],
                         stdin=subprocess.DEVNULL)
    for pause in 1.5, 3, 6, 12, 24:     # who has how much of a processor?
        size = os.path.getsize(FILE)
        while os.path.getsize(FILE) < size + 1000000 and p.poll() is None:
            time.sleep(0.1)
        p.send_signal(signal.SIGSTOP)
        time.sleep(pause)
        p.send_signal(signal.SIGCONT)
        time.sleep(1)
        with open(FILE, encoding='ascii') as f:
            if 'records lost' in f.read():
                break
    p.kill()
    p.wait()
    events, _ = load()
    lost = [e['args']['value'] for e in events if e['name'] == 'records lost']
    ok(lost and max(lost) > 1000,
       'a full ring loses records, and counts them', lost)
    ok(not monotonic(events) and not apart(events),
       'and no slice is wrong for it', monotonic(events) or apart(events))


def refused():
    for path, why in (('/nonexistent/x', 'cannot open for writing: No such '
                       'file or directory'),
                      ('/dev/full', 'cannot write; make room, or name '
                       'another file: No space left on device')):
        p = run(f'--trace={path}', '64', GUEST)
        ok(p.returncode == 1 and
           p.stderr == f'lguest: --trace={path}: {why}\n',
           f'--trace={path}', p.returncode, p.stderr)
    with open(FILE, 'w') as f:
        f.write('[]')
    for path in FILE, FILE + '.made':
        p = run(f'--trace={path}', '64', '/nonexistent/kernel')
        ok(p.returncode == 1 and p.stderr == 'lguest: kernel /nonexistent/'
           'kernel: cannot open: No such file or directory\n' and
           os.path.getsize(FILE) == 2 and not os.path.exists(FILE + '.made'),
           'no kernel: no diary is made, and none emptied', p.stderr)
        p = run(f'--trace={path}', '--block=/nonexistent/disk', '64', GUEST)
        ok(p.returncode == 1 and 'cannot open /nonexistent/disk' in p.stderr
           and os.path.getsize(FILE) == 2 and
           not os.path.exists(FILE + '.made'), 'nor with no disk', p.stderr)
    if not ASAN:        # which has no sandbox
        p = subprocess.Popen([LG, f'--trace={FILE}', INITRD, '64', GUEST],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        p.stdout.readline()
        os.unlink(FILE)
        err = p.communicate('reboot\n', timeout=120)[1]
        ok(p.returncode == 1 and err.endswith(
            f'lguest: --trace={FILE}: cannot open for writing: No such file '
            'or directory\n'), 'a reboot that finds its file gone says so',
           p.returncode, err)
    p = run('--trace', '64', GUEST)
    ok(p.stderr == 'lguest: --trace: no value; write --trace=FILE\n',
       '--trace without a file', p.stderr)


def names():
    """Every call of the contract has a name in a trace."""
    with open(f'{BASE}/t/contract/lguest.h', encoding='utf-8') as f:
        calls = re.findall(r'LHCALL_(\w+)\s+= \d+', f.read())
    with open(f'{BASE}/t/launcher/trace.c', encoding='utf-8') as f:
        trace = f.read()
    missing = [c for c in calls if f'[LHCALL_{c}] = "{c}"' not in trace]
    ok(len(calls) > 15 and not missing, 'hypercalls have their names', missing,
       calls)


def hostile():
    program = TMP + '/trace_test'
    subprocess.run([*CC, '-O1', '-g', '-std=gnu11', '-Wall', '-Wextra',
                    '-fsanitize=address,undefined',
                    '-fno-sanitize-recover=all', f'-I{BASE}/t',
                    'tests/trace_test.c', f'{BASE}/t/launcher/trace.c',
                    '-o', program], check=True)
    p = subprocess.run([program, 'ring'], capture_output=True, text=True,
                       timeout=120)
    ok(p.returncode == 0, 'what goes into a ring comes out of it',
       p.stdout, p.stderr)
    bad, total = [], 0
    for seed in range(8):
        p = subprocess.run([program, FILE, str(seed)], capture_output=True,
                           text=True, timeout=120)
        events, _ = load()
        total += len(events)
        if p.returncode or monotonic(events):
            bad += [seed, p.stderr, monotonic(events)]
    ok(not bad and total > 4000,
       f'{total} events of a Host that lies make a file all the same', *bad)


def main():
    whole()
    counts()
    unless_torn(killed)
    unless_torn(full)
    refused()
    names()
    if not ASAN:
        hostile()
    subprocess.run(['rm', '-rf', TMP])
    done()


main()
