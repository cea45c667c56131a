#!/usr/bin/python3 -B
"""The three wakers of build/wakers: each delivers every key, in each kind of
experiment; a BREAK that waits is sent once a key; nothing is left behind."""
import os
import re
import signal
import subprocess
import time
from tap import done, ok

B = os.environ.get('B', 'build')
KINDS = 'forked', 'cloned', 'evented'
KEYS = 300


def run(kind, *words):
    try:
        return subprocess.run([f'{B}/wakers/{kind}', *words], text=True,
                              capture_output=True, timeout=120)
    except subprocess.TimeoutExpired as e:
        return subprocess.CompletedProcess(e.cmd, None, 'it hangs', '')


def family(pid):
    """pid and its descendants, while they live."""
    found = [pid]
    for p in found:
        try:
            with open(f'/proc/{p}/task/{p}/children') as f:
                found += map(int, f.read().split())
        except OSError:
            pass
    return found


def alive(pid):
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def experiments(kind):
    for words in [], ['busy'], ['refill'], ['busy', 'refill'], ['hasty']:
        r = run(kind, str(KEYS), *words)
        found = re.fullmatch(r'median \d+\.\d+ us, (\d+) keys, (\d+) breaks\n',
                             r.stdout)
        ok(r.returncode == 0 and found and int(found[1]) == KEYS,
           f'{kind}: {" ".join(words) or "idle"}: every key arrives',
           r.stdout, r.stderr)
        breaks = int(found[2]) if found else -1
        if kind == 'evented':
            ok(breaks == 0, '  and the Guest is never broken out', breaks)
        elif 'hasty' in words:
            ok(breaks > 2 * KEYS, '  and many BREAKs for one key', breaks)
        else:
            ok(KEYS - 1 <= breaks <= KEYS + KEYS // 10,
               '  and one BREAK for each', breaks)


def ends(kind):
    p = subprocess.Popen([f'{B}/wakers/{kind}', '1000000'])
    end = time.monotonic() + 30
    while len(family(p.pid)) < 3 and time.monotonic() < end:
        time.sleep(0.01)
    all_of_it = family(p.pid)
    p.send_signal(signal.SIGKILL)
    p.wait()
    while any(map(alive, all_of_it)) and time.monotonic() < end:
        time.sleep(0.01)
    ok(len(all_of_it) == 3 and not any(map(alive, all_of_it)),
       f'{kind}: killed, it leaves nobody behind', all_of_it)


for kind in KINDS:
    experiments(kind)
    ends(kind)
for words in [], ['0'], ['many'], ['1000001'], ['1x']:
    r = run('forked', *words)
    ok(r.returncode == 1 and r.stderr.count('\n') == 1 and 'how many keys'
       in r.stderr, f'refused: {words}', r.stderr)
done()
