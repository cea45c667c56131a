#!/usr/bin/python3 -B
"""The book and the program say the same: book/lockstep, check by check, on the
book that was built, and on small changes that it has to notice."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

B = os.environ.get('B', 'build')
sys.path.insert(0, 'book')
import literate  # noqa: E402
import tap  # noqa: E402
from tap import ok, skip  # noqa: E402

ROOTS = subprocess.run(
    ['make', '-s', '--no-print-directory', '-f', 'Makefile', '-f', '-',
     'print-roots'], input='print-roots: ; @echo $(ROOTS)\n', text=True,
    capture_output=True).stdout.split()
NEEDS = {'pdf': ('mutool', 'book.pdf'), 'html': ('mutool', 'html/index.html'),
         'spelling': ('aspell', 'html/index.html'),
         'latex': ('chktex', 'book/book.tex'),
         'quotes': ('ctags', 'lguest'), 'numbers': ('gcc', 't'), 'golden': ('ctags', 'runs'),
         'measures': ('ctags', 'lguest')}


def missing(check):
    tool, made = NEEDS[check]
    if not shutil.which(tool):
        return f'no {tool}; ./setup --all installs it'
    if not os.path.exists(f'{B}/{made}'):
        return f'no {B}/{made}; make html'
    return None


def lockstep(check, source='lguest.nw', directory=B, **more):
    return subprocess.run(
        ['book/lockstep', check, source, directory, *ROOTS],
        capture_output=True, text=True, errors='replace', **more)


def run(check):
    why = missing(check)
    if why:
        skip(check, why)
        return False
    p = lockstep(check)
    lines = p.stdout.strip().split('\n')
    if check == 'measures':
        print('\n'.join('# ' + line for line in lines[:-1]))
    ok(p.returncode == 0, lines[-1].removeprefix('lockstep: '),
       p.stdout, p.stderr)
    return True


def notices(check, what, old, new, word, count_=1):
    """The check on a copy of the source with one thing changed."""
    text = literate.read('lguest.nw')
    assert re.search(old, text, re.M), old
    path = os.path.join(scratch, 'lguest.nw')
    literate.write(path, re.sub(old, lambda m: new, text, count=count_,
                                flags=re.M))
    done = lockstep(check, path)
    ok(done.returncode == 1 and word in done.stdout, what, done.stdout[:2000],
       done.stderr)


def fake_mutool():
    """A mutool whose pages have a fault: one begins behind the first line of a
    piece of code, or one has nothing below its last heading."""
    piece = next(p for p in literate.Source('lguest.nw').pieces
                 if p.kind == 'code' and len(p.lines) > 6 and
                 all(len(parts) == 1 and parts[0][0] == 'text' and
                     len(parts[0][1]) > 20 for _, parts in p.lines[:2]))
    first = ''.join(piece.lines[0][1][0][1].split())
    path = os.path.join(scratch, 'mutool')
    literate.write(path, f'''#!/usr/bin/python3
import html, os, re, subprocess, sys
real = subprocess.Popen([{shutil.which('mutool')!r}] + sys.argv[1:], text=True,
                        stdout=subprocess.PIPE)
fault, first, seen, done = os.environ['FAULT'], {first!r}, '', False
skip = heading = False
for line in real.stdout:
    if line.startswith('<page'):
        skip = False
    if line.startswith('<font'):
        size = float(re.search(r'size="([0-9.]+)"', line)[1])
        heading = 'Biolinum' in line and 'B" ' in line and 12 < size < 30
    if line.startswith('<char'):
        char = html.unescape(re.search(r' c="([^"]*)"', line)[1])
        if fault == 'lonely' and heading and not done:
            seen = 'heading'
        elif fault == 'lonely' and seen == 'heading' and not done:
            skip = done = True
        elif fault == 'torn' and not done and char.strip():
            seen = (seen + char)[-len(first):]
        if skip:
            continue
    sys.stdout.write(line)
    if fault == 'torn' and seen == first and not done:
        sys.stdout.write('<page>\\n')
        done = True
sys.exit(real.wait())
''')
    os.chmod(path, 0o755)


def told_of_time(heading):
    """Whether book/numbers.txt may say 12.5 microseconds under a heading."""
    copy = os.path.join(scratch, 'book')
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree('book', copy, ignore=lambda path, names: [
        n for n in names if not n.endswith(('.py', '.txt', 'lockstep'))])
    path = copy + '/numbers.txt'
    text, found = re.subn(f'^# {heading}.*$', r'\g<0>\n12.5 microseconds',
                          literate.read(path), flags=re.M)
    assert found == 1, heading
    literate.write(path, text)
    source = os.path.join(scratch, 'lguest.nw')
    literate.write(source, literate.read('lguest.nw').replace(
        '\\section{Guest, Host, Launcher}',
        '12.5 microseconds\n\\section{Guest, Host, Launcher}', 1))
    done = subprocess.run(
        [copy + '/lockstep', 'numbers', source, B, *ROOTS],
        capture_output=True, text=True, errors='replace')
    return '12.5 microseconds' not in done.stdout


def main():
    # A line of code that is changed, and one that is printed twice.
    line = r'^int main\(int argc, char \*argv\[\]\)$'
    if run('html'):
        notices('html', 'a character more in the source is missed', line,
                'int main(int argc, char *argv[]);', 'where the program has')
    if run('pdf'):
        fake_mutool()
        for what, word in (('torn', 'torn behind its first line'),
                           ('lonely', 'ends with a heading')):
            done = lockstep('pdf', env=os.environ | {
                'PATH': scratch + ':' + os.environ['PATH'], 'FAULT': what})
            ok(done.returncode == 1 and word in done.stdout,
               f'a page that {word} is noticed' if what == 'lonely' else
               f'a chunk {word} is noticed', done.stdout[:2000], done.stderr)
    if run('quotes'):
        for what, quote in (('a file', 'launcher/nowhere.c'),
                            ('an option', '--xyzzy=1'),
                            ('a message', 'is no message of ours at all'),
                            ('a name', 'no_such_function')):
            notices('quotes', f'{what} that does not exist is noticed',
                    r'^\\section\{Guest, Host, Launcher\}',
                    f'[[{quote}]]\n\\section{{Guest, Host, Launcher}}',
                    f'[[{quote}]] is nowhere')
        notices('quotes', 'a message in quotation marks is looked up',
                r'^\\section\{Guest, Host, Launcher\}',
                "``no such words''\n\\section{Guest, Host, Launcher}",
                "``no such words'' is nowhere")
    if run('numbers'):
        for what, text, word in (
                ('a number that is not the program\'s', r'\is{255}{VRING_SIZE}',
                 '255 is not VRING_SIZE'),
                ('one in words', r'\is{fifteen}{VIEWS}',
                 'fifteen is not VIEWS'),
                ('a name that does not exist', r'\is{1}{NO_SUCH_NAME}',
                 'nothing of that name'),
                ('a number without a source', '31415 stars', '31415 stars'),
                ('a time that is not looked up', 'It takes 7 microseconds.',
                 '7 microseconds')):
            notices('numbers', what + ' is noticed',
                    r'^\\section\{Guest, Host, Launcher\}',
                    text + '\n\\section{Guest, Host, Launcher}', word)
        for heading, good in (('the processor, its pages', False),
                              ('times, rates', True)):
            ok(told_of_time(heading) == good, 'a time that somebody measured is '
               'none of other people\'s numbers' if not good else
               'one of an example may stand among them')
    if run('golden'):
        copy = os.path.join(scratch, 'build')
        shutil.copytree(f'{B}/runs', copy + '/runs')
        path = copy + '/runs/options.txt'
        literate.write(path, literate.read(path) + 'lguest: more\n')
        done = lockstep('golden', directory=copy)
        ok(done.returncode == 1 and '+lguest: more' in done.stdout,
           'a line more in a transcript is noticed', done.stdout)
        literate.write(path, '$ build/lguest --help\n(not recorded: a test)\n')
        done = lockstep('golden', directory=copy)
        ok(done.returncode == 0 and '# options: (not recorded' in done.stdout,
           'one that could not be recorded here is not held against it',
           done.stdout)
    if run('spelling'):
        copy = os.path.join(scratch, 'words')
        os.makedirs(copy + '/html')
        literate.write(copy + '/html/x.html',
                       '<main><p>An unfourtunate word.</p>')
        done = lockstep('spelling', directory=copy)
        ok(done.returncode == 1 and 'unfourtunate' in done.stdout,
           'a misspelt word is noticed', done.stdout, done.stderr)
    if run('latex'):
        copy = os.path.join(scratch, 'latex')
        os.makedirs(copy + '/book')
        literate.write(copy + '/book/book.tex', 'A ``quotation".\n')
        literate.write(copy + '/book/book.lines', '1\n')
        done = lockstep('latex', directory=copy)
        ok(done.returncode == 1 and 'chktex 18' in done.stdout,
           'a wrong quotation mark is noticed', done.stdout, done.stderr)
    run('measures')


scratch = tempfile.mkdtemp(prefix='lockstep.')
try:
    main()
finally:
    shutil.rmtree(scratch)
tap.done()
