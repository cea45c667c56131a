#!/usr/bin/python3 -B
"""Random instructions, as a Guest's kernel and as its user program.

A user program made by dice must never hurt its kernel: that one counts its
programs and says `held'. A kernel made by dice may die of anything, but in
one line. The machine, the Launcher and the test must not notice.

FUZZ_SECONDS=600 for longer; FUZZ_SEED=n repeats a run: each Guest's seed is
printed when something is wrong."""
import os
import random
import re
import subprocess
import sys
import time
from hostile import canary, launch, left_behind, stop

SECONDS = float(os.environ.get('FUZZ_SECONDS', '60'))
SEED = int(os.environ.get('FUZZ_SEED', random.randrange(1, 1 << 32)))
PROGRAMS = {'fuzzuser': 2000, 'fuzzkernel': 200}


def run(kind, seed, limit):
    """What is wrong with one Guest, and whether it ended by itself."""
    words = [kind, f'{seed:x}', f'{PROGRAMS[kind]:x}']
    p = launch(words)
    wrong, ended = [], True
    try:
        err = p.communicate(timeout=limit)[1].decode('latin1')
        if p.returncode != 1 or err.count('\n') != 1:
            wrong += [f'status {p.returncode}', err[:500]]
        elif kind == 'fuzzuser' and err != 'lguest: the Guest died: held\n':
            wrong.append(err)
    except subprocess.TimeoutExpired:
        ended = False
        if not stop(p):
            wrong.append('does not end when told to')
        if kind == 'fuzzuser':
            wrong.append('hangs')
    left = left_behind()
    if left:
        wrong.append(f'left behind: {left}')
    return [' '.join(words), *wrong, *canary.dead()], ended


def fuzz(number, kind, seconds):
    pick = random.Random(SEED)
    end, guests, silent, bad = time.time() + seconds, 0, 0, []
    while time.time() < end and not bad:
        wrong, ended = run(kind, pick.randrange(1, 1 << 32),
                           60 if kind == 'fuzzuser' else .5)
        guests += 1
        silent += not ended
        if len(wrong) > 1:
            bad = wrong
    print(f'{"not " if bad else ""}ok {number} - {kind}: {guests} Guests of '
          f'{PROGRAMS[kind]} programs, {silent} fell silent')
    for line in bad:
        print('# ' + re.sub(r'\n', '\n# ', line))
    sys.stdout.flush()
    return bool(bad)


print(f'1..2\n# FUZZ_SEED={SEED}')
sys.exit(any([fuzz(1, 'fuzzuser', SECONDS / 2),
              fuzz(2, 'fuzzkernel', SECONDS / 2)]))
