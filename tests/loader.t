#!/usr/bin/python3 -B
# also: sanitizers
"""The loader: good images byte by byte, bad ones word by word."""
import os, shutil, struct, subprocess, tempfile
from tap import done, ok, skip

B = os.environ.get('B', 'build')
ASAN = os.path.basename(B) == 'asan'
T = os.path.join(os.path.dirname(B) if ASAN else B, 't')
CC = os.environ.get('CC', 'gcc').split()
TMP = tempfile.mkdtemp(prefix='lguest-loader.') \
    if __name__ == '__main__' else None
LG = f'{TMP}/lguest'
bits = ''


def build(out, *extra):
    flags = ['-O1', '-g', '-std=gnu11', '-Wall', '-Wextra', '-Werror']
    if ASAN and '-m32' not in extra:
        flags += ['-fsanitize=address,undefined',
                  '-fno-sanitize-recover=all']
    subprocess.run(CC + flags + list(extra) +
                   ['-I' + T, 'tests/loader_test.c'] +
                   [f'{T}/launcher/{n}.c'
                    for n in ('loader', 'memory', 'options')] +
                   ['-o', out], check=True)


# ---- images ---------------------------------------------------------------
KERNEL = bytes(range(256)) * 20          # 5120 recognisable bytes
DATA = b'data of the kernel ' * 30


def elf(segments=None, **h):
    """An ELF32 file; h changes header fields, segments are dicts."""
    if segments is None:
        segments = [dict(bytes=KERNEL, paddr=0x100000),
                    dict(bytes=DATA, paddr=0x102000, memsz=0x3000)]
    f = dict(cls=1, data=1, type=2, machine=3, entry=0x100010, phoff=52,
             phentsize=32, phnum=len(segments))
    f.update(h)
    table, body = b'', b''
    start = 52 + 32 * len(segments)
    for s in segments:
        b = s.get('bytes', b'')
        table += struct.pack(
            '<8I', s.get('type', 1), s.get('offset', start + len(body)),
            s.get('vaddr', s.get('paddr', 0) ^ 0xC0000000),
            s.get('paddr', 0),
            s.get('filesz', len(b)), s.get('memsz', len(b)), 5, 4096)
        body += b
    ident = b'\x7fELF' + bytes([f['cls'], f['data'], 1]) + bytes(9)
    return ident + struct.pack('<HHIIIIIHHHHHH', f['type'], f['machine'], 1,
                               f['entry'], f['phoff'], 0, 0, 52,
                               f['phentsize'], f['phnum'], 0, 0, 0) \
        + table + body


def bzimage(payload=KERNEL, sects=1, version=0x20c, flags=1,
            entry=0x100000, syssize=None, header_end=0x268, cut=None, **h):
    n = (sects or 4) + 1
    b = bytearray(n * 512)
    b[0x1f1] = sects
    if syssize is None:
        syssize = len(payload) // 16
    struct.pack_into('<I', b, 0x1f4, syssize)
    struct.pack_into('<H', b, 0x1fe, 0xAA55)
    b[0x200:0x202] = bytes([0xEB, header_end - 0x202])
    b[0x202:0x206] = b'HdrS'
    struct.pack_into('<H', b, 0x206, version)
    b[0x211] = flags
    struct.pack_into('<I', b, 0x214, entry)
    f = dict(initrd_max=0x37ffffff, align=0x1000, cmdline=2047,
             pref=0x100000, init_size=0x40000, xload=0)
    f.update(h)
    struct.pack_into('<IIBBHI', b, 0x22c, f['initrd_max'], f['align'], 1, 12,
                     f['xload'], f['cmdline'])
    struct.pack_into('<QI', b, 0x258, f['pref'], f['init_size'])
    return (bytes(b) + payload)[:cut]


def put(name, data):
    path = f'{TMP}/{name}'
    with open(path, 'wb') as f:
        f.write(data)
    return path


