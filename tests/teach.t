#!/usr/bin/python3 -B
"""The slides and the lab sheets: of the right length, and true by name."""
import glob
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from guest_console import B  # noqa: E402
import tap  # noqa: E402

LABS = 6        # one for each part of the book


def read(path):
    with open(path, encoding='utf-8', errors='replace') as f:
        return f.read()


def pages(path):
    r = subprocess.run(['pdfinfo', path], capture_output=True, text=True,
                       check=False)
    found = re.search(r'^Pages:\s+(\d+)', r.stdout, re.M)
    return int(found[1]) if found else 0


def page_of(aux, label):
    found = re.search(r'\\newlabel\{%s\}\{\{[^}]*\}\{(\d+)\}' % label, aux)
    return int(found[1]) if found else 0


def exists(word, program, boot):
    """Whether a name in a lab sheet means something."""
    word = word.partition('(')[0]
    if '/' in word:
        path = word.split()[0].removeprefix('build/src/')
        return os.path.exists(path) or os.path.exists(f'{B}/{path}') \
            or path in program
    return re.search(r'\b%s\b' % re.escape(word), program + boot) is not None


def main():
    n = pages(f'{B}/slides.pdf')
    tap.ok(20 <= n <= 40, 'the slides are at most forty', n)
    parts = len(re.findall(r'^\\part\{', read('lguest.nw'), re.M))
    tap.ok(parts == LABS, 'a lab for each part', parts)
    aux = read(f'{B}/teach/labs.aux')
    for lab in range(1, LABS + 1):
        first, last = page_of(aux, f'lab:{lab}'), page_of(aux, f'labend:{lab}')
        tap.ok((first, last) == (2 * lab - 1, 2 * lab),
               f'lab {lab} has two pages', first, last)
    tap.ok(pages(f'{B}/labs.pdf') == 2 * LABS, 'and there are no more')

    program = ''.join(read(p).replace('\\_', '_') for p in [
        'lguest.nw', 'Makefile', *glob.glob('figures/*.tex')])
    tests = ''.join(read(p) for p in glob.glob('tests/*') if os.path.isfile(p))
    labs = re.sub(r'\\([$_&#%])', r'\1', read('book/labs.tex'))
    words = {w for text in re.findall(r'\\code\{([^{}\\]*)\}', labs)
             for w in [text] if re.search(r'_|^(tests|build|guest|host)/', w)}
    words = {w for w in words if not re.search(r'PID|NAME', w)}
    tap.ok(len(words) > 10, 'the sheets name things of the program', words)
    for word in sorted(words):
        tap.ok(exists(word, program, tests), f'{word}: there is one')
    tap.done()


main()
