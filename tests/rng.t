#!/usr/bin/python3 -B
# also: sanitizers
"""Entropy: the device by itself, then a Guest that asks for random bytes."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from guest_console import ASAN, B, Guest, started  # noqa: E402
import tap  # noqa: E402

T = (B[:-5] if ASAN else B) + '/t'
CC = os.environ.get('CC', 'gcc').split()
FLAGS = ['-O2', '-g', '-std=gnu11', '-Wall', '-Wextra', '-I' + T, '-I.']
if ASAN:
    FLAGS += ['-fsanitize=address,undefined', '-fno-sanitize-recover=all']
ok = tap.ok


def unit(d):
    program = d + '/rng_test'
    files = ['tests/rng_test.c'] + [f'{T}/launcher/{f}.c' for f in
                                    ('rng', 'device', 'virtqueue', 'waker')]
    if subprocess.run(CC + FLAGS + ['-o', program] + files).returncode:
        ok(False, 'the unit test compiles')
        return
    for what in 'kernel', 'file', 'pipe':
        r = subprocess.run([program, d, what], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=60)
        tap.child(r.stdout)
        ok(r.returncode == 0, f'{what}: ends well', r.stderr)
        if what == 'file':
            ok(r.stderr.count('\n') == 1 and r.stderr.endswith(
                '/bytes: the file has ended; the Guest gets no more\n'),
               'the end of the file is said once', r.stderr)
    r = subprocess.run([program, d, 'lie'], stderr=subprocess.PIPE, text=True)
    ok(r.returncode == 1 and 'entropy: requests: a buffer for entropy is '
       'marked to be read' in r.stderr, 'a buffer to be read is a lie', r)


def guest(d):
    g = started('--rng')
    seen = set()
    for _ in range(5):
        a = g.ask('rand 32').strip()
        seen.add(a)
        if not re.fullmatch('[0-9a-f]{64}', a):
            seen = set()
            break
    ok(len(seen) == 5, 'five times 32 bytes, no two alike', seen)
    a = g.ask('rand 1000').strip()
    ok(re.fullmatch('[0-9a-f]{2000}', a), 'a thousand', a)
    ok(len(set(re.findall('..', a))) > 200, 'of nearly all values')
    r = g.halt()
    ok(r[0] == 0 and not r[2], 'power off', r)
    g = started()
    a = g.ask('rand 32')
    ok('no such device' in a, 'without the option there are none', a)
    g.halt()


def guest_file(d):
    path = d + '/numbers'
    with open(path, 'wb') as f:
        f.write(bytes(range(128)))
    g = started(f'--rng={path}')
    a = g.ask('rand 64').strip()
    ok(sorted(re.findall('..', a)) == [f'{i:02x}' for i in range(64)],
       'the first bytes of a file', a)
    a = g.ask('rand 64').strip()
    ok(sorted(re.findall('..', a)) == [f'{i:02x}' for i in range(64, 128)],
       'and the rest of it', a)
    g.send('rand 64\n')
    r = g.until('lguest# ', 1)
    ok(r == '', 'then the Guest waits', r)
    g.kill()
    r = g.end()
    ok(f'lguest: --rng={path}: the file has ended' in r[2],
       'and the Launcher says why', r)


def guest_pipe(d):
    path = d + '/fifo'
    os.mkfifo(path)
    g = started(f'--rng={path}')
    g.send('rand 4\n')
    ok(g.until('lguest# ', 0.5) == '', 'an empty pipe: the Guest waits')
    with open(path, 'wb') as f:
        f.write(b'\x12\x34\x56\x78')
        f.flush()
        a = g.until('lguest# ')
        ok(re.search('78563412|12345678', a), 'until bytes come', a)
    r = g.halt()
    ok(r[0] == 0, 'power off', r)


def words(d):
    for path, about in (d + '/none', 'cannot open'), (d, 'is a directory'):
        r = Guest(f'--rng={path}').end()
        ok(r[0] == 1 and r[2].startswith(f'lguest: --rng={path}: ')
           and about in r[2] and r[2].count('\n') == 1, f'--rng: {about}', r)
    r = Guest('--rng=').end()
    ok(r[0] == 1 and r[2].count('\n') == 1, '--rng= without a file', r)


def main():
    d = tempfile.mkdtemp(prefix='lguest-rng-')
    try:
        unit(d)
        guest(d)
        guest_file(d)
        guest_pipe(d)
        words(d)
    finally:
        shutil.rmtree(d, ignore_errors=True)
    tap.done()


main()
