#!/usr/bin/python3 -B
"""Untangling: what is edited in the readable tangle comes back into the right
chunk, or is refused with its file and line and nothing has happened."""
import importlib.machinery
import importlib.util
import os
import random
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, 'book')
import literate  # noqa: E402
from tap import done, ok

SEED = int(os.environ.get('SEED', '20080729'))
ROUNDS = int(os.environ.get('ROUNDS', '20'))


def module(path):
    loader = importlib.machinery.SourceFileLoader('untangle', path)
    spec = importlib.util.spec_from_loader('untangle', loader)
    made = importlib.util.module_from_spec(spec)
    loader.exec_module(made)
    return made


def make_roots():
    return subprocess.run(
        ['make', '-s', '--no-print-directory', '-f', 'Makefile', '-f', '-',
         'print-roots'], input='print-roots: ; @echo $(ROOTS)\n', text=True,
        capture_output=True).stdout.split()


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


class Tree:
    """A source, its readable tangle, and the two tools."""

    def __init__(self, text, roots):
        self.dir = tempfile.mkdtemp(dir=SCRATCH)
        self.nw, self.src = self.dir + '/x.nw', self.dir + '/src'
        self.roots = roots
        self.put(self.nw, text)
        done = self.tangle()
        if done.returncode:
            sys.exit(f'cannot tangle: {done.stderr}')

    def tangle(self):
        return run('book/tangle', '--src', self.nw, self.src, *self.roots)

    def untangle(self):
        return run('book/untangle', self.nw, self.src, *self.roots)

    @staticmethod
    def put(path, text):
        with open(path, 'w') as f:
            f.write(text)

    def edit(self, root, old, new):
        path = f'{self.src}/{root}'
        text = literate.read(path)
        assert text.count(old) == 1, (root, old, text)
        self.put(path, text.replace(old, new))

    def all(self):
        found = {}
        for at, _, names in os.walk(self.dir):
            for name in names:
                path = os.path.join(at, name)
                found[os.path.relpath(path, self.dir)] = literate.read(path)
        return found


SMALL = '''Words.
<<a.c>>=
#include <stdio.h>

<<First count>>
<<Say it>>
int main(void)
{
	int n = 0;

	<<Count>>
	n += 2;
	n += 3;
	<<Count>>
	return n;
}
@
<<First count>>=
static int first(int n)
{
	return n @<< 1 >> 0;
}

@
<<Say it>>=
static int say(int n)
{
	switch (n) {
	case 1: <<The first case>>
	}
	return n;
}

@
More words, with [[code]] and [[<<Count>>]].
<<The first case>>=
n = 7;
break;
@
<<Count>>=
n++;
n = first(n);
@
<<Say it>>=
static int again(int n)
{
	return say(n);
}

@ %def again
<<b.S>>=
1:	<<Three steps>>
	ret
@
<<Three steps>>=
nop
	nop
nop
@
'''
ROOTS = ['a.c', 'b.S']


def comes_back(name, root, old, new, nw_old, nw_new):
    """An edit of the tangle is that edit of the source."""
    t = Tree(SMALL, ROOTS)
    t.edit(root, old, new)
    done = t.untangle()
    assert SMALL.count(nw_old) == 1, nw_old
    want = SMALL.replace(nw_old, nw_new)
    got = literate.read(t.nw)
    ok(done.returncode == 0 and got == want, name, done.stdout, done.stderr,
       got if got != want else '')
    after = literate.read(f'{t.src}/{root}')
    again = t.untangle()
    ok(again.returncode == 0 and 'nothing' in again.stdout and
       literate.read(f'{t.src}/{root}') == after,
       '  and that is all there is to do', again.stdout, again.stderr)


def refused(name, edits, *wants):
    """It is refused, and nothing has changed anywhere."""
    t = Tree(SMALL, ROOTS)
    for root, old, new in edits:
        t.edit(root, old, new)
    before = t.all()
    done = t.untangle()
    ok(done.returncode == 1 and t.all() == before and 'refused' in done.stderr
       and all(re.search(w, done.stderr) for w in wants), name, done.stdout,
       done.stderr)


