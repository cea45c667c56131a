#!/usr/bin/python3 -B
"""The book and the tangling: what must fail the build does, what comes out
is what went in, and twice the same source gives twice the same bytes."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tap

B = os.environ.get('B', 'build')
TOP = os.getcwd()
sys.path.insert(0, 'book')
import literate  # noqa: E402

ROOTS = subprocess.run(
    ['make', '-s', '--no-print-directory', '-f', 'Makefile', '-f', '-',
     'print-roots'], input='print-roots: ; @echo $(ROOTS)\n', text=True,
    capture_output=True).stdout.split()
HEAD = '\\documentclass[fontsize=10.5pt]{scrbook}\\usepackage{lgbook}\n' \
       '\\begin{document}\\chapter{One}\\label{ch:one}\n'
GOOD = HEAD + '''Words. See \\cref{ch:one} and \\cite{knuth-lp-1984}.
<<a/file.c>>=
int one(void)
{
	<<Count to one>>
}
@
More words about [[one]].
<<Count to one>>=
return 1 @<< 0;
@
\\bibliographystyle{plainnat}\\bibliography{lguest}
\\end{document}
'''


# Figures that are drawn from data when the book is made.
DRAWN = (('bench-ratios', 'book/bench-figure', 'figures/data/bench.json'),
         ('bench-parts', 'book/parts-figure', 'figures/data/bench.json'),
         ('bench-peers', 'book/parts-figure', '--peers',
          'figures/data/bench.json'),
         ('wakers', 'book/wakers-figure', 'figures/data/wakers.json'),
         ('linux-boot-time', 'book/boot-figure',
          'figures/data/linux-boot-time.txt'),
         ('key-timeline', 'cat', 'book/golden/key-timeline.txt'))


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True,
                          errors='replace', **more)


def lint(text, roots=('a/file.c',)):
    with open(os.path.join(scratch, 'x.nw'), 'w') as f:
        f.write(text)
    return run('book/lint', os.path.join(scratch, 'x.nw'), *roots)


def complains(what, text, word, **more):
    done = lint(text, **more)
    tap.ok(done.returncode == 1 and word in done.stdout, what,
           done.stdout, done.stderr)


def lints():
    done = run('book/lint', 'lguest.nw', *ROOTS)
    tap.ok(done.returncode == 0, 'the source passes its checks', done.stdout)
    done = lint(GOOD)
    tap.ok(done.returncode == 0, 'so does a small good one', done.stdout)
    complains('an undefined chunk fails', GOOD.replace(
        '<<Count to one>>=', '<<Count to two>>='),
        'undefined chunk <<Count to one>>')
    complains('an unused chunk fails', GOOD.replace(
        '\t<<Count to one>>\n', ''), '<<Count to one>> is never used')
    complains('a file that no list names fails', GOOD,
              '<<a/file.c>> is no file', roots=())
    complains('a listed file that is missing fails', GOOD,
              'no chunk <<b.c>>', roots=('a/file.c', 'b.c'))
    line = 'return 1 @<< 0;'
    wide = '\treturn 1' + ' ' * 62 + '1;'
    assert len(wide.expandtabs(8)) == 80
    done = lint(GOOD.replace(line, wide))
    tap.ok(done.returncode == 0, '80 columns pass, the tab being 8')
    complains('81 columns fail', GOOD.replace(line, ' ' + wide.replace(
        '\t', '        ')), '81 columns')
    complains('a trailing blank fails', GOOD.replace(line, line + ' '),
              'trailing blank')
    forty = GOOD.replace(line, '\n'.join(['int x;'] * 40))
    tap.ok(lint(forty).returncode == 0, '40 lines in a chunk pass')
    complains('41 lines fail', forty.replace('int x;', 'int x;\nint y;', 1),
              '41 lines')
    complains('a chunk that uses itself fails', GOOD.replace(
        line, line + '\n<<Count to one>>'), 'uses itself')


def tangles():
    """Our one pass writes what noweb's notangle would."""
    out = os.path.join(scratch, 't')
    run('book/tangle', 'lguest.nw', out, *ROOTS)
    source = open('lguest.nw').read().split('\n')
    differ, wrong = [], []
    for root in ROOTS:
        text = open(os.path.join(out, root)).read()
        plain = re.sub(r'^#line .*\n', '', text, flags=re.M)
        noweb = run('notangle', '-t8', '-R' + root, 'lguest.nw').stdout
        if squeeze(plain) != squeeze(noweb):
            differ.append(root)
        number = None
        for line in text.split('\n')[:-1]:
            found = re.match(r'#line (\d+) "lguest.nw"$', line)
            if found:
                number = int(found[1])
                continue
            if number is None:
                continue
            raw = source[number - 1].replace('@<<', '<<').replace('@>>', '>>')
            if '<<' not in raw and not line.strip().endswith(raw.strip()):
                wrong.append(f'{root}: line {number}: {line}')
            number += 1
    tap.ok(not differ, f'{len(ROOTS)} files are as notangle writes them',
           differ)
    tap.ok(not wrong, 'every #line tells the truth', '\n'.join(wrong))


