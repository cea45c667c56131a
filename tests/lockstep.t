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

ROOTS = subprocess.run(
    ['make', '-s', '--no-print-directory', '-f', 'Makefile', '-f', '-',
     'print-roots'], input='print-roots: ; @echo $(ROOTS)\n', text=True,
    capture_output=True).stdout.split()
NEEDS = {'pdf': ('mutool', 'book.pdf'), 'html': ('mutool', 'html/index.html'),
         'spelling': ('aspell', 'html/index.html'),
         'latex': ('chktex', 'book/book.tex'),
         'quotes': ('ctags', 'lguest'), 'golden': ('ctags', 'runs'),
         'measures': ('ctags', 'lguest')}
count = failed = 0


def ok(good, what, *notes):
    global count, failed
    count += 1
    print(f'{"" if good else "not "}ok {count} - {what}', flush=True)
    if not good:
        failed += 1
        for note in notes:
            for line in note.splitlines()[:60]:
                print('# ' + line)


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
    global count
    why = missing(check)
    if why:
        count += 1
        print(f'ok {count} # skip {check}: {why}')
        return False
    done = lockstep(check)
    lines = done.stdout.strip().split('\n')
    if check == 'measures':
        print('\n'.join('# ' + line for line in lines[:-1]))
    ok(done.returncode == 0, lines[-1].removeprefix('lockstep: '),
       done.stdout, done.stderr)
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


def main():
    # A line of code that is changed, and one that is printed twice.
    line = r'^int main\(int argc, char \*argv\[\]\)$'
    if run('html'):
        notices('html', 'a character more in the source is missed', line,
                'int main(int argc, char *argv[]);', 'where the program has')
    if run('pdf'):
        pass
    if run('quotes'):
        for what, quote in (('a file', 'launcher/nowhere.c'),
                            ('an option', '--xyzzy=1'),
                            ('a message', 'is no message of ours at all'),
                            ('a name', 'no_such_function')):
            notices('quotes', f'{what} that does not exist is noticed',
                    r'^\\section\{Guest, Host, Launcher\}',
                    f'[[{quote}]]\n\\section{{Guest, Host, Launcher}}',
                    f'[[{quote}]] is nowhere')
    if run('golden'):
        copy = os.path.join(scratch, 'build')
        shutil.copytree(f'{B}/runs', copy + '/runs')
        path = copy + '/runs/options.txt'
        literate.write(path, literate.read(path) + 'lguest: more\n')
        done = lockstep('golden', directory=copy)
        ok(done.returncode == 1 and '+lguest: more' in done.stdout,
           'a line more in a transcript is noticed', done.stdout)
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
print(f'1..{count}')
sys.exit(1 if failed else 0)
