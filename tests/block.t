#!/usr/bin/python3 -B
# also: sanitizers
"""Disks: the parser and the I/O thread, then a Guest with real images: an
ext2 made by mke2fs, writes that were flushed before a kill, locks, errors."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from guest_console import ASAN, B, Guest, started  # noqa: E402
import tap  # noqa: E402

T = (B[:-5] if ASAN else B) + '/t'
CC = os.environ.get('CC', 'gcc').split()
FLAGS = ['-O2', '-g', '-std=gnu11', '-Wall', '-Wextra', '-I' + T, '-I.',
         '-pthread']
if ASAN:
    FLAGS += ['-fsanitize=address,undefined', '-fno-sanitize-recover=all']
ROUNDS = int(os.environ.get('BLOCK_ROUNDS', '8'))
ok = tap.ok


def tool(name):
    return shutil.which(name) or shutil.which(name, path='/usr/sbin:/sbin')


def alive(path):
    """Processes that have the file open."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            for fd in os.listdir(f'/proc/{pid}/fd'):
                if os.readlink(f'/proc/{pid}/fd/{fd}') == path:
                    found.append(int(pid))
        except OSError:
            pass
    return found


def nobody_has(path, seconds=5):
    end = time.monotonic() + seconds
    while alive(path) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(path)


def unit(d):
    program = d + '/block_test'
    files = ['tests/block_test.c'] + [
        f'{T}/launcher/{f}.c' for f in
        ('block', 'device', 'virtqueue', 'waker')]
    if subprocess.run(CC + FLAGS + ['-o', program] + files).returncode:
        ok(False, 'the unit test compiles')
        return
    os.mkdir(d + '/unit')
    os.mkdir(d + '/tiny')
    # A full disk needs a small file system, which takes a mount of our own.
    script = (f'mount -t tmpfs -o size=1m none {d}/tiny && '
              f'truncate -s 4M {d}/tiny/disk && '
              f'TINY={d}/tiny/disk exec {program} {d}/unit')
    may = subprocess.run(['unshare', '-rm', 'mount', '-t', 'tmpfs', 'none',
                          d + '/tiny'], stderr=subprocess.DEVNULL)
    args = (['unshare', '-rm', 'sh', '-c', script] if may.returncode == 0
            else [program, d + '/unit'])
    r = subprocess.run(args, stdout=subprocess.PIPE, text=True, timeout=200)
    tap.child(r.stdout)
    ok(r.returncode == 0, 'the unit test ends well', r.returncode)
    short(d, files)


def short(d, files):
    """Once more, where each transfer does 100 bytes at most."""
    with open(files[1]) as f:
        text = f.read()
    call = 'raw_vector(number, fd, piece, r->pieces)'
    with open(d + '/short.c', 'w') as f:
        f.write('#include <sys/uio.h>\nlong short_vector(int, int, const '
                'struct iovec *, unsigned int);\n'
                + text.replace(call, call.replace('raw', 'short'))
                .replace('#define _GNU_SOURCE', '//', 1)
                .replace('raw_syscall(SYS_preadv2', 'raw_syscall(-1'))
    program = d + '/short'
    # Its thread leaves the library alone no more: so not with a sanitizer.
    r = subprocess.run(CC + [x for x in FLAGS if 'sanitize' not in x] +
                       ['-D_GNU_SOURCE', '-w', '-o', program, files[0],
                        d + '/short.c'] + files[2:])
    if text.count(call) != 1 or r.returncode:
        ok(False, 'block.c with short transfers compiles')
        return
    r = subprocess.run([program, d + '/unit', 'short'], timeout=60,
                       stdout=subprocess.PIPE, text=True)
    tap.child(r.stdout.replace(' - ', ' - short transfers: '))
    ok(r.returncode == 0, 'short transfers end well', r.returncode)


