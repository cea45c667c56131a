"""Reading a noweb source: what tangle, check and weave have in common.

noweb's own `markup' splits the source into a stream of tagged lines; this
module turns the stream into chunks, and expands chunks into files.
"""
import json
import os
import re
import shutil
import subprocess
import sys

MARKUP = os.environ.get('NOWEB_LIB', '/usr/lib/noweb') + '/markup'
# What may stand in front of a chunk's name as a comment, by file suffix.
COMMENTED = ('.c', '.h', '.S', '.lds')
LINED = ('.c', '.h', '.S')
# ctags: what is worth an entry, in C and in assembly.
CTAGS = ['ctags', '-x', '--languages=C,Asm', '--map-C=+.h',
         '--kinds-C=defgmstuv', '--kinds-Asm=dlm', '--fields=+f',
         '--_xformat=%N\t%F\t%n\t%K\t%f']


class Piece:
    """One piece of text or code, in the order of the source."""

    def __init__(self, kind, line):
        self.kind = kind            # 'docs' or 'code'
        self.line = line            # line of the source it begins on
        self.name = None            # chunk name, for code
        # One entry a source line: a list of (kind, text), kind being
        # 'text', 'use' or, in prose, 'quote' and 'endquote'.
        self.lines = []
        self.defns = []             # identifiers after @ %def


class Source:
    def __init__(self, path):
        self.path = path
        self.pieces = []
        self.chunks = {}            # name -> [Piece]
        self.read()

    def read(self):
        if not os.path.exists(self.path):
            sys.exit(f'{self.path}: no such file')
        if not os.path.exists(MARKUP):
            sys.exit(f'{MARKUP}: noweb is not installed; run ./setup')
        done = subprocess.run([MARKUP, '-t', self.path], capture_output=True)
        if done.returncode or done.stderr:
            sys.exit(done.stderr.decode(errors='replace')
                     or f'{self.path}: markup failed')
        self.build(done.stdout.decode('utf-8').split('\n'))

    def build(self, stream):
        piece, current, line = None, [], 1
        for entry in stream:
            tag, _, rest = entry.partition(' ')
            if tag == '@begin':
                piece = Piece(rest.split()[0], line)
                current = []
            elif tag == '@end':
                if current:
                    piece.lines.append((line, current))
                self.pieces.append(piece)
            elif tag == '@defn':
                piece.name = rest
                self.chunks.setdefault(rest, []).append(piece)
            elif tag == '@text':
                current.append(('text', rest))
            elif tag == '@use':
                current.append(('use', rest))
            elif tag in ('@quote', '@endquote'):
                current.append((tag[1:], ''))
            elif tag == '@nl':
                piece.lines.append((line, current))
                current = []
                line += 1
            elif entry == '@index nl':
                line += 1
            elif tag == '@index' and rest.startswith('defn '):
                piece.defns.append(rest[5:])
            elif tag == '@fatal':
                sys.exit(f'{self.path}: {rest}')
        for pieces in self.chunks.values():
            for piece in pieces:
                # The rest of the line that names the chunk is no code.
                piece.lines = piece.lines[1:]

    def expand(self, root, comments=False):
        """Expand a chunk: a list of (source line, text of the line)."""
        return [(number, text)
                for number, text, _ in self.trace(root, comments)]

    def trace(self, root, comments=False):
        """The same, each line with an Origin; or None, for a comment that
        names a chunk and for a line that several chunks share."""
        out = []
        self._expand(root, '', [], out, comments)
        return out

    def _expand(self, name, indent, above, out, comments):
        if name in above:
            sys.exit(f'{self.path}: chunk <<{name}>> uses itself')
        if name not in self.chunks:
            sys.exit(f'{self.path}: undefined chunk <<{name}>>')
        for piece in self.chunks[name]:
            place = object()
            for number, parts in piece.lines:
                self._line(number, parts, Origin(piece, number, indent, place),
                           above + [name], out, comments)

    def _line(self, number, parts, mine, above, out, comments):
        text, origin = mine.indent, mine
        for kind, value in parts:
            if kind == 'text':
                text += value
                if value and origin is not mine:
                    origin = None
                continue
            # The lines of the chunk used here are indented as this one is.
            inner = re.sub(r'\S', ' ', text)
            if comments and not text.strip() and not _continued(out):
                note = re.sub(r'\[\[(.*?)\]\]', r'\1', value)
                out.append((number, f'{inner}/* {note} */', None))
            start = len(out)
            self._expand(value, inner, above, out, comments)
            origin = None
            if len(out) > start and text.strip():
                line, first, _ = out[start]
                out[start] = (line, text + first[len(inner):], None)
            if len(out) > start:
                number, text, origin = out.pop()
            # else: an empty chunk leaves the text before it as it was
        if not text.strip():
            text = ''
        out.append((number, text, origin))


    def identifiers(self, roots, base, draft=False):
        """What the files define: name, file, line of the source, kind, and
        whether only that file knows it. They are written below base. draft: leave out what is incomplete."""
        lines = {}
        for root in roots:
            if not root.endswith(LINED):
                continue
            try:
                expanded = self.expand(root)
            except SystemExit:
                if draft:
                    continue
                raise
            path = os.path.join(base, root)
            write(path, plain(expanded))
            lines[path] = [number for number, _ in expanded]
        if not lines:
            return
        done = subprocess.run(CTAGS + list(lines), capture_output=True,
                              text=True)
        if done.returncode:
            sys.exit('ctags failed: ' + done.stderr)
        for entry in done.stdout.split('\n')[:-1]:
            name, path, line, kind, scope = entry.split('\t')
            root = os.path.relpath(path, base)
            # A header's guard defines nothing anybody wants to look up.
            if not (name.startswith('__anon') or
                    re.sub(r'\W', '_', root).upper().endswith(name)):
                yield (name, root, lines[path][int(line) - 1], kind,
                       scope == 'file' and root.endswith('.c'))