# ---- what a good image must become ------------------------------------------
def expect(mib, bp, placed, entry, line, initrd, header=b'', initrd_max=None):
    """All of Guest memory, built without looking at the C."""
    ram = mib << 20
    m = bytearray(ram + 256 * 4096)
    for addr, data in placed:
        m[addr:addr + len(data)] = data
    top = ram if initrd_max is None else min(ram, initrd_max + 1)
    at = (top - len(initrd)) & ~4095 if initrd else ram
    m[at:at + len(initrd)] = initrd
    pages = ram // 4096 + 256
    tables = (pages + 1023) // 1024
    pgdir = at - 4096 * (1 + tables)
    for i in range(tables):
        for d in (i, 768 + i) if i < 255 else (i,):
            struct.pack_into('<I', m, pgdir + 4 * d,
                             pgdir + 4096 * (i + 1) | 0x63)
    struct.pack_into(f'<{pages}I', m, pgdir + 4096,
                     *[i << 12 | 0x63 for i in range(pages)])
    m[bp + 0x1f1:bp + 0x1f1 + len(header)] = header
    if not header:
        struct.pack_into('<H', m, bp + 0x206, 0x207)
        struct.pack_into('<I', m, bp + 0x22c, 0xffffffff)
    m[bp + 0x1e8] = 1
    struct.pack_into('<QQI', m, bp + 0x2d0, 0, ram, 1)
    m[bp + 0x210] = 0xff
    m[bp + 0x211] |= 0x40
    if initrd:
        struct.pack_into('<II', m, bp + 0x218, at, len(initrd))
    struct.pack_into('<I', m, bp + 0x228, bp + 0x1000)
    struct.pack_into('<I', m, bp + 0x23c, 1)
    m[bp + 0x1000:bp + 0x1001 + len(line)] = line.encode() + b'\0'
    return bytes(m), f'{pgdir:#x} {entry:#x} {pages}\n'


def good(name, image, mib, bp, placed, entry, line='', initrd=b'', exe=None,
         shared=False, **more):
    k = put('kernel', image)
    r = put('initrd', initrd) if initrd else '-'
    out = TMP + '/memory'
    p = subprocess.run([exe or LG, str(mib), hex(bp), k, r, line, out] +
                       ['shared'] * shared, capture_output=True, text=True)
    memory, said = expect(mib, bp, placed, entry, line, initrd, **more)
    if p.returncode or p.stderr:
        return ok(False, name, p.returncode, p.stderr)
    got = open(out, 'rb').read()
    where = next((i for i in range(len(got)) if got[i] != memory[i]), None) \
        if got != memory else None
    ok(got == memory and p.stdout == said, name, f'{p.stdout!r} {said!r}',
       f'first difference at {where}', f'lengths {len(got)} {len(memory)}')


def refused(name, image, why, mib=16, bp=0x90000, line='', initrd=None,
        what='kernel', plan=False):
    """image: bytes for the kernel's file, or a path."""
    k = put('kernel', image) if isinstance(image, bytes) else image
    r = '-' if initrd is None else initrd if isinstance(initrd, str) \
        else put('initrd', initrd)
    p = subprocess.run([LG + bits, str(mib), hex(bp), k, r, line,
                        TMP + '/memory'],
                       capture_output=True, text=True, timeout=60)
    path = r if what == 'initrd' else k
    inside = f' in {mib} MiB' if plan else ''
    want = f'lguest{bits}: {what} {path}{inside}: {why}\n'
    ok(p.returncode == 1 and p.stderr == want and p.stdout == '',
       f'{name}{", 32-bit" if bits else ""}',
       f'status {p.returncode}', f'got  {p.stderr!r}', f'want {want!r}')


def main():
    build(LG)
    two = [(0x100000, KERNEL), (0x102000, DATA)]
    for bp in (0x90000, 0):
        for initrd in (b'', b'i', b'initrd' * 1000, bytes([7]) * 8192):
            good(f'ELF, boot_params {bp:#x}, initrd of {len(initrd)}',
                 elf(), 4, bp, two, 0x100010, 'console=hvc0 a=b', initrd)
    good('ELF, shared memory', elf(), 4, 0x90000, two, 0x100010,
         shared=True)
    good('ELF, the longest command line', elf(), 4, 0x90000, two, 0x100010,
         'x' * 2047)
    good('ELF, 127 MiB', elf(), 127, 0x90000, two, 0x100010, 'x', b'abc')
    good('ELF, other program headers are passed by',
         elf([dict(type=4, offset=0xfffffff0, filesz=0xffffffff),
              dict(type=1, memsz=0, offset=0xffffffff),
              dict(bytes=KERNEL, paddr=0x100000)]),
         4, 0x90000, [(0x100000, KERNEL)], 0x100010)
    good('ELF, segments that overlap: the later one wins',
         elf([dict(bytes=b'a' * 64, paddr=0x100000),
              dict(bytes=b'b' * 32, paddr=0x100010)]), 4, 0x90000,
         [(0x100000, b'a' * 64), (0x100010, b'b' * 32)], 0x100010)
    good('ELF, lowest reachable address',
         elf([dict(bytes=b'k' * 64, paddr=0x10000)], entry=0x10000),
         2, 0x90000, [(0x10000, b'k' * 64)], 0x10000)
    good('ELF, right behind the command line',
         elf([dict(bytes=b'k' * 64, paddr=0x92000)], entry=0x92000),
         2, 0x90000, [(0x92000, b'k' * 64)], 0x92000)
    image = bzimage()
    good('bzImage', image, 4, 0x90000, [(0x100000, KERNEL)], 0x100000,
         'quiet', b'initrd', header=image[0x1f1:0x268])
    image = bzimage(sects=0)
    good('bzImage, 0 sectors mean 4', image, 4, 0, [(0x100000, KERNEL)],
         0x100000, header=image[0x1f1:0x268])
    image = bzimage(version=0x207, header_end=0x240)
    good('bzImage, code behind a short header is not header', image, 4, 0,
         [(0x100000, KERNEL)], 0x100000,
         header=image[0x1f1:0x240] + bytes(0x28))
    image = bzimage(initrd_max=0x1fffff, init_size=0x1000)
    good('bzImage, the initrd stays below initrd_addr_max', image, 4, 0x90000,
         [(0x100000, KERNEL)], 0x100000, '', b'i' * 5000,
         header=image[0x1f1:0x268], initrd_max=0x1fffff)
    all_malformed()
    if build32():
        good('the 32-bit loader', elf(), 4, 0, two, 0x100010, 'a b',
             b'initrd', exe=LG + '32')
        all_malformed('32')