def squeeze(text):
    """Without what indents a chunk that is used behind a label or a case."""
    lines = (' '.join(line.split()) for line in text.split('\n'))
    return '\n'.join(line for line in lines if line)


def readable():
    done = run('make', '-s', 'src', f'B={scratch}/s')
    src = os.path.join(scratch, 's', 'src')
    text = open(os.path.join(src, 'launcher/main.c')).read()
    tap.ok(done.returncode == 0 and '#line' not in text and
           re.search(r'^\s*/\* [A-Z].* \*/$', text, re.M),
           'make src: chunk names as comments, no #line', done.stderr)
    done = run('gcc', '-std=gnu11', '-Wall', '-Werror', '-fsyntax-only',
               '-I' + src, os.path.join(src, 'launcher/main.c'),
               os.path.join(src, 'launcher/virtqueue.c'))
    tap.ok(done.returncode == 0, 'and it compiles', done.stderr)


def printed_once():
    """Every line of code in the book, once, and every one reaches a file."""
    source = literate.Source('lguest.nw')
    written = set()
    for root in ROOTS:
        written.update(number for number, _ in source.expand(root))
    wanted, lost = 0, []
    for piece in source.pieces:
        if piece.kind != 'code':
            continue
        full = [bool(''.join(v for _, v in parts).strip())
                for _, parts in piece.lines]
        if any(full):
            first = full.index(True)
            wanted += len(full) - first - full[::-1].index(True)
        for (number, parts), some in zip(piece.lines, full):
            if some and all(kind == 'text' for kind, _ in parts) \
                    and number not in written:
                lost.append(number)
    text = open(f'{B}/book/book.tex').read()
    code = re.findall(r'\\begin\{lgchunk\}(.*?)\\end\{lgchunk\}', text, re.S)
    lines = sum(len(re.findall(r'^\\lg[lLb]\{', c, re.M)) for c in code)
    pieces = [p for p in source.pieces if p.kind == 'code']
    tap.ok(len(code) == len(pieces) and lines == wanted,
           f'{wanted} lines in {len(pieces)} pieces are printed, each once',
           f'{lines} lines in {len(code)} pieces')
    tap.ok(not lost, 'each of them is in a file of the program',
           '\n'.join(map(str, lost)))


def small_book(text):
    """Weave and typeset a small source of its own."""
    place = tempfile.mkdtemp(dir=scratch)
    for name in ('book', 'figures'):
        os.symlink(os.path.join(TOP, name), os.path.join(place, name))
    with open(os.path.join(place, 'x.nw'), 'w') as f:
        f.write(text)
    env = {k: v for k, v in os.environ.items() if k != 'DRAFT'}
    env.setdefault('TEXMFVAR', os.path.join(TOP, B, 'texmf'))
    done = run('book/weave', 'x.nw', 'build', 'a/file.c', cwd=place, env=env)
    if done.returncode == 0:
        done = run('book/typeset', 'build', cwd=place, env=env)
    return done, os.path.join(place, 'build/book.pdf')


def bytes_of(path):
    with open(path, 'rb') as f:
        return f.read()


def typesets():
    done, pdf = small_book(GOOD)
    tap.ok(done.returncode == 0, 'a small book is typeset',
           done.stdout + done.stderr)
    for what, old, new in (
            ('an undefined reference', 'ch:one} and', 'ch:two} and'),
            ('a label defined twice', 'Words.', 'Words.\\label{ch:one}'),
            ('an undefined citation', 'knuth-lp-1984', 'nobody-2000'),
            ('an overfull box', 'Words.', '\\noindent\\hbox to 378pt{x\\hfil}'),
            ('a figure that is missing', 'Words.',
             'Words.\\figurefile{no-such-figure}{Caption.}{Nothing.}'),
            ('a transcript that is missing', 'Words.', '\\transcript{none}')):
        done, _ = small_book(GOOD.replace(old, new, 1))
        tap.ok(done.returncode != 0 and done.stderr, what + ' fails',
               done.stdout + done.stderr)