class Origin:
    """Where a line of a file comes from: one line of one piece, in one of
    the places where that piece is used."""

    def __init__(self, piece, number, indent, place):
        self.piece, self.number = piece, number
        self.indent, self.place = indent, place


def _continued(out):
    return bool(out) and out[-1][1].endswith('\\')


def with_lines(lines, path):
    """The text of a file with #line directives that point into the source."""
    out, expected = [], None
    for number, text in lines:
        if number != expected and not (out and out[-1].endswith('\\')):
            out.append(f'#line {number} "{path}"')
            expected = number
        out.append(text)
        # Inside a continued macro the count may run on unnoticed.
        expected = expected + 1 if expected is not None else None
    return '\n'.join(out) + '\n'


def plain(lines):
    return '\n'.join(text for _, text in lines) + '\n'


def write(path, text):
    """Write a file all or nothing."""
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    with open(path + '.new', 'w', encoding='utf-8') as f:
        f.write(text)
    os.replace(path + '.new', path)


def measured(name, key):
    """A number that a benchmark left in figures/data, for the prose."""
    path = f'figures/data/{name}.json'
    with open(path, encoding='utf-8') as f:
        values = json.load(f)['values']
    if key not in values:
        sys.exit(f'{path}: no value {key!r}, which the prose asks for')
    return values[key]


# \\is{text}{expression}: a number of the program, in the prose.
IS = re.compile(r'\\is\{([^{}]*)\}\{([^{}]*)\}')


def looked_up(text):
    """Prose with its numbers: those of a benchmark are read here; those of
    the program stand as they are, and book/lockstep compares them."""
    text = re.sub(r'\\measured\{([\w-]+)\}\{([\w ]+)\}',
                  lambda m: measured(m[1], m[2]), text)
    return IS.sub(r'\1', text)


def write_readable(source, directory, roots, overwrite=False):
    """Write the files for readers, and beside them, in DIRECTORY.orig, what
    they were, with their source: so one can tell what is edited there. Files
    that are edited stop it, unless overwrite is true."""
    kept, edited, texts = directory + '.orig', [], {}
    for root in roots:
        if root not in source.chunks:
            continue
        texts[root] = text = plain(
            source.expand(root, root.endswith(COMMENTED)))
        there = read(os.path.join(directory, root))
        if there not in (None, text, read(os.path.join(kept, root))):
            edited.append(root)
    if edited and not overwrite:
        sys.exit(f'{directory} has edits, in {", ".join(edited)}:\n`make '
                 f'untangle\' carries them into {source.path}; or remove '
                 f'{directory}')
    for root, text in texts.items():
        for place in (directory, kept):
            if read(os.path.join(place, root)) != text:
                write(os.path.join(place, root), text)
    write(os.path.join(kept, os.path.basename(source.path)),
          read(source.path))


def read(path):
    try:
        with open(path, encoding='utf-8') as f:
            return f.read()
    except FileNotFoundError:
        return None
