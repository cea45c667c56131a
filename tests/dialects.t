#!/usr/bin/python3 -B
# also: sanitizers
"""Guests that speak the dialects of 2008, 2010 and 2011 are understood, one
of later years is refused. No Linux is needed: dialects.S is the Guest."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from guest_console import Tap, B

HERE = os.path.dirname(os.path.abspath(__file__))
tap = Tap()


def build(out, *defines):
    subprocess.run(
        [os.environ.get('CC', 'gcc'), '-m32', '-nostdlib', '-static',
         '-no-pie', '-Wl,--build-id=none', '-Wl,-Ttext=0x100000',
         '-Wl,-z,max-page-size=4096', '-Wl,--no-warn-rwx-segments',
         *defines, '-o', out, f'{HERE}/dialects.S'], check=True)


def run(kernel):
    return subprocess.run([f'{B}/lguest', '16', kernel], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=60)


with tempfile.TemporaryDirectory() as tmp:
    for year in 2008, 2010, 2011:
        build(f'{tmp}/guest', f'-DDIALECT={year}')
        r = run(f'{tmp}/guest')
        tap.ok((r.returncode, r.stdout, r.stderr) == (0, 'understood\n', ''),
               f'a Guest of {year}', r)
tap.done()