def no_library():
    """The I/O thread must not touch the Launcher's thread-local storage."""
    obj = B[:-5] + '/o/asan' if ASAN else B + '/o/native'
    obj += '/launcher/block.o'
    if not os.path.exists(obj):
        tap.skip('the I/O thread calls no library', f'no {obj}')
        return
    text = subprocess.run(['objdump', '-dr', '--no-show-raw-insn', obj],
                          stdout=subprocess.PIPE, text=True).stdout
    mine = {'io_thread', 'do_job', 'transfer', 'raw_syscall', 'raw_seek',
            'raw_vector', 'raw_readahead', 'raw_read', 'raw_write', 'raw_prctl', 'raw_close',
            'raw_exit'}
    code = ''.join(body for name, body in re.findall(
        r'<(\w+)[^>]*>:\n(.*?)\n\n', text + '\n\n', re.S)
        if re.sub(r'\..*', '', name) in mine)
    calls = set(re.findall(r'\bcall\b.*\n\s*\S+ R_\w+\s+([\w.]+)', code))
    calls -= {c for c in calls if c.startswith('.text')}
    ok('syscall' in code and calls <= mine,
       'the I/O thread calls no library', calls)
    ok(not re.search(r'%[fg]s:', code),
       'and touches no thread-local storage')


def ext2(d):
    if not tool('mke2fs'):
        tap.skip('an ext2 image', 'no mke2fs')
        return
    source = d + '/source'
    os.makedirs(source + '/sub/deep')
    with open(source + '/motd', 'w') as f:
        f.write('Hello from a disk.\n')
    with open(source + '/sub/deep/file', 'w') as f:
        f.write('deep down\n')
    # Direct, indirect and, with blocks of 1 KiB, doubly indirect blocks.
    lines = [f'line {i} of a large file' for i in range(12000)]
    with open(source + '/large', 'w') as f:
        f.write('\n'.join(lines) + '\n')
    with open(source + '/holes', 'wb') as f:
        f.write(b'begin\n')
        f.truncate(30000)
        f.seek(30000)
        f.write(b'\nend\n')
    shutil.copy((B[:-5] if ASAN else B) + '/user/hello', source + '/hello')
    for i in range(60):
        os.mkdir(f'{source}/sub/dir{i:03}')
    for size in '1024', '2048', '4096':
        image = f'{d}/ext2-{size}'
        subprocess.run(['truncate', '-s', '16M', image], check=True)
        subprocess.run([tool('mke2fs'), '-q', '-t', 'ext2', '-b', size,
                        '-d', source, image], check=True)
        read_ext2(image, size, lines)
    ext4 = f'{d}/ext4'
    subprocess.run(['truncate', '-s', '16M', ext4], check=True)
    subprocess.run([tool('mke2fs'), '-q', '-t', 'ext4', ext4], check=True)
    g = started(f'--block={ext4}')
    ok('no ext2 on it' in g.ask('ls /disk'), 'an ext4 is not misread')
    g.halt()


def read_ext2(image, size, lines):
    with open(image, 'rb') as f:
        before = f.read()
    g = started(f'--block={image}')
    a = g.ask('ls /disk')
    ok(all(x in a for x in (' motd', ' sub/', ' large', ' holes',
                            ' lost+found/')), f'{size}: ls', a)
    a = g.ask('ls /disk/sub')
    ok(all(f' dir{i:03}/' in a for i in range(60)),
       f'{size}: ls of a directory of 61', a)
    a = g.ask('cat /disk/motd /disk0/sub/deep/file')
    ok(a.endswith('Hello from a disk.\ndeep down\n'), f'{size}: cat', a)
    a = g.ask('cat /disk/large')
    ok(a.strip('\n').split('\n') == lines, f'{size}: a large file, whole',
       len(a))
    a = g.ask('cat /disk/holes')
    ok('begin\n' + '\0' * (30000 - 6) + '\nend\n' in a,
       f'{size}: a file with holes', len(a))
    a = g.ask('run /disk/hello from a disk')
    ok('Hello from ring 3' in a and ': from a disk' in a,
       f'{size}: a program', a)
    a = g.ask('cat /disk/none')
    ok('no such file' in a, f'{size}: a missing file', a)
    a = g.ask('cat /disk/sub')
    ok('a directory' in a, f'{size}: cat of a directory', a)
    a = g.ask('cat /disk/motd/x')
    ok('not a directory' in a, f'{size}: a file as a directory', a)
    r = g.halt()
    ok(r[0] == 0 and not r[2], f'{size}: power off', r)
    with open(image, 'rb') as f:
        ok(f.read() == before, f'{size}: the image is as it was')


