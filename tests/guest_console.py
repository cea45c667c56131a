"""A Guest at its console, for tests in Python: type, wait, end."""
import os
import select
import signal
import subprocess
import time

B = os.environ.get('B', 'build')
ASAN = B.endswith('/asan')
TIMEOUT = float(os.environ.get('GUEST_TIMEOUT', '30'))
PROMPT = 'lguest# '


class Guest:
    def __init__(self, *options, words=(), mem='32', kernel=f'{B}/guest',
                 initrd=f'{B}/initrd.tar', before=(), program='lguest',
                 wrap=lambda args: args):
        """before: a command that executes the Launcher, as env would; wrap
        makes another command of the whole."""
        args = [*before, f'{B}/{program}', f'--initrd={initrd}', *options]
        self.p = subprocess.Popen(wrap(args + [mem, kernel, *words]),
                                  stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        self.text = b''

    def until(self, what, seconds=TIMEOUT):
        """Read on until `what' comes: the text before and with it, or ''."""
        end = time.monotonic() + seconds
        fd = self.p.stdout.fileno()
        while what.encode() not in self.text:
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                return ''
            more = os.read(fd, 65536)
            if not more:
                return ''
            self.text += more
        before, _, self.text = self.text.partition(what.encode())
        return before.decode('latin-1') + what

    def send(self, line):
        try:
            self.p.stdin.write(line.encode())
            self.p.stdin.flush()
        except BrokenPipeError:
            pass

    def ask(self, line, seconds=TIMEOUT):
        """Type a line at the prompt: what is printed up to the next one."""
        self.send(line + '\n')
        answer = self.until(PROMPT, seconds)
        if answer.startswith(line):     # the echo
            answer = answer[len(line):]
        return answer[:-len(PROMPT)].replace('\r', '')

    def end(self, seconds=TIMEOUT):
        """(exit status, rest of standard output, standard error)"""
        try:
            out, err = self.p.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            out, err = self.p.communicate()
            return 'timeout', out.decode('latin-1'), err.decode('latin-1')
        return (self.p.returncode, (self.text + out).decode('latin-1'),
                err.decode('latin-1'))

    def halt(self):
        self.send('halt\n')
        return self.end()

    def kill(self):
        self.p.send_signal(signal.SIGKILL)


def started(*options, **kw):
    g = Guest(*options, **kw)
    g.until(PROMPT)
    return g
