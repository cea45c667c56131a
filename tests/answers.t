#!/usr/bin/python3 -B
"""Answers belong to exercises, exercises have one name each, and those
answers that are changes of the program still apply to it."""
import glob
import os
import re
import subprocess
import tempfile
from tap import done, ok


def twice(names):
    return sorted({n for n in names if names.count(n) > 1})


with open('lguest.nw', encoding='utf-8') as f:
    text = f.read()
exercises = re.findall(r'\\ex\{([\w-]+)\}\{[123]\}', text)
answers = re.findall(r'\\begin\{answer\}\{([\w-]+)\}', text)
shown = re.findall(r'\\answerpatch\{([\w-]+)\}', text)
patches = sorted(os.path.basename(p)[:-6]
                 for p in glob.glob('book/answers/*.patch'))
ok(not twice(exercises), 'each exercise has a name of its own',
   twice(exercises))
ok(not twice(answers), 'no exercise is answered twice', twice(answers))
ok(set(answers) <= set(exercises), 'each answer has its exercise',
   set(answers) - set(exercises))
ok(len(answers) >= 60, f'{len(answers)} of {len(exercises)} are answered')
ok(sorted(shown) == patches, 'the book shows each patch, once',
   set(shown) ^ set(patches))
for name in patches:
    with tempfile.TemporaryDirectory() as d:
        r = subprocess.run(['patch', '-s', '-F0', '-o', f'{d}/lguest.nw',
                            'lguest.nw', f'book/answers/{name}.patch'],
                           capture_output=True, text=True)
    ok(r.returncode == 0, f'the answer {name} applies', r.stdout, r.stderr)
done()