def damaged(d):
    """Damage to metadata may give errors, but the Guest lives."""
    image = d + '/ext2-1024'
    if not os.path.exists(image):
        tap.skip('a damaged image', 'no image')
        return
    bad = d + '/damaged'
    alive_after = 0
    for round_ in range(6):
        shutil.copy(image, bad)
        state = 12345 + round_
        with open(bad, 'r+b') as f:
            for _ in range(400):
                state = state * 1103515245 + 12345 & 0x7fffffff
                # superblock untouched in even rounds; metadata and data
                at = (2048 if round_ % 2 == 0 else 1024) + state % 600000
                f.seek(at)
                f.write(bytes([state >> 16 & 255]))
        g = started(f'--block={bad}')
        for path in '', '/sub', '/sub/deep':
            g.ask(f'ls /disk{path}')
        g.ask('run /disk/hello')
        g.ask('cat /disk/sub/deep/file')
        a = g.ask('free')
        alive_after += 'KiB' in a
        g.halt()
    ok(alive_after == 6, 'a Guest survives damaged file systems',
       alive_after)


def sectors(d):
    raw = d + '/raw'
    subprocess.run(['truncate', '-s', '1M', raw], check=True)
    g = started(f'--block={raw}')
    a = g.ask('disk')
    ok('disk 0: raw' in a and '2048 sectors, read and write' in a,
       'the disk is listed', a)
    ok('write done' in g.ask('disk 0 write 2047 xyz'), 'the last sector')
    a = g.ask('disk 0 read 2047')
    ok('xyzxyzxyz' in a, 'is read back', a)
    a = g.ask('disk 0 write 2048 xyz')
    ok('reports an error' in a, 'a sector past the end', a)
    a = g.ask('disk 0 read 4294967295')
    ok('reports an error' in a, 'and far past it', a)
    ok(os.path.getsize(raw) == 1 << 20, 'the file has its old size')
    a = g.ask('disk')
    ok('2 failed' in a, 'the Guest lives and has counted', a)
    g.send('reboot\n')
    g.until('Type help')
    g.until('lguest# ')
    a = g.ask('disk 0 read 2047')
    ok('xyzxyz' in a, 'the disk is there again after a reboot', a)
    r = g.halt()
    ok(r[0] == 0 and not r[2], 'power off', r)
    ok(nobody_has(raw), 'nobody has the disk')
    with open(raw, 'rb') as f:
        data = f.read()
    ok(data[2047 * 512:2047 * 512 + 6] == b'xyzxyz'
       and not any(data[:2047 * 512]), 'and the file has what was written')


def read_only(d):
    raw = d + '/raw'
    g = started(f'--block={raw},ro')
    a = g.ask('disk')
    ok('read-only' in a, 'a read-only disk', a)
    a = g.ask('disk 0 write 1 abc')
    ok('read-only' in a, 'is not written', a)
    h = started(f'--block={raw},ro')
    ok('xyz' in h.ask('disk 0 read 2047'), 'two Guests may read it')
    w = Guest(f'--block={raw}')
    r = w.end()
    ok(r[0] == 1 and 'in use by another Launcher' in r[2]
       and r[2].count('\n') == 1, 'but none may write', r)
    h.halt()
    g.halt()


