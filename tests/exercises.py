"""The exercises that ask for code, and what their solutions must do.

One function for each, by the exercise's name. It runs the program in B and
returns nothing if the exercise is solved, or a line that says what is missing.
"""
import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import termios
import time

from guest_console import B, Guest, started

SECONDS = 60        # only to end what hangs


def launch(*words, text=''):
    """(exit status, standard output, standard error)"""
    r = subprocess.run([f'{B}/lguest', *words], input=text, text=True,
                       capture_output=True, timeout=SECONDS, check=False)
    return r.returncode, r.stdout, r.stderr


def options_1():
    status, _, said = launch('-v', '64', f'{B}/guest', 'selftest')
    if status:
        return f'with -v: {said.strip()}'
    if 'running the Guest' not in said:
        return '-v is taken, and nothing more is said than without it'


def options_3():
    status, _, said = launch('64M', f'{B}/guest', 'selftest')
    if status:
        return f'64M: {said.strip()}'
    for size, words in (('1T', 'out of range'), ('9999999G', 'out of range'),
                        ('0x40', 'not a whole number'),
                        ('64MG', 'not a whole number')):
        status, _, said = launch(size, f'{B}/guest', 'selftest')
        if status != 1 or words not in said:
            return f'{size}: exit status {status}, {said.strip()!r}'


def waker_of(launcher):
    """The child that shares the Launcher's program and sleeps in select."""
    with open(f'/proc/{launcher}/task/{launcher}/children') as f:
        for child in f.read().split():
            if (os.readlink(f'/proc/{child}/exe')
                    == os.readlink(f'/proc/{launcher}/exe')):
                return int(child)
    return 0


def waker_4():
    g = started()
    waker = waker_of(g.p.pid)
    if not waker:
        g.kill()
        g.end()
        return 'there is no Waker to be killed'
    # The Waker has seen what is typed and waits for the Launcher when it dies.
    # What the Guest then prints fills the pipe, and so the Launcher rings.
    os.kill(g.p.pid, signal.SIGSTOP)
    g.send('run charspeed 1024\n')
    time.sleep(0.5)
    os.kill(waker, signal.SIGKILL)
    os.kill(g.p.pid, signal.SIGCONT)
    time.sleep(3)
    status, _, said = g.end(5)
    if status == 'timeout':
        return 'the Waker was killed, and nobody noticed'
    if status != 1 or 'Waker' not in said:
        return f'the Waker was killed: exit status {status}, {said.strip()!r}'


def until(fd, what, seconds=SECONDS):
    end, text = time.monotonic() + seconds, b''
    while what not in text and time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                text += os.read(fd, 4096)
            except OSError:
                break
    return text


def console_3():
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(f'{B}/lguest', [f'{B}/lguest', f'--initrd={B}/initrd.tar',
                                 '32', f'{B}/guest'])
    try:
        until(fd, b'lguest# ')
        raw = termios.tcgetattr(fd)
        os.kill(pid, signal.SIGSTOP)
        os.waitpid(pid, os.WUNTRACED)
        sane = termios.tcgetattr(fd)
        sane[3] |= termios.ICANON | termios.ECHO
        termios.tcsetattr(fd, termios.TCSANOW, sane)
        os.kill(pid, signal.SIGCONT)
        for _ in range(50):
            if termios.tcgetattr(fd)[3] == raw[3]:
                return None
            time.sleep(0.1)
        return 'stopped and continued, the terminal stays as the shell left it'
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)


def guest_shape_2():
    g = started()
    g.ask('run true')
    _, said, _ = g.halt()
    found = re.search(r'(\d+) calls queued, (\d+) found it full', said)
    if not found:
        return 'at halt, no line "N calls queued, N found it full"'
    if int(found[1]) < 2:
        return f'a session, and only {found[1]} calls were queued'


def guest_program(source, d):
    """A RAM disk with SOURCE as the program /bin/try."""
    with open(f'{d}/try.c', 'w') as f:
        f.write(source)
    os.mkdir(f'{d}/bin')
    library = [f'{B}/o/guest/user/{o}.o' for o in ('crt', 'ulib')]
    cc = os.environ.get('CC', 'gcc').split()
    flags = ['-m32', '-march=i686', '-ffreestanding', '-fno-pic', '-fno-pie',
             '-fno-stack-protector', '-fcf-protection=none', '-O2', '-I',
             f'{B}/t', '-nostdlib', '-static', '-Wl,--build-id=none',
             '-Wl,-z,max-page-size=4096', '-Wl,--no-warn-rwx-segments',
             '-T', f'{B}/t/guest/user/user.lds']
    subprocess.run([*cc, *flags, '-o', f'{d}/bin/try', f'{d}/try.c', *library,
                    '-lgcc'], check=True)
    with open(f'{B}/initrd.tar', 'rb') as f, open(f'{d}/r.tar', 'wb') as to:
        to.write(f.read())
    subprocess.run(['tar', '--format=ustar', '--owner=0', '--group=0', '-C', d,
                    '-rf', f'{d}/r.tar', 'bin/try'], check=True)
    return f'{d}/r.tar'


