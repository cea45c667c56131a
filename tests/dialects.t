#!/usr/bin/python3 -B
# also: sanitizers
"""Guests that speak the dialects of 2008, 2010 and 2011 are understood, one
of later years is refused. A Guest that enters and leaves its kernel as Linux
does has both ways shortened if there are gates, and neither if what is there
is not exactly what Linux has. Its hypercalls become calls, where they have
Linux's form. No Linux is needed: dialects.S, returns.S and calls.S are the
Guests."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from guest_console import B
import tap

HERE = os.path.dirname(os.path.abspath(__file__))


# What returns.S says: 1 its way out is changed, 2 and 4 its way in (ds and fs),
# 8 there are gates; a digit of base 16. Then, how many of its functions that
# end a queue are changed: two, where a third is not quite like them.
VARIANTS = ['as Linux has it', 'another word stored', 'a lower address',
            'another prefix', 'a range too long', 'a range too soon',
            'a range across the end of memory', 'a range below the kernel']


def build(out, *defines, source='dialects.S'):
    subprocess.run(
        [os.environ.get('CC', 'gcc'), '-m32', '-nostdlib', '-static',
         '-no-pie', '-Wl,--build-id=none', '-Wl,-Ttext=0x100000',
         '-Wl,-z,max-page-size=4096', '-Wl,--no-warn-rwx-segments',
         *defines, '-o', out, f'{HERE}/{source}'], check=True)


def run(kernel, *options):
    return subprocess.run([f'{B}/lguest', *options, '16', kernel], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=60)


with tempfile.TemporaryDirectory() as tmp:
    for year in 2008, 2010, 2011:
        build(f'{tmp}/guest', f'-DDIALECT={year}')
        r = run(f'{tmp}/guest')
        tap.ok((r.returncode, r.stdout, r.stderr) == (0, 'understood\n', ''),
               f'a Guest of {year}', r)
    for variant, name in enumerate(VARIANTS):
        build(f'{tmp}/guest', f'-DVARIANT={variant}', source='returns.S')
        for gates, said in ('on', 'f2' if not variant else 'e0'), ('off', '00'):
            r = run(f'{tmp}/guest', f'--gates={gates}')
            tap.ok((r.returncode, r.stdout, r.stderr) ==
                   (0, said + '\n', ''),
                   f'a way out, {name}, gates {gates}', r)
            if not variant:
                r = run(f'{tmp}/guest', f'--gates={gates}',
                        '--trace-summary')
                tap.ok(re.findall(r'code changed +(\d+)', r.stderr) ==
                       (['6'] if said == 'f2' else []),
                       'and a trace tells of what was changed', r)
    for gates, guest, said, changed in (
            ('on', 'LINUX', '3', ['34']), ('off', 'LINUX', '0', []),
            ('on', 'OTHER', '0', [])):
        build(f'{tmp}/guest', f'-D{guest}', source='calls.S')
        r = run(f'{tmp}/guest', f'--gates={gates}', '--trace-summary')
        tap.ok((r.returncode, r.stdout) == (0, f'abcdefghij{said}\n') and
               re.findall(r'code changed +(\d+)', r.stderr) == changed,
               f'hypercalls as Linux has them, {guest.lower()}, gates {gates}',
               r)
    build(f'{tmp}/guest', '-DLOST', source='calls.S')
    r = run(f'{tmp}/guest')
    tap.ok(r.returncode == 1 and re.search(
        'the Guest died: it is lost in the gate page, from c01', r.stderr),
        'a call of their gate from elsewhere', r)
tap.done()