def bad(*args, **more):
    refused(*args, **more)


def all_malformed(suffix=''):
    global bits
    bits = suffix
    malformed_files()
    malformed_elf()
    malformed_bzimage()
    no_room()


def malformed_files():
    bad('no such file', TMP + '/none',
        'cannot open: No such file or directory')
    bad('a directory', TMP, 'not a regular file; name the file itself')
    if not bits:
        os.mkfifo(TMP + '/fifo')
    bad('a pipe', TMP + '/fifo', 'not a regular file; name the file itself')
    bad('a device', '/dev/zero', 'not a regular file; name the file itself')
    bad('an empty file', b'', 'empty; is the download complete?')
    neither = ('neither an ELF file nor a bzImage; name a vmlinux, a bzImage '
               'or build/guest')
    for n in (1, 3, 0x202, 0x205, 5000):
        bad(f'{n} bytes of something else', b'#' * n, neither)
    bad('a bzImage, cut inside its magic', bzimage(cut=0x205), neither)
    if os.getuid():
        path = put('secret', b'x')
        os.chmod(path, 0)
        bad('an unreadable file', path, 'cannot open: Permission denied')
        os.unlink(path)
    else:
        ok(True, '# skip an unreadable file: root can read any')
    bad('a file of 3 GiB', sparse('big', 3 << 30),
        'cannot open: Value too large for defined data type' if bits else
        '3221225472 bytes, and a Guest\'s memory ends at 2 GiB; '
        'name a smaller file')
    bad('no initrd', elf(), 'cannot open: No such file or directory',
        initrd=TMP + '/none', what='initrd')
    bad('a directory as initrd', elf(), 'not a regular file; name the file '
        'itself', initrd=TMP, what='initrd')
    bad('an empty initrd', elf(), 'empty; is the download complete?',
        initrd=b'', what='initrd')


def sparse(name, size):
    path = f'{TMP}/{name}'
    with open(path, 'wb') as f:
        f.truncate(size)
    return path


