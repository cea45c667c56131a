#!/usr/bin/python3 -B
"""What helps those who write: draft, watch, tags, compile_commands.json."""
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

B = os.environ.get('B', 'build')
TOP = os.getcwd()
sys.path.insert(0, 'book')
import literate  # noqa: E402
from tap import done, ok, skip


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True,
                          errors='replace', timeout=500, **more)


def copy(name):
    """A tree of its own: the tools are links, source and build are copies."""
    place = os.path.join(SCRATCH, name)
    os.makedirs(place + '/build')
    for entry in ('Makefile', 'book', 'figures', 'tests'):
        os.symlink(os.path.join(TOP, entry), os.path.join(place, entry))
    run('cp', '-a', 'lguest.nw', place)
    run('cp', '-a', *[f'{B}/{entry}' for entry in os.listdir(B) if entry not in
                      ('book', 'debian', 'draft', 'html')], place + '/build')
    return place


def draft():
    if not shutil.which('lualatex'):
        skip('draft', 'no lualatex; ./setup --all installs it')
        return
    place = copy('draft')
    p = run('make', '-s', 'draft', 'CHAPTER=waker', cwd=place)
    text = run('pdftotext', f'{place}/build/draft.pdf', '-').stdout
    ok(p.returncode == 0 and 'The Waker' in text and 'waker_start' in text and
       'Virtqueues' not in text.split('\n')[0], 'a chapter alone', p.stdout,
       p.stderr)
    p = run('make', '-s', 'draft', 'CHAPTER=frob', cwd=place)
    ok(p.returncode and re.search(r'no chapter frob;.*one of:\n.* waker ',
                                  p.stderr), 'no such chapter', p.stderr)
    lines = literate.read(place + '/lguest.nw').split('\n')
    at = lines.index('\\chapter{The Waker}\\label{ch:waker}') + 2
    lines.insert(at, 'Some \\nonsense here.')
    with open(place + '/lguest.nw', 'w') as f:
        f.write('\n'.join(lines))
    p = run('make', '-s', 'draft', 'CHAPTER=waker', cwd=place)
    ok(p.returncode and f'lguest.nw:{at + 1}:' in p.stderr and
       'Undefined control' in p.stderr, "LaTeX's errors have their line",
       p.stderr)


class Watch:
    """make watch, in a process group of its own."""

    def __init__(self, place, **env):
        self.process = subprocess.Popen(
            ['make', '-s', 'watch'], cwd=place, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
            env=dict(os.environ, **env))
        self.place, self.text, self.left = place, '', 'it does not end'

    def until(self, pattern):
        end = time.monotonic() + 400
        while time.monotonic() < end:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return True
            if select.select([self.process.stdout], [], [], 5)[0]:
                self.text += os.read(self.process.stdout.fileno(),
                                     65536).decode(errors='replace')
        return False

    def edit(self, old, new):
        """As editors do it: a new file, renamed."""
        path = self.place + '/lguest.nw'
        text = literate.read(path)
        assert text.count(old) == 1
        with open(path + '~', 'w') as f:
            f.write(text.replace(old, new))
        os.replace(path + '~', path)

    def end(self):
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return False
        for _ in range(100):        # they all end at the same time, or so
            self.left = run('ps', '-o', 'pid=,args=', '-s',
                            str(self.process.pid)).stdout.strip()
            if not self.left:
                return True
            time.sleep(0.2)
        return False


def watch(name, mistakes, **env):
    place = copy(name)
    w = Watch(place, **env)
    try:
        ok(w.until(r'watch: lguest.nw: done'), f'{name}: builds at the start',
           w.text)
        w.edit('void waker_start(void)\n{', 'int edited;\nvoid '
               'waker_start(void)\n{')
        # A file of its own may warn; a missing prototype does not.
        good = w.until(r'watch: waker: (done|wrong)')
        symbols = run('nm', place + '/build/lguest').stdout
        ok(good and ' edited\n' in symbols, f'{name}: an edit is compiled',
           w.text)
        if shutil.which('lualatex'):
            ok(os.path.exists(place + '/build/draft.pdf'),
               f'{name}: and its chapter typeset', w.text)
        else:
            skip(f'{name}: a draft', 'no lualatex')
        if not mistakes:
            return
        w.edit('int edited;\nvoid waker', 'int edited\nvoid waker')
        ok(w.until(r'lguest.nw:\d+:\d+: error(?s:.*)watch: waker: wrong'),
           f'{name}: a mistake is told, and is not the end', w.text)
        w.edit('int edited\nvoid waker', 'int mended;\nvoid waker')
        ok(w.until('watch: waker: done'), f'{name}: and mended', w.text)
    finally:
        ok(w.end(), f'{name}: ^C leaves nothing behind', w.left)


