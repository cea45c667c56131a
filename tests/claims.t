#!/usr/bin/python3 -B
"""The book's tables of claims: does what tests each of them exist, and run?

A name is an attack of the kernel with a fuse, a name with an asterisk one of
the teaching Guest's program; both have to stand in the source and in the list
of a test. A name with a dot is a test."""
import os
import re
import guest_console
import tap

T = os.path.dirname(guest_console.B) if guest_console.ASAN else guest_console.B


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def rows():
    text = read('lguest.nw').split('% claims.t reads from here\n')[1]
    for line in text.split('% to here')[0].splitlines():
        claim, _, tests = line.removesuffix('\\\\').rpartition(' & ')
        if claim and not claim.startswith('\\textbf'):
            yield claim, tests.split(', ')


def lacks(name, alone, below, lists):
    """What is wrong with one name, or nothing."""
    if name.startswith('[['):
        path = f'tests/{name.strip("[]")}'
        return '' if os.access(path, os.X_OK) else f'no {path}'
    star = name.endswith('*')
    plain = name.rstrip('*')
    if plain not in (below if star else alone):
        return f'no attack {name}'
    return '' if re.search(rf"'{plain}[' ]", lists) else f'{name} is not run'


def main():
    source = ''.join(read(f'{T}/t/guest/attack/{f}')
                     for f in os.listdir(f'{T}/t/guest/attack'))
    alone = re.findall(r'^\s*ATTACK (\w+)', source, re.M)
    below = re.findall(r'\{ "(\w+)"', read(f'{T}/t/guest/user/attack.c'))
    lists = read('tests/attacks.t') + read('tests/fuzz_insn.t')
    named = set()
    for claim, tests in rows():
        named |= set(tests)
        wrong = [w for w in (lacks(n, alone, below, lists) for n in tests)
                 if w]
        tap.ok(tests and not wrong, claim, *wrong)
    tap.ok(tap.count > 30, 'the tables are not empty', tap.count)
    idle = [n for n in alone if n not in named]
    tap.ok(not idle, 'every attack is named for a claim', idle)
    tap.done()


main()