def book():
    """The real one: its contents, and the same bytes when made anew."""
    text = run('pdftotext', '-layout', f'{B}/book.pdf', '-').stdout
    log = open(f'{B}/book/book.log', errors='replace').read()
    # Two question marks, no more: a hostile Guest's last words have many.
    open_ = re.findall(r'^.*(?<!\?)\?\?(?!\?).*$', text, re.M)
    tap.ok(not open_ and 'undefined on input' not in log,
           'no reference in the book is open', *open_)
    info = run('pdfinfo', f'{B}/book.pdf').stdout
    pages = int(re.search(r'Pages:\s+(\d+)', info)[1])
    tap.ok('504 x 720 pts' in info and pages > 200,
           f'{pages} pages of 7 by 10 inches', info)
    for head in ('Contents', 'Preface', 'Exercises', 'Files and chunks',
                 'Names in the program', 'Bibliography'):
        tap.ok(re.search(rf'^\s*{head}\s*$', text, re.M), f'it has: {head}')
    place = os.path.join(scratch, 'again')
    os.makedirs(place)
    if os.path.isdir(f'{B}/runs'):
        shutil.copytree(f'{B}/runs', os.path.join(place, 'runs'))
    done = run('book/weave', 'lguest.nw', place, *ROOTS)
    if done.returncode == 0:
        os.makedirs(f'{place}/book/figures', exist_ok=True)
        for name, *command in DRAWN:
            with open(f'{place}/book/figures/{name}.tex', 'w') as f:
                f.write(run(*command).stdout)
        done = run('book/typeset', place)
    tap.ok(done.returncode == 0 and bytes_of(f'{B}/book.pdf') ==
           bytes_of(f'{place}/book.pdf'), 'made anew it has the same bytes',
           done.stdout + done.stderr)


def transcripts():
    """The scripts of book/runs print the same a second time."""
    differ = []
    for name in sorted(os.listdir('book/runs')):
        if name == 'key-timeline':      # the book has book/golden's
            continue
        again = run(os.path.join('book/runs', name), env=dict(os.environ, B=B))
        first = literate.read(f'{B}/runs/{name}.txt')
        if again.stdout != first:
            differ.append(f'{name}:\n{again.stdout}')
    tap.ok(not differ, 'every transcript comes out the same again', *differ)


def edits():
    """One chunk edited: one file compiled, and soon."""
    place = os.path.join(scratch, 'edit')
    os.makedirs(place)
    for name in ('Makefile', 'book', 'tests'):
        os.symlink(os.path.join(TOP, name), os.path.join(place, name))
    os.makedirs(os.path.join(place, B))
    run('cp', '-a', 'lguest.nw', place)
    run('cp', '-a', *[os.path.join(B, name) for name in os.listdir(B) if name
        not in ('book', 'debian', 'debootstrap', 'html', 'runs')],
        os.path.join(place, B))
    if B != 'build':
        tap.skip('an edit', f'B is {B}')
        return
    run('make', 'build/lguest', cwd=place)
    text = open('lguest.nw').read()
    first = text.index('<<launcher/main.c>>=')
    line = text.index('\nint main(', first)
    with open(os.path.join(place, 'lguest.nw'), 'w') as f:
        f.write(text[:line] + '\n\nextern int edited;' + text[line:])
    start = time.monotonic()
    done = run('make', 'build/lguest', cwd=place)
    took = time.monotonic() - start
    compiled = re.findall(r'  CC  +(\S+)', done.stdout)
    tap.ok(done.returncode == 0 and
           compiled == ['build/o/native/launcher/main.o'],
           'a chunk edited: one file is compiled', done.stdout + done.stderr)
    print(f'# in {took:.1f} s')
    with open(os.path.join(place, 'lguest.nw'), 'w') as f:
        f.write(text[:line] + '\n\nint wrong' + text[line:])
    done = run('make', 'build/lguest', cwd=place)
    number = text[:line].count('\n') + 3
    tap.ok(re.search(rf'^lguest\.nw:{number}:\d+: error', done.stderr, re.M),
           'an error of the compiler points into lguest.nw', done.stderr)


if not os.path.exists(literate.MARKUP):
    print('1..0 # skip noweb is not installed; ./setup does it')
    sys.exit()
scratch = tempfile.mkdtemp(prefix='weave.')
try:
    lints()
    tangles()
    readable()
    edits()
    if shutil.which('lualatex') and os.path.exists(f'{B}/book.pdf'):
        printed_once()
        typesets()
        book()
        transcripts()
    else:
        tap.skip('the book', 'no lualatex; ./setup --all installs it'
                 if not shutil.which('lualatex') else f'no {B}/book.pdf')
finally:
    shutil.rmtree(scratch)
tap.done()
