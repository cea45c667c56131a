#!/usr/bin/python3 -B
"""Each exercise that asks for code has a test that fails on the program as it
is, and passes on the answer in the book's appendix."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exercises import EXERCISES                 # noqa: E402
from guest_console import B  # noqa: E402
import tap  # noqa: E402

PROGRAM = ['lguest', 'guest', 'initrd.tar']


def asked(name, place='.', build=B):
    return subprocess.run(['tests/exercise', name], cwd=place, text=True,
                          capture_output=True, env=dict(os.environ, B=build))


def copy(to):
    """The source and what has been built of it, to be built on."""
    for path in 'lguest.nw', 'Makefile':
        shutil.copy2(path, to)
    for path in 'book', 'tests':
        os.symlink(os.path.abspath(path), f'{to}/{path}')
    os.mkdir(f'{to}/build')
    for path in 't', 'o', 'user', 'initrd':
        subprocess.run(['cp', '-a', f'{B}/{path}', f'{to}/build/'], check=True)
    for path in glob.glob(f'{B}/*'):
        if os.path.isfile(path) and os.path.getsize(path) < 4 << 20:
            shutil.copy2(path, f'{to}/build/')
    shutil.copy2(f'{B}/.tangled', f'{to}/build/')


def change(name, place, *options):
    """Applies the answer, or with -R takes it back, and builds."""
    r = subprocess.run(['patch', '-s', '-F0', '-p0', *options, '-i',
                        os.path.abspath(f'book/answers/{name}.patch')],
                       cwd=place, capture_output=True, text=True)
    if r.returncode == 0:
        r = subprocess.run(['make', '-s', *(f'build/{p}' for p in PROGRAM)],
                           cwd=place, capture_output=True, text=True)
    return r


def main():
    with tempfile.TemporaryDirectory(prefix='lguest-exercises.') as place:
        copy(place)
        for name in EXERCISES:
            r = asked(name)
            tap.ok(r.returncode == 1 and 'not yet' in r.stdout,
                   f'{name}: the program as it is does not do it',
                   r.stdout, r.stderr)
            r = change(name, place)
            if tap.ok(r.returncode == 0, f'{name}: the answer can be built',
                      r.stdout, r.stderr):
                r = asked(name, place, 'build')
                tap.ok(r.returncode == 0, f'{name}: the answer solves it',
                       r.stdout, r.stderr)
            subprocess.run(['cp', '-p', 'lguest.nw', place], check=True)
            os.utime(f'{place}/lguest.nw')
    patches = {os.path.basename(p)[:-6]
               for p in glob.glob('book/answers/*.patch')}
    tap.ok(patches == set(EXERCISES), 'each answer that is code has a test',
           patches ^ set(EXERCISES))
    tap.done()


main()
