#!/usr/bin/python3 -B
"""make install and uninstall: what is where, that it works from there, that
the manual page and the completions say what --help says, and that nothing
stays behind. The completions are tried in real shells, on a terminal."""
import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time
from tap import done, ok, skip

B = os.environ.get('B', 'build')


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True,
                          timeout=300, stdin=subprocess.DEVNULL, **more)


def make(*words):
    return run('make', '-s', 'B=' + B, *words)


def tree(top):
    """All below a directory, and whether anybody may read it."""
    found = {}
    for at, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(at, name)
            mode = os.stat(path).st_mode
            found[os.path.relpath(path, top)] = mode & 0o777
    return found


FILES = {'bin/lguest': 0o755, 'lib/lguest/guest': 0o644,
         'lib/lguest/initrd.tar': 0o644, 'share/man/man1/lguest.1': 0o644,
         'share/bash-completion/completions/lguest': 0o644,
         'share/zsh/site-functions/_lguest': 0o644,
         'share/doc/lguest/LICENSE': 0o644}


def installs(d):
    """Into a staging directory, with a strict umask, then away again."""
    old = os.umask(0o077)
    p = make('install', f'DESTDIR={d}/stage', 'PREFIX=/opt/lg')
    os.umask(old)
    found = tree(d + '/stage/opt/lg')
    ok(p.returncode == 0 and all(found.get(f) == m for f, m in FILES.items()),
       'install puts everything in its place', p.stdout, p.stderr, found)
    rest = {f: m for f, m in found.items() if f not in FILES
            and not os.path.isdir(f'{d}/stage/opt/lg/{f}')}
    book = os.path.exists(B + '/book.pdf')
    ok(('share/doc/lguest/lguest.pdf' in rest) == book and
       all(f.startswith('share/doc/lguest/') and m & 0o444 == 0o444
           for f, m in rest.items()),
       'and of the book what there is', p.stdout, rest)
    ok(os.listdir(d + '/stage') == ['opt'], 'and nothing elsewhere',
       os.listdir(d + '/stage'))
    page = open(d + '/stage/opt/lg/share/man/man1/lguest.1').read()
    ok('/opt/lg/lib/lguest/guest' in page and '@' not in page and
       d not in page, 'the page names the place without DESTDIR')
    p = make('uninstall', f'DESTDIR={d}/stage', 'PREFIX=/opt/lg')
    ok(p.returncode == 0 and not tree(d + '/stage/opt/lg'),
       'uninstall leaves nothing', p.stderr, tree(d + '/stage'))


def works(d):
    """From anywhere, with other people's files beside ours."""
    there = d + '/usr'
    os.makedirs(there + '/bin')
    for name in (there + '/bin/other', there + '/share/man/man1/other.1'):
        os.makedirs(os.path.dirname(name), exist_ok=True)
        open(name, 'w').close()
    before = tree(there)
    p = make('install', 'PREFIX=' + there)
    ok(p.returncode == 0, 'install without DESTDIR', p.stderr)
    lib = there + '/lib/lguest'
    p = subprocess.run(['lguest', f'--initrd={lib}/initrd.tar', '64',
                        lib + '/guest'], input='ls\nhalt\n', text=True,
                       cwd='/', timeout=120, capture_output=True,
                       env={'PATH': there + '/bin:/usr/bin:/bin'})
    ok(p.returncode == 0 and 'hello' in p.stdout,
       'the installed Guest runs from anywhere', p)
    manual(there)
    completions(there, d)
    p = make('uninstall', 'PREFIX=' + there)
    ok(p.returncode == 0 and tree(there) == before,
       "uninstall leaves other people's files alone", tree(there))
    p = make('uninstall', 'PREFIX=' + there)
    ok(p.returncode == 0 and tree(there) == before, 'also a second time',
       p.stderr)


def options():
    """name -> (value, text), as --help has them."""
    found, last = {}, None
    for line in run(B + '/lguest', '--help').stdout.splitlines():
        head = re.match(r'  (--\w[\w-]*)(\S*) +(.*)', line)
        if head:
            last = head[1]
            found[last] = (head[2], head[3])
        elif last and line.startswith(' '):
            found[last] = (found[last][0], found[last][1] + ' ' + line.strip())
    return found