def locked(d):
    raw = d + '/raw'
    g = started(f'--block={raw}')
    for word in raw, raw + ',ro':
        r = Guest(f'--block={word}').end()
        ok(r[0] == 1 and r[2].startswith(f'lguest: --block={word}: ')
           and 'in use by another Launcher' in r[2]
           and r[2].count('\n') == 1, 'a locked disk is refused', r)
    g.kill()
    h = started(f'--block={raw}')
    ok('xyz' in h.ask('disk 0 read 2047'),
       'after a kill the disk is free at once')
    h.halt()
    g.end()


def kill_loop(d):
    """What was flushed before the Launcher was killed is in the file."""
    raw, image = d + '/raw', d + '/ext2-1024'
    disks = [f'--block={raw}']
    if os.path.exists(image):
        disks.append(f'--block={image}')
    lost, left, unclean = [], 0, 0
    for n in range(ROUNDS):
        g = started(*disks)
        sector, text = 10 + n, f'round{n}.'
        g.ask(f'disk 0 write {sector} {text}')
        a = g.ask('disk 0 flush')
        # More that nobody promised, and a reader on the other disk.
        g.send(f'disk 0 write {100 + n} late\n')
        if len(disks) > 1:
            g.send('cat /disk1/large\n')
        if n % 2:
            time.sleep(0.01 * n)
        g.kill()
        g.end()
        with open(raw, 'rb') as f:
            f.seek(sector * 512)
            data = f.read(512)
        if 'flush done' not in a or data != (text * 100).encode()[:512]:
            lost.append((n, a, data[:16]))
        left += not (nobody_has(raw) and nobody_has(image))
        if len(disks) > 1 and tool('e2fsck'):
            unclean += subprocess.run(
                [tool('e2fsck'), '-fn', image], stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL).returncode != 0
    ok(not lost, f'{ROUNDS} kills: what was flushed is there', lost)
    ok(left == 0, 'and nobody is left', left)
    if len(disks) > 1 and tool('e2fsck'):
        ok(unclean == 0, 'and e2fsck finds the other image clean', unclean)
    else:
        tap.skip('e2fsck', 'no e2fsprogs')


def flush_order(d):
    """fdatasync returns before the done byte of a flush is written."""
    if ASAN or not tool('strace'):
        tap.skip('fdatasync comes before the answer', 'no strace here')
        return
    raw, log = d + '/raw', d + '/strace'
    g = started(f'--block={raw}')
    with open(f'/proc/{g.p.pid}/task/{g.p.pid}/children') as f:
        children = f.read().split()
    tracer = subprocess.Popen(
        ['strace', '-f', '-o', log, '-e', 'trace=fdatasync,write,writev']
        + [x for c in children for x in ('-p', c)],
        stderr=subprocess.PIPE, text=True)
    for _ in children:
        if 'attached' not in tracer.stderr.readline():
            break
    time.sleep(0.3)
    g.ask('disk 0 write 9 abc')
    g.ask('disk 0 flush')
    g.halt()
    tracer.wait(10)
    with open(log) as f:
        calls = re.findall(r'^(\d+) +(writev|fdatasync|write)\(', f.read(),
                           re.M)
    who = {pid for pid, name in calls if name == 'fdatasync'}
    text = ' '.join(name for pid, name in calls if pid in who)
    if not calls:
        tap.skip('fdatasync comes before the answer', 'cannot trace')
        return
    ok(len(who) == 1 and text == 'writev write fdatasync write',
       'fdatasync comes before the answer', text)


def far(d):
    """A sector behind 4 GiB, as a Guest counts them."""
    sparse = d + '/sparse'
    subprocess.run(['truncate', '-s', '6G', sparse], check=True)
    g = started(f'--block={sparse}')
    ok('write done' in g.ask('disk 0 write 10000000 far')
       and 'farfar' in g.ask('disk 0 read 10000000')
       and 'farfar' not in g.ask(f'disk 0 read {10000000 % (1 << 23)}'),
       'a sector behind 4 GiB')
    g.halt()
    with open(sparse, 'rb') as f:
        f.seek(10000000 * 512)
        ok(f.read(6) == b'farfar', 'is where it should be in the file')
    os.unlink(sparse)