def malformed_elf():
    for n in (4, 20, 51):
        bad(f'ELF header cut at {n}', elf()[:n],
            f'ELF header cut short at {n} bytes; is the file complete?')
    bad('64-bit ELF', elf(cls=2),
        'a 64-bit ELF file; the Guest is a 32-bit machine')
    other = 'an ELF file, but not for a 32-bit x86; build the kernel for i386'
    bad('ELF of class 3', elf(cls=3), other)
    bad('big-endian ELF', elf(data=2), other)
    bad('ELF for ARM', elf(machine=40), other)
    for t in (0, 1, 3, 4, 0xffff):
        bad(f'ELF of type {t}', elf(type=t), f'an ELF file of type {t}; only '
            'an executable (2) can start')
    bad('no program headers', elf(phnum=0), 'an ELF file with no program '
        'headers; an object file cannot start')
    for n in (0, 31, 33, 56):
        bad(f'program headers of {n} bytes', elf(phentsize=n),
            f'program headers of {n} bytes, not 32; the file is damaged')
    size = len(elf())
    for off in (size, size - 63, size + 1, 0xfffffff0, 0xffffffff):
        bad(f'program headers at {off:#x}', elf(phoff=off),
            f'2 program headers at offset {off} of a file of {size}; '
            'is it complete?')
    bad('65535 program headers', elf(phnum=65535),
        f'65535 program headers at offset 52 of a file of {size}; '
        'is it complete?')
    bad('258 program headers', elf(phnum=258),
        f'258 program headers at offset 52 of a file of {size}; '
        'is it complete?')
    bad('the last byte is missing', elf()[:-1],
        f'segment 1 has {len(DATA)} bytes at offset {size - len(DATA)} of a '
        f'file of {size - 1}; is it complete?')

    def one(**s):
        return elf([dict(dict(bytes=b'k' * 64, paddr=0x100000), **s)])
    for off in (148 - 63, 148, 149, 0xffffffff, 0xffffffc1):
        bad(f'a segment at offset {off:#x}', one(offset=off),
            f'segment 0 has 64 bytes at offset {off} of a file of 148; is '
            'it complete?')
    bad('a segment longer than the file', one(filesz=65, memsz=100),
        'segment 0 has 65 bytes at offset 84 of a file of 148; is it '
        'complete?')
    bad('a segment of 4 GiB', one(filesz=0xffffffff, memsz=0xffffffff),
        'segment 0 has 4294967295 bytes at offset 84 of a file of 148; is '
        'it complete?')
    bad('more bytes than memory', one(memsz=63),
        'segment 0 has 64 bytes but 63 of memory; the file is damaged')
    for addr, mem in ((0xffffffff, 64), (0xffffffc0, 64),
                      (0x100000, 0xffffffff), (1, 0xffffffff)):
        bad(f'a segment that wraps at {addr:#x}', one(paddr=addr, memsz=mem),
            f'segment 0 ends beyond 4 GiB (address {addr:#x}, {mem} bytes); '
            'link it lower')
    bad('17 segments', elf([dict(bytes=b'x', paddr=0x100000)] * 17),
        'more than 16 segments; is this a kernel?')
    bad('nothing to load', one(type=4),
        'an ELF file with nothing to load; is this a kernel?')
    for e in (0, 0xfffff, 0x100040, 0xC0100000, 0xffffffff):
        bad(f'entry at {e:#x}', elf([dict(bytes=b'k' * 64, paddr=0x100000)],
                                    entry=e),
            f'entry point {e:#x} lies in no segment; it must be a physical '
            'address')


def malformed_bzimage():
    for n in (0x206, 0x263):
        bad(f'bzImage cut at {n:#x}', bzimage(cut=n),
            f'bzImage cut short at {n} bytes; is the file complete?')
    for v in (0x200, 0x206, 0):
        bad(f'boot protocol {v:#x}', bzimage(version=v),
            f'a bzImage of boot protocol {v >> 8}.{v & 255:02}; a Guest '
            'needs 2.07 (Linux 2.6.24)')
    bad('a zImage', bzimage(flags=0x80),
        'a zImage, to be loaded low; build a bzImage')
    bad('a 64-bit bzImage', bzimage(xload=1),
        'a 64-bit kernel; the Guest is a 32-bit machine')
    for v, why in (b'4.0.0-rc1 (a@b)', '4.0'), (b'10.2', '10.2'):
        young = (f'Linux {why}; from 4.0 on a Guest looks for its devices on '
                 'a PCI bus, and here they are on a page; take one up to '
                 '3.19')
        b = bytearray(bzimage(payload=KERNEL + v + bytes(16)))
        struct.pack_into('<H', b, 0x20e, 1024 + len(KERNEL) - 0x200)
        bad(f'bzImage of {why}', bytes(b), young)
        bad(f'ELF file of {why}', elf([dict(
            bytes=KERNEL + b'Linux version ' + v, paddr=0x100000)]), young)
    size = len(bzimage())
    bad('bzImage cut short', bzimage(cut=size - 1),
        f'bzImage of {size - 1} bytes, but its header promises {size}; is it '
        'complete?')
    bad('bzImage with a huge syssize', bzimage(syssize=0xffffffff),
        f'bzImage of {size} bytes, but its header promises '
        f'{1024 + 0xffffffff * 16}; is it complete?')
    bad('bzImage with no payload', bzimage(payload=b''),
        'bzImage of 1024 bytes, but its header promises 1024; is it '
        'complete?')
    b = bytearray(bzimage())
    b[0x1f1] = 255
    bad('bzImage with 255 sectors', bytes(b),
        f'bzImage of {size} bytes, but its header promises '
        f'{256 * 512 + 5120}; is it complete?')
    for e in (0, 0xfffff, 0x100000 + 5120, 0xffffffff):
        bad(f'bzImage entry at {e:#x}', bzimage(entry=e),
            f'entry point {e:#x} lies outside what is loaded; the header is '
            'damaged')
    for a in (1 << 32, 0xffffffffffffffff):
        bad(f'bzImage runs at {a:#x}', bzimage(pref=a),
            'wants to run beyond 4 GiB; the Guest is a 32-bit machine')
    bad('bzImage unpacks around the corner', bzimage(init_size=0xffffffff),
        'segment 1 ends beyond 4 GiB (address 0x100000, 4294967295 bytes); '
        'link it lower')
    refused('bzImage needs room to unpack', bzimage(pref=0x1000000,
                                                init_size=0x200000),
        'the kernel ends at 0x1200000 and memory at 0x1000000; give the '
        'Guest at least 18 MiB', plan=True)
    refused('bzImage unpacks over the initrd', bzimage(init_size=0x2ff000),
        'the kernel at 0x100000 would overlap the initrd at 0x3fe000; give '
        'the '
        'Guest more memory or link it elsewhere', mib=4,
        initrd=b'i' * 4097, plan=True)
    refused('bzImage with a short command line', bzimage(cmdline=10),
        'command line of 11 bytes, and this kernel takes 10; shorten it',
        line='x' * 11, plan=True)
    refused('bzImage that names no length', bzimage(cmdline=0),
        'command line of 256 bytes, and this kernel takes 255; shorten it',
        line='x' * 256, plan=True)
    refused('bzImage that wants no initrd', bzimage(initrd_max=0),
        'an initrd of 2 bytes and room for 1; give the Guest more memory',
            initrd=b'ii', plan=True)