def small():
    back = comes_back
    back('a line changed', 'a.c', '\tn += 2;', '\tn += 20;',
         '\tn += 2;', '\tn += 20;')
    back('lines put in', 'a.c', '\tn += 2;\n', '\tn += 2;\n\n\tn -= 5;\n',
         '\tn += 2;\n', '\tn += 2;\n\n\tn -= 5;\n')
    back('a line taken out', 'a.c', '\tn += 2;\n', '', '\tn += 2;\n', '')
    back('a function behind the last of a chunk', 'a.c',
         '\treturn n << 1 >> 0;\n}\n\n', '\treturn n << 1 >> 0;\n}\n\n'
         'static int second;\n\n', '\treturn n @<< 1 >> 0;\n}\n\n',
         '\treturn n @<< 1 >> 0;\n}\n\nstatic int second;\n\n')
    back('a shift is escaped', 'a.c', '\treturn n << 1 >> 0;',
         '\treturn n << 2 >> 1 << 3;', '\treturn n @<< 1 >> 0;',
         '\treturn n @<< 2 >> 1 @<< 3;')
    back('so is what looks like a chunk', 'a.c', '\tn += 2;',
         '\tputs("<<Count>>=");', '\tn += 2;', '\tputs("@<<Count>>=");')
    back('and an at sign, first on its line', 'a.c', '#include <stdio.h>\n',
         '#include <stdio.h>\n@ x\n', '#include <stdio.h>\n',
         '#include <stdio.h>\n@@ x\n')
    back('an escape stays where it was', 'a.c', '\treturn say(n);',
         '\treturn say(n + 1);', '\treturn say(n);', '\treturn say(n + 1);')
    back('a first line', 'a.c', '#include <stdio.h>\n',
         '/* Hello */\n#include <stdio.h>\n', '#include <stdio.h>\n',
         '/* Hello */\n#include <stdio.h>\n')
    back('a last line', 'a.c', '\t/* Count */\n\tn++;\n\tn = first(n);\n\treturn n;\n}\n',
         '\t/* Count */\n\tn++;\n\tn = first(n);\n\treturn n;\n}\nint x;\n',
         '\treturn n;\n}\n@\n<<First', '\treturn n;\n}\nint x;\n@\n<<First')
    back('a line of a chunk behind a label', 'b.S', '  \t\tnop\n',
         '  \t\tnop\n  \t\tcli\n', '\tnop\nnop\n', '\tnop\n\tcli\nnop\n')
    back('two neighbours of two chunks, each its own', 'a.c',
         '\treturn n;\n}\n\nstatic int again(int n)\n',
         '\treturn n;\n}\n\nstatic int again(long n)\n',
         'static int again(int n)', 'static int again(long n)')
    t = Tree(SMALL, ROOTS)
    text = literate.read(t.src + '/a.c').replace('\tn++;', '\tn--;')
    t.put(t.src + '/a.c', text)
    done = t.untangle()
    ok(done.returncode == 0 and
       literate.read(t.nw) == SMALL.replace('n++;', 'n--;'),
       'a chunk used twice, changed alike in both places', done.stderr)

    no = refused
    no('the name of a chunk is no code', [('a.c', '/* First count */',
                                           '/* First */')],
       r'src/a\.c:3: "/\* First count \*/" names a chunk .* line 5\b')
    no('nor can it be taken out', [('a.c', '/* First count */\n', '')],
       r'src/a\.c:3: .* names a chunk')
    no('new lines at a border', [('a.c', '\n/* Say it */', '\nint x;\n'
                                  '/* Say it */')],
       r'src/a\.c:9: new lines at the border of <<First count>>')
    no('a chunk used twice and changed once',
       [('a.c', '\t/* Count */\n\tn++;\n\tn = first(n);\n\treturn',
         '\t/* Count */\n\tn++;\n\tn = first(n + 1);\n\treturn')],
       r'src/a\.c:\d+: <<Count>> is used in 2 places')
    no('a line of two chunks', [('a.c', 'case 1: n = 7;', 'case 1: n = 8;')],
       r'src/a\.c:\d+: .* belongs to two chunks')
    no('one good edit and one bad one: neither', [
        ('a.c', '\tn += 2;', '\tn += 4;'),
        ('b.S', '1:\tnop', '1:\tcli')], r'src/b\.S:1: ')
    no('a line that would begin before its chunk',
       [('b.S', '  \t\tnop\n', 'nop\n')], r'src/b\.S:2: a line of '
       '<<Three steps>> begins with less indentation')
    no('a change across a border', [
        ('a.c', '\tn = first(n);\n\tn += 2;\n', '\tn = first(n)\n\t\t+ 1;\n'
         '\tn += 5;\n')], r'src/a\.c:\d+: this change crosses from '
       '<<Count>> into <<a.c>>')
    t = Tree(SMALL, ROOTS)
    os.remove(t.src + '/b.S')
    t.put(t.src + '/new.c', 'int x;\n')
    before, done = t.all(), t.untangle()
    ok(done.returncode == 1 and 'src/new.c:1: a new file' in done.stderr and
       t.all() == before, 'a new file', done.stderr)
    os.remove(t.src + '/new.c')
    before, done = t.all(), t.untangle()
    ok(done.returncode == 1 and 'src/b.S:1: is gone' in done.stderr and
       t.all() == before, 'a file that is gone', done.stderr)


