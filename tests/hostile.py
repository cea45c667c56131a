"""What attacks.t and fuzz_insn.t share: a canary, a net, a Launcher."""
import ctypes
import os
import signal
import subprocess
import tempfile
import time

B = os.path.abspath(os.environ.get('B', 'build'))
BASE = B[:-5] if B.endswith('/asan') else B
UMASK = os.umask(0)
os.umask(UMASK)


class Canary:
    """A file and a directory that nobody has any business with."""

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory(prefix='lguest-attacks.')
        self.path = self.dir.name + '/canary'
        with open(self.path, 'w') as f:
            f.write('sings\n')
        self.fd = os.open(self.path, os.O_RDWR)
        os.set_inheritable(self.fd, True)
        os.utime(self.path, ns=(10 ** 18, 10 ** 18))
        os.utime(self.dir.name, ns=(10 ** 18, 10 ** 18))

    def dead(self):
        """What has happened to it, or nothing."""
        s, d = os.stat(self.path), os.stat(self.dir.name)
        with open(self.path) as f:
            text = f.read()
        wrong = []
        if (s.st_mtime_ns, s.st_size, s.st_mode & 0o777, text) != (
                10 ** 18, 6, 0o644 & ~UMASK, 'sings\n'):
            wrong.append('the canary is dead')
        if d.st_mtime_ns != 10 ** 18 or os.listdir(self.dir.name) != [
                'canary']:
            wrong.append('the directory has changed')
        if os.lseek(self.fd, 0, os.SEEK_CUR):
            wrong.append('the inherited descriptor was used')
        return wrong


def subreaper():
    """Orphans become our children: whatever is left, we shall see."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def left_behind(limit=2):
    end = time.time() + limit
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return []
        if time.time() > end:
            with open(f'/proc/self/task/{os.getpid()}/children') as f:
                return f.read().split()
        time.sleep(.005)


def launch(words, gates='on', options=(), stdin=subprocess.DEVNULL):
    return subprocess.Popen(
        [f'{B}/lguest', f'--gates={gates}', *options, '64',
         f'{BASE}/attack', *words],
        stdin=stdin, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, pass_fds=[canary.fd], cwd=canary.dir.name,
        start_new_session=True)


def stop(p, sig=signal.SIGTERM, limit=5):
    """Ends a Launcher; false if it has to be killed."""
    os.kill(p.pid, sig)
    try:
        p.communicate(timeout=limit)
        return True
    except subprocess.TimeoutExpired:
        os.kill(p.pid, signal.SIGKILL)
        p.communicate()
        return False


canary = Canary()
subreaper()