def tags():
    place = copy('tags')
    p = run('make', '-s', 'tags', cwd=place)
    source = literate.read(place + '/lguest.nw').split('\n')
    wrong, names = [], set()
    for line in (literate.read(place + '/tags') or '').split('\n')[2:-1]:
        name, path, number = re.match(r'(.*)\t(.*)\t(\d+);"', line).groups()
        names.add(name)
        if path != 'lguest.nw' or name not in source[int(number) - 1]:
            wrong.append(line)
    ok(p.returncode == 0 and not wrong and len(names) > 3000 and
       {'waker_start', 'host_ops', 'user_lacks'} <= names,
       f'{len(names)} tags lead to lines that have them', p.stderr, wrong[:9])
    line = source.index('void waker_start(void)') + 1
    here = dict(cwd=place)
    if shutil.which('vim'):
        run('vim', '-es', '-u', 'NONE', '-c', 'tag waker_start', '-c',
            'redir > at', '-c', 'echo expand("%") line(".")', '-c', 'q!',
            **here)
        ok(f'lguest.nw {line}' in (literate.read(place + '/at') or ''),
           'vim finds a function', literate.read(place + '/at'))
        with open(place + '/.vimrc', 'w') as f:
            f.write('set nocompatible\nset runtimepath+=book/vim\n'
                    'filetype on\nsyntax on\n')
        group = 'echo synIDattr(synID(line("."),1,1),"name")'
        run('vim', '-es', '-u', '.vimrc', 'lguest.nw', '-c', 'redir! > at',
            '-c', str(line), '-c', group, '-c', '/^\\\\section', '-c', group,
            '-c', 'cgetexpr ["lguest.nw:9:1: error: x"] | cfirst', '-c',
            'echo line(".")', '-c', 'q!', **here)
        said = (literate.read(place + '/at') or '').split()
        ok('cType' in said and 'texSection' in said and said[-1] == '9',
           'vim colours C and LaTeX, and goes to errors', said)
    else:
        skip('vim', 'not installed')
        skip('its colours', 'the same')
    if shutil.which('emacs'):
        p = run('emacs', '-Q', '--batch', '--eval', '(progn (find-file '
                '"lguest.nw") (visit-tags-table "TAGS") '
                '(xref-find-definitions "waker_start") (message "at %s:%d" '
                '(buffer-name) (line-number-at-pos)))', **here)
        ok(f'at lguest.nw:{line}' in p.stderr, 'so does Emacs', p.stderr)
    else:
        skip('Emacs', 'not installed')
    commands(place)


def commands(place):
    with open(place + '/compile_commands.json') as f:
        entries = json.load(f)
    files = {e['file'] for e in entries}
    wrong = []
    for e in entries:
        if e['file'] in ('launcher/main.c', 'host/inside/trap.c',
                         'guest/boot.c', 'guest/user/sh.c'):
            p = run('sh', '-c', e['command'] + ' -fsyntax-only',
                    cwd=e['directory'])
            wrong += [p.stderr] if p.returncode else []
    sources = {os.path.relpath(os.path.join(at, n), place + '/build/src')
               for at, _, names in os.walk(place + '/build/src')
               for n in names if n.endswith('.c')}
    ok(files == sources and not wrong, f'compile_commands.json has the '
       f'{len(files)} files, and they compile', files ^ sources, *wrong)


if not os.path.exists(literate.MARKUP):
    print('1..0 # skip noweb is not installed; ./setup does it')
    sys.exit()
with tempfile.TemporaryDirectory(prefix='lguest-writing.') as SCRATCH:
    tags()
    draft()
    if shutil.which('inotifywait'):
        watch('inotify', True)
    else:
        skip('inotify', 'no inotifywait; ./setup --all installs it')
    watch('polling', False, POLL='1')
done()