def together():
    """Source and tangle edited at the same time."""
    t = Tree(SMALL, ROOTS)
    t.edit('a.c', '\tn += 2;', '\tn += 4;')
    before, done = t.all(), t.tangle()
    ok(done.returncode == 1 and 'has edits, in a.c' in done.stderr and
       t.all() == before, 'make src does not overwrite edits', done.stderr)
    other = SMALL.replace('Words.', 'Many words.').replace(
        'return say(n);', 'return say(n) + 1;')
    t.put(t.nw, other)
    done = t.untangle()
    ok(done.returncode == 0 and
       literate.read(t.nw) == other.replace('n += 2', 'n += 4') and
       'say(n) + 1' in literate.read(t.src + '/a.c') and
       'n += 4' in literate.read(t.src + '/a.c'),
       'changes elsewhere in the source are kept', done.stderr)
    t.edit('a.c', '\tn += 4;', '\tn += 5;')
    t.put(t.nw, literate.read(t.nw).replace('n += 4;', 'n += 6;'))
    before, done = t.all(), t.untangle()
    ok(done.returncode == 1 and t.all() == before and
       re.search(r'x\.nw:12: changed here too', done.stderr),
       'changes of the same line are refused', done.stderr)


def whole():
    """The whole program: untangle after tangle is the identity."""
    text, roots = literate.read('lguest.nw'), make_roots()
    t = Tree(text, roots)
    before, done = t.all(), t.untangle()
    ok(done.returncode == 0 and 'nothing' in done.stdout and
       t.all() == before, f'{len(roots)} files, untangled as they are: '
       'the identity', done.stdout, done.stderr)
    for root in roots:              # written anew, and no edit
        path = f'{t.src}/{root}'
        t.put(path, literate.read(path))
    t.put(f'{t.src}/launcher/main.c',
          literate.read(f'{t.src}/launcher/main.c').rstrip('\n'))
    done = t.untangle()
    ok(done.returncode == 0 and literate.read(t.nw) == text,
       'a last line without an end changes nothing', done.stderr)
    at_random(t, text, roots)


def at_random(t, text, roots):
    """Edit the source itself; what untangle makes of the tangle of that must
    be the same source."""
    tool, rng = module('book/untangle'), random.Random(SEED)
    base = literate.Source(t.nw)
    origins = {o.number: o for root in roots
               for _, _, o in tool.expanded(base, root) if o}
    inner = [n for n in sorted(origins) if n - 1 in origins and
             origins[n].piece is origins[n - 1].piece]
    wrong, edits = [], 0
    for number in range(ROUNDS):
        lines = text.split('\n')
        for n in sorted(rng.sample(inner, rng.randint(1, 4)), reverse=True):
            what, edits = rng.choice('cid'), edits + 1
            fresh = f'\tx{n} = {number} @<< {n} >> 1;'
            if what == 'c':
                lines[n - 1] = fresh
            elif what == 'i':
                lines[n - 1:n - 1] = [fresh] * rng.randint(1, 3)
            elif lines[n - 1].strip() and lines[n - 1] != lines[n] and \
                    lines[n - 1] != lines[n - 2]:
                del lines[n - 1]
        want = '\n'.join(lines)
        t.put(t.dir + '/y.nw', want)
        mine = literate.Source(t.dir + '/y.nw')
        edited = {root: literate.plain(
            [(n, s) for n, s, _ in tool.expanded(mine, root)])
            for root in roots}
        try:
            got = tool.untangle(base, t.src, edited)
        except tool.Refused as why:
            got = str(why)
        if got != want:
            diff = [f'{a!r} != {b!r}' for a, b in
                    zip(want.split('\n'), got.split('\n')) if a != b][:3]
            wrong.append(f'round {number} (SEED={SEED}): {diff}')
    ok(not wrong, f'{edits} random edits in {ROUNDS} rounds come back to '
       'where they were made', *wrong[:5])


if not os.path.exists(literate.MARKUP):
    print('1..0 # skip noweb is not installed; ./setup does it')
    sys.exit()
with tempfile.TemporaryDirectory(prefix='lguest-untangle.') as SCRATCH:
    small()
    together()
    whole()
done()
