"""Other machines that can run tests/micro.c, for tests/bench.

Each runs it as process 1 of a Linux and returns {name: microseconds}, or a
string that says why it cannot. They are asked for when they are installed:
user-mode Linux (linux.uml), qemu-system-i386 with a kernel named by
QEMU_KERNEL (a bzImage for the i386 or x86-64), and a Linux Guest of lguest's
own, named by LGUEST_VMLINUX.
"""
import os
import re
import shutil
import subprocess
import tempfile


def newc(path, name, mode, data=b'', device=(0, 0)):
    """One member of a cpio archive, as the kernel's initramfs wants it."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, *device,
              len(name) + 1, 0]
    head = b'070701' + b''.join(b'%08X' % f for f in fields)
    body = head + name.encode() + b'\0'
    body += b'\0' * (-len(body) % 4) + data
    path.write(body + b'\0' * (-len(body) % 4))


def initramfs(program, to):
    """An archive with PROGRAM for /init, and a console."""
    with open(program, 'rb') as f:
        data = f.read()
    with open(to, 'wb') as f:
        newc(f, 'dev', 0o40755)
        newc(f, 'dev/console', 0o20600, device=(5, 1))
        newc(f, 'init', 0o100755, data)
        newc(f, 'TRAILER!!!', 0)


def ask(command, seconds=300):
    try:
        r = subprocess.run(command, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return f'no answer in {seconds} s'
    said = r.stdout.decode('latin-1').replace('\r', '')
    if 'micro begins' not in said or 'micro ends' not in said:
        return (said.strip().splitlines() or ['it said nothing'])[-1]
    said = said.partition('micro begins')[2]
    return {name: float(ns) / 1000 for name, ns in
            re.findall(r'^([a-z0-9 ]+): ([0-9.]+)$', said, re.M | re.I)}


def uml(micro64, _micro32, d):
    if not shutil.which('linux.uml'):
        return 'not installed (Debian: user-mode-linux)'
    initramfs(micro64, f'{d}/uml.cpio')
    with tempfile.TemporaryDirectory() as run:
        return ask(['linux.uml', 'mem=128M', f'initrd={d}/uml.cpio',
                    f'uml_dir={run}', 'con=null', 'con0=fd:0,fd:1', 'quiet',
                    'rdinit=/init'])


def qemu(_micro64, micro32, d):
    if not shutil.which('qemu-system-i386'):
        return 'not installed (Debian: qemu-system-x86)'
    kernel = os.environ.get('QEMU_KERNEL')
    if not kernel:
        return 'QEMU_KERNEL names no kernel for it'
    initramfs(micro32, f'{d}/qemu.cpio')
    return ask(['qemu-system-i386', '-accel', 'tcg', '-m', '256', '-nographic',
                '-no-reboot', '-kernel', kernel, '-initrd', f'{d}/qemu.cpio',
                '-append', 'console=ttyS0 quiet rdinit=/init panic=-1'])


def linux(lguest, options=()):
    def run(_micro64, micro32, d):
        kernel = os.environ.get('LGUEST_VMLINUX')
        if not kernel:
            return 'LGUEST_VMLINUX names no Guest kernel'
        initramfs(micro32, f'{d}/lguest.cpio')
        return ask([lguest, *options, f'--initrd={d}/lguest.cpio', '64',
                    kernel, 'console=hvc0', 'quiet', 'rdinit=/init'])
    return run
