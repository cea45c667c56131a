#!/usr/bin/python3 -B
"""Every row of the book's table of lies: is it in the Launcher and tested?"""
import os
import re
import tap
from tap import done, ok

T = os.environ.get('B', 'build').removesuffix('/asan') + '/t'


def words_of(path):
    """A C or Python file with its strings put together again."""
    with open(path, encoding='utf-8') as f:
        text = f.read()
    text = re.sub(r"""["']\s*\n\s*(?:f?b?["'])""", '', text)
    return re.sub(r'\s+', ' ', text)


def rows():
    with open('lguest.nw', encoding='utf-8') as f:
        text = f.read()
    table = text.split('% lies.t reads from here\n')[1].split('% to here')[0]
    for line in table.splitlines():
        line, _, proof = line.partition(' % proof: ')
        cells = re.sub(r'\\\\(\[\dpt\])?$', '', line).split(' & ')
        if len(cells) == 3 and cells[2].startswith('[['):
            yield cells[0], cells[1], cells[2].strip('[] '), proof


def main():
    launcher = ' '.join(words_of(f'{T}/launcher/{f}')
                        for f in sorted(os.listdir(f'{T}/launcher'))
                        if f.endswith('.c'))
    for lie, says, test, proof in rows():
        path = f'tests/{test}'
        if not os.path.exists(path):
            ok(False, lie, f'{path} does not exist')
            continue
        said = re.fullmatch(r'(?:nothing, or )?\[\[(.*)\]\]', says)
        if said:
            ok(said[1] in launcher and said[1] in words_of(path), lie,
               f'said by the Launcher: {said[1] in launcher}; in {path}: '
               f'{said[1] in words_of(path)}')
        else:
            ok(proof and proof in words_of(path), lie,
               f'its proof in {path}: {proof or "none is named"}')
    ok(tap.count > 42, 'the table is not empty', tap.count)
    done()


main()