def full(d):
    """A file with holes, on a file system without room for them."""
    small = d + '/small'
    os.mkdir(small)
    script = (f'mount -t tmpfs -o size=256k none {small} && '
              f'truncate -s 4M {small}/disk && exec "$@"')
    before = ['unshare', '-rm', 'sh', '-c', script, 'sh']
    if subprocess.run([*before, 'true'],
                      stderr=subprocess.DEVNULL).returncode:
        tap.skip('a full file system', 'no mount namespace here')
        return
    g = started(f'--block={small}/disk', before=before)
    said = [g.ask(f'disk 0 write {8 * n} n{n}.') for n in range(80)]
    failed = [n for n, a in enumerate(said) if 'reports an error' in a]
    ok(failed and failed[0] > 40 and failed == list(range(failed[0], 80)),
       'a full file system: writes fail', failed)
    ok('n7.n7.' in g.ask('disk 0 read 56'), 'what was written before is there')
    ok(f'{len(failed)} failed' in g.ask('disk'), 'and the Guest has counted')
    r = g.halt()
    ok(r[0] == 0 and not r[2], 'power off', r)


def loop_device(d):
    """A real block device that fails: a loop device whose file shrinks."""
    path = d + '/backing'
    subprocess.run(['truncate', '-s', '1M', path], check=True)
    r = subprocess.run(['losetup', '-f', '--show', path], text=True,
                       capture_output=True) if tool('losetup') else None
    if not r or r.returncode:
        tap.skip('a block device', r.stderr.strip() if r else 'no losetup')
        return
    loop = r.stdout.strip()
    try:
        g = started(f'--block={loop}')
        ok('2048 sectors, read and write' in g.ask('disk'), 'a block device')
        g.ask('disk 0 write 2000 loop')
        ok('flush done' in g.ask('disk 0 flush'), 'is flushed')
        with open(path, 'rb') as f:
            f.seek(2000 * 512)
            ok(f.read(8) == b'looploop', 'down to the file behind it')
        os.truncate(path, 65536)
        subprocess.run([tool('blockdev'), '--flushbufs', loop], check=True)
        a = g.ask('disk 0 read 2040')
        ok('reports an error' in a, 'a sector that cannot be read', a)
        a = g.ask('disk 0 read 5') + g.ask('disk')
        ok(a.count('error') == 0 and ' 1 failed' in a, 'and no other', a)
        r = g.halt()
        ok(r[0] == 0 and not r[2], 'power off', r)
    finally:
        subprocess.run(['losetup', '-d', loop])


def words(d):
    for word, about in (
            (f'{d}/none', 'cannot open'), (d, 'directory'),
            ('/dev/zero', 'neither a file nor a block device')):
        r = Guest(f'--block={word}').end()
        ok(r[0] == 1 and r[2].startswith(f'lguest: --block={word}: ')
           and about in r[2] and r[2].count('\n') == 1,
           f'--block: {about}', r)
    r = Guest('--block').end()
    ok(r[0] == 1 and '--block=FILE' in r[2], '--block without a file', r)
    os.chmod(d + '/raw', 0o400)
    if os.geteuid() != 0:
        r = Guest(f'--block={d}/raw').end()
        ok(r[0] == 1 and 'add ,ro' in r[2], 'a file we may only read', r)
    os.chmod(d + '/raw', 0o600)
    many = [f'--block={d}/raw,ro' for _ in range(8)]
    g = started(*many)
    a = g.ask('disk')
    ok('disk 7: raw' in a, 'eight disks', a)
    g.halt()


def main():
    d = tempfile.mkdtemp(prefix='lguest-block-')
    try:
        unit(d)
        no_library()
        ext2(d)
        damaged(d)
        sectors(d)
        read_only(d)
        locked(d)
        kill_loop(d)
        flush_order(d)
        far(d)
        full(d)
        loop_device(d)
        words(d)
    finally:
        shutil.rmtree(d, ignore_errors=True)
    tap.done()


signal.signal(signal.SIGPIPE, signal.SIG_DFL)
main()