def no_room():
    def bad(*args, **more):
        refused(*args, plan=True, **more)

    def at(addr, size=64):
        return elf([dict(bytes=b'k' * 64, paddr=addr, memsz=size)],
                   entry=addr)
    bad('command line of 2048', elf(), 'command line of 2048 bytes, and '
        'this kernel takes 2047; shorten it', line='x' * 2048)
    bad('a kernel of one byte too many', at(0x100000, 0xf00001),
        'the kernel ends at 0x1000001 and memory at 0x1000000; give the '
        'Guest at least 17 MiB')
    bad('a kernel behind memory', at(0x80000000),
        'the kernel ends at 0x80000040 and memory at 0x1000000; give the '
        'Guest at least 2049 MiB')
    bad('1 MiB is not enough', elf(), 'the kernel ends at 0x101400 and '
        'memory at 0x100000; give the Guest at least 2 MiB', mib=1)
    bad('below what the Host reaches', at(0xffff), 'the kernel at 0xffff, '
        'below 0x10000, where this Host cannot reach; link it higher')
    meets = ('the kernel at {:#x} would overlap {} at {:#x}; give the '
             'Guest more memory or link it elsewhere')
    for addr in (0x8ffff, 0x90000, 0x91000, 0x91fff):
        bad(f'on the boot parameters, {addr:#x}', at(addr),
            meets.format(addr, 'the boot parameters', 0x90000))
    bad('on the boot parameters of the historical Host', at(0x1fff),
        meets.format(0x1fff, 'the boot parameters', 0), bp=0)
    bad('on the initrd', at(0xffeff0),
        meets.format(0xffeff0, 'the initrd', 0xfff000), initrd=b'i')
    bad('on the page tables', at(0x100000, 0xefa001),
        meets.format(0x100000, 'the page tables', 0xffa000))
    bad('an initrd larger than memory', elf(), 'an initrd of 16777217 bytes '
        'and room for 16777216; give the Guest more memory',
        initrd=sparse('huge', (16 << 20) + 1))
    bad('an initrd on the boot parameters', elf(), 'the initrd at 0x91000 '
        'would overlap the boot parameters at 0x90000; give the Guest more '
        'memory '
        'or link it elsewhere', initrd=sparse('i1', (16 << 20) - 0x91fff))
    bad('page tables on the boot parameters', elf(), 'the page tables at '
        '0x91000 would overlap the boot parameters at 0x90000; give the Guest '
        'more '
        'memory or link it elsewhere',
        initrd=sparse('i3', (16 << 20) - 0x97000))


def build32():
    try:
        build(LG + '32', '-m32')
        return True
    except subprocess.CalledProcessError:
        skip('32-bit', 'no 32-bit C library here')
        return False


if __name__ == '__main__':      # fuzz_loader.t only wants the images
    try:
        main()
    finally:
        shutil.rmtree(TMP)
    done()