def ran(source):
    """What the program prints when the Guest's shell runs it."""
    with tempfile.TemporaryDirectory() as d:
        g = Guest(f'--initrd={guest_program(source, d)}')
        g.until('lguest# ')
        said = g.ask('run try')
        g.halt()
    return said


READS = r'''
#include "guest/user/ulib.h"
static unsigned int free_pages(void)
{
	struct system_info info;

	sys_system(&info);
	return info.free_pages;
}
int main(void)
{
	unsigned int start = (unsigned int)sys_brk(0), before, i, sum = 0;

	sys_brk(start + 64 * 4096);
	before = free_pages();
	for (i = 1; i < 64; i++)
		sum += *(volatile unsigned char *)(start + i * 4096);
	print("read %u took %u\n", sum, before - free_pages());
	*(volatile char *)(start + 8 * 4096) = 7;
	print("there %u beside %u\n",
	      *(volatile unsigned char *)(start + 8 * 4096),
	      *(volatile unsigned char *)(start + 9 * 4096));
	return 0;
}
'''


def guest_memory_2():
    said = ran(READS)
    found = re.search(r'read 0 took (\d+)\s+there 7 beside 0', said)
    if not found:
        return f'a program that reads zeroes says {said.strip()!r}'
    if int(found[1]) > 8:
        return f'63 pages were read, none written, and {found[1]} are gone'


SEEKS = r'''
#include "guest/user/ulib.h"
int main(void)
{
	int fd = sys_open("motd", 0), bad;
	char one[4] = "", two[4] = "";

	sys_read(fd, one, 3);
	ask(19, (unsigned long)fd, 1, 0);
	sys_read(fd, two, 2);
	bad = ask(19, (unsigned long)fd, 0x7fffffff, 0);
	print("first %d then %d bad %d\n", one[1] == two[0], one[2] == two[1],
	      bad);
	return 0;
}
'''


def guest_syscalls_2():
    said = ran(SEEKS)
    if 'first 1 then 1 bad -22' not in said:
        return f'a program that seeks says {said.strip()!r}'


def guest_ext2_4():
    lines = [f'line {n} of a file that is long enough\n' for n in range(6000)]
    with tempfile.TemporaryDirectory() as d:
        os.mkdir(f'{d}/files')
        with open(f'{d}/files/big', 'w') as f:
            f.writelines(lines)
        with open(f'{d}/disk', 'w') as f:
            f.truncate(4 << 20)
        subprocess.run(['mke2fs', '-q', '-t', 'ext2', '-b', '1024', '-d',
                        f'{d}/files', f'{d}/disk'], check=True,
                       env={**os.environ,
                            'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin'})
        g = Guest(f'--block={d}/disk,ro')
        g.until('lguest# ')
        said = g.ask('cat /disk/big', SECONDS)
        count = re.search(r'requests: (\d+) done', g.ask('disk'))
        g.halt()
    if ''.join(lines) not in said.replace('\r', ''):
        return 'the file is not the same any more'
    blocks = sum(map(len, lines)) // 1024
    if int(count[1]) > blocks / 4:
        return f'{count[1]} requests for a file of {blocks} blocks'


RING_CHECKS = 10    # that the self-test has in the book


def guest_selftest_4():
    status, said, _ = launch('32', f'{B}/guest', 'selftest')
    ring = re.search(r'^ring of hypercalls *: (\w+), (\d+) checks', said,
                     re.M)
    if status or not ring:
        return f'the self-test fails: {said[-200:]!r}'
    if int(ring[2]) <= RING_CHECKS:
        return f'the section about the ring has {ring[2]} checks, as before'


LOADS = r'''
#include "guest/user/ulib.h"
int main(void)
{
	struct { unsigned int esp; unsigned short ss; } far = { 0, 0x7b };

	asm volatile("movl %%esp, (%0)\n\tlss (%0), %%esp"
		     : : "r" (&far) : "memory");
	print("lss has loaded both\n");
	return 0;
}
'''


def emulate_2():
    said = ran(LOADS)
    if 'lss has loaded both' not in said:
        return f'a program that uses lss says {said.strip()!r}'


def guest_console_1():
    g = started()
    g.send('x' * 60 + '\x15halt\n')
    _, said, _ = g.end()
    erased = said.partition('x' * 60)[2].partition('halt')[0]
    if not 0 < len(erased) < 130:
        return f'to erase 60 characters takes {len(erased)} bytes'


def user_programs_2():
    g = started()
    said = g.ask('echo to be  or not')
    g.halt()
    if said.strip() != 'to be or not':
        return f'echo to be  or not: {said.strip()!r}'


EXERCISES = {
    'options-1': options_1, 'options-3': options_3, 'waker-4': waker_4,
    'console-3': console_3, 'emulate-2': emulate_2,
    'guest-shape-2': guest_shape_2,
    'guest-memory-2': guest_memory_2, 'guest-syscalls-2': guest_syscalls_2,
    'guest-console-1': guest_console_1, 'guest-ext2-4': guest_ext2_4,
    'user-programs-2': user_programs_2, 'guest-selftest-4': guest_selftest_4,
}