def plain(text):
    return ' '.join(re.sub('.\b', '', text).split())


def manual(there):
    page = there + '/share/man/man1/lguest.1'
    if not shutil.which('groff'):
        skip('the manual page', 'no groff; ./setup --all installs it')
        return
    p = run('groff', '-man', '-Tascii', '-ww', '-P-cbou', '-rLL=400n', page)
    ok(p.returncode == 0 and p.stderr == '', 'the page is good roff', p.stderr)
    text, wrong = plain(p.stdout), []
    for name, (value, help_) in options().items():
        # What is to be typed, as --host=auto, keeps its small letter.
        typed = re.match(r'(auto|off)\b', help_)
        begin = help_[0] if typed else help_[0].upper()
        want = f'{name}{value} {begin}{help_[1:]}.'
        if want not in text:
            wrong.append(want)
    ok(not wrong, 'it has each option with the words of --help', wrong, text)
    named = set(re.findall(r'(?<![\w-])--[a-z][a-z-]*', text))
    ok(named <= set(options()), 'and no other', named - set(options()))


def shell(command, d, lines):
    """Types lines to a shell on a terminal; what it prints until `over'."""
    child, fd = pty.fork()
    if not child:
        os.chdir(d + '/here')
        os.environ.update(TERM='dumb', PS1='> ', HOME=d, COLUMNS='200')
        os.execvp(command[0], command)
    text, end = b'', time.monotonic() + 120
    for line in lines + ['exit']:
        os.write(fd, line.encode() + b'\r')
    while time.monotonic() < end and select.select([fd], [], [], 60)[0]:
        try:
            got = os.read(fd, 4096)
        except OSError:
            break
        if not got:
            break
        text += got
    os.close(fd)
    os.waitpid(child, 0)
    return text.decode(errors='replace')


# What is typed, and the words the program must then be given.
TYPED = [
    ('lguest --ini\tdi\t6\tmy\tquiet', ['--initrd=disk.img', '64',
                                         'my kernel', 'quiet']),
    ('lguest --verb\t--ho\tus\t12\tdi\t', ['--verbose', '--host=user', '128',
                                           'disk.img']),
    ('lguest --tun\tbr\tx', ['--tunnet=bridge:x']),
    ('lguest --sand\tof\t', ['--sandbox=off']),
    ('lguest --rng=su\tmo\t', ['--rng=sub/more']),
    ('lguest --block=di\t--block=my\t', ['--block=disk.img',
                                          '--block=my kernel']),
]


def tried(name, command, d, setup):
    if not shutil.which(command[0]):
        skip(name, f'no {command[0]}; ./setup --all installs it')
        return
    show = "lguest() { printf '<%s>' \"$@\"; echo '<END>'; }"
    text = shell(command, d, setup + [show] + [t for t, _ in TYPED])
    for typed, words in TYPED:
        want = ''.join(f'<{w}>' for w in words) + '<END>'
        ok(want in text, f'{name}: {typed!r}'.replace('\\t', '^'), want, text)


def completions(there, d):
    os.makedirs(d + '/here/sub')
    for name in ('disk.img', 'my kernel', 'sub/more'):
        open(f'{d}/here/{name}', 'w').close()
    file = there + '/share/bash-completion/completions/lguest'
    tried('bash', ['bash', '--norc', '--noprofile', '-i'], d,
          ["bind 'set bell-style none'", f'. {file}'])
    tried('zsh', ['zsh', '-f', '-i'], d,
          [f'fpath=({there}/share/zsh/site-functions $fpath)',
           'autoload -U compinit; compinit -D -u; unsetopt beep'])
    for path in (file, there + '/share/zsh/site-functions/_lguest'):
        text = open(path).read()
        lost = [o for o in options() if o not in text]
        ok(not lost, 'all options are in ' + path.split('/share/')[1], lost)


def main():
    with tempfile.TemporaryDirectory(prefix='lguest-install.') as d:
        installs(d)
        works(d)


main()
done()
