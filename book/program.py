"""What refers to what in the program: for weave and html, which print it.

A Program knows, for each piece of code, its running number, who uses its
chunk and which files it ends up in; where each identifier is defined, and by
what pieces it is used; and it cuts a line of code into tokens.
"""
import os
import re
import literate

DRAFT = bool(os.environ.get('DRAFT'))
KEYWORDS = set('''asm auto bool break case char const continue default do
double else enum extern float for goto if inline int long noreturn register
return short signed sizeof static struct switch typedef union unsigned void
volatile while'''.split())
TOKEN = re.compile(r'''/\*|\*/|//.*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|'''
                   r'''\d\w*|\.?\w*[A-Za-z_]\w*|\s+|->|.''')
STOP = {'main', 'start'}


class Program:
    def __init__(self, path, directory, roots):
        self.source = literate.Source(path)
        self.directory = directory
        self.roots = [r for r in roots if r in self.source.chunks]
        self.number = {}            # piece -> running number of the code piece
        self.users = {}             # chunk name -> numbers of pieces using it
        self.files = {}             # chunk name -> roots it ends up in
        self.defs = {}              # identifier -> [(number, member, root, static)]
        self.uses = {}              # identifier -> numbers of pieces
        self.survey()
        self.tags()

    # -- what refers to what --------------------------------------------------
    def survey(self):
        pieces = [p for p in self.source.pieces if p.kind == 'code']
        for n, piece in enumerate(pieces, 1):
            self.number[piece] = n
            for _, parts in piece.lines:
                for kind, value in parts:
                    if kind == 'use':
                        self.users.setdefault(value, []).append(n)
        for root in self.roots:
            self.spread(root, root)

    def spread(self, name, root):
        if root in self.files.setdefault(name, set()):
            return
        self.files[name].add(root)
        for piece in self.source.chunks.get(name, []):
            for _, parts in piece.lines:
                for kind, value in parts:
                    if kind == 'use':
                        self.spread(value, root)

    # -- identifiers ----------------------------------------------------------
    def tags(self):
        where = {}
        for piece, n in self.number.items():
            for line, _ in piece.lines:
                where[line] = n
        base = os.path.join(self.directory, 'book', 'tags')
        for name, root, line, kind, static in self.source.identifiers(
                self.roots, base, DRAFT):
            n = where.get(line)
            if n and len(name) > 1 and name not in STOP:
                self.define(name, n, kind == 'member', root, static)
        for piece, n in self.number.items():
            for name in piece.defns:
                self.define(name, n, False, '')

    def define(self, name, n, member, root, static=False):
        known = self.defs.setdefault(name, [])
        if (n, member) not in [(m, k) for m, k, _, _ in known]:
            known.append((n, member, root, static))

    def target(self, name, n, after_dot, files):
        """The piece that defines what name means in a piece of some files."""
        found = [d for d in self.defs.get(name, ()) if d[1] == after_dot]
        if not found:
            return None
        for number, _, root, _ in found:
            if root in files:
                return number
        found = [d for d in found if not d[3]]
        return found[0][0] if found else None

    # -- pieces and their lines -----------------------------------------------
    def family(self, piece):
        """The numbers of all pieces of a piece's chunk."""
        return [self.number[p] for p in self.source.chunks[piece.name]]

    def first(self, name):
        """The number of a chunk's first piece, 0 if there is none."""
        pieces = self.source.chunks.get(name)
        return self.number[pieces[0]] if pieces else 0

    def using(self, name):
        return sorted(set(self.users.get(name, [])))

    def lines(self, piece):
        """A piece without blank lines around it: [(line, [token])], a token
        being (kind, text, number of a piece or 0), its kind one of comment,
        string, number, directive, keyword, id (defined in another piece),
        here (defined in this one), use (of a chunk) and plain."""
        lines = list(piece.lines)
        for end in (-1, 0):
            while lines and not ''.join(v for _, v in lines[end][1]).strip():
                lines.pop(end)
        files = self.files.get(piece.name, ())
        scanner = Scanner(self, self.number[piece], files)
        return [(number, scanner.line(parts)) for number, parts in lines]


class Scanner:
    """Goes through the lines of one piece."""

    def __init__(self, program, number, files):
        self.program, self.number, self.files = program, number, files
        self.assembly = any(f.endswith(('.S', '.lds', '/attack.h'))
                            for f in files)
        self.comment = False
        self.out = []

    def put(self, kind, text, number=0):
        if self.out and self.out[-1][0] == kind and kind in ('comment',
                                                             'plain'):
            text = self.out.pop()[1] + text
        self.out.append((kind, text, number))

    def line(self, parts):
        self.out, column = [], 0
        for kind, value in parts:
            if kind == 'use':
                self.put('use', value, self.program.first(value))
                column += len(value) + 4
                continue
            start, expanded = column, ''
            for c in value:
                if c == '\t':
                    width = 8 - (start + len(expanded)) % 8
                    expanded += ' ' * width
                else:
                    expanded += c
            column += len(expanded)
            self.text(expanded)
        return self.out

    def text(self, text):
        before = ''
        directive = text.lstrip().startswith('#') and not self.comment
        include = text.lstrip().startswith('#include')
        for match in TOKEN.finditer(text):
            t = match[0]
            if t == '/*' and not self.comment:
                self.comment = True
                self.put('comment', t)
            elif t == '*/' and self.comment:
                self.comment = False
                self.put('comment', t)
            elif self.comment:
                self.put('comment', t)
            elif t.startswith('//') or (self.assembly and t == '#' and
                                        not directive):
                self.put('comment', text[match.start():])
                break
            elif directive and (t == '#' or before == '#'):
                self.put('directive', t)
            else:
                self.token(t, before, include)
            before = t if t.strip() else before

    def token(self, t, before, include):
        dot = t.startswith('.') and len(t) > 1
        word = t[1:] if dot else t
        if not re.fullmatch(r'[A-Za-z_]\w*', word) or include:
            kind = ('string' if t[0] in '"\'' and len(t) > 1 else
                    'number' if t[0].isdigit() else 'plain')
            self.put(kind, t)
            return
        if word in KEYWORDS and not dot and not self.assembly:
            self.put('keyword', t)
            return
        number = self.program.target(word, self.number, dot or before == '->',
                                     self.files)
        if number is None:
            self.put('plain', t)
            return
        if dot:
            self.put('plain', '.')
        if number == self.number:
            self.put('here', word, number)
            return
        self.program.uses.setdefault(word, set()).add(self.number)
        self.put('id', word, number)
