#!/usr/bin/python3 -B
"""Other processors and another kernel: Debian's own, in an emulated machine.

The Guest's selftest, and attacks that depend on the processor, run under
qemu-system-x86_64 without any help of this machine's processor, on a model of
Intel's and on one of AMD's; as root, and as a user who may not map the lowest
64 KiB. ./setup --all fetches what it needs; without it everything is skipped,
unless CHECK_QEMU=1.

LIMIT_QEMU: seconds for one machine, 400. KEEP=DIR leaves what was printed.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tap

B = os.environ.get('B', 'build')
KERNEL = f'{B}/debian/vmlinuz'
LIMIT = float(os.environ.get('LIMIT_QEMU', '400'))
# QEMU before 9.1 takes a program's iret for an access of the kernel's, which
# a processor with SMAP forbids; it says so with an oops.
MODELS = {'Intel': 'Haswell,-smap', 'AMD': 'EPYC,-smap'}
# The same QEMU takes the push of a far call in user mode for the kernel's: a
# gate that is called on a stack whose page is not there yet ends in an oops.
SELFTEST = '/lguest --gates=off --initrd=/initrd.tar 64 /guest selftest'
# The emulator checks neither limits of segments nor that there is one.
KNOWN = 'FAILED: null segment: vector 0xe instead of 0xd'
ATTACKS = ['far', 'calls', 'doors', 'syscall32', 'sysenter', 'vsyscall',
           'maps', 'hosttext', 'codesegments', 'descriptors', 'flags',
           'align', 'steps', 'privileged', 'reach', 'reachlow', 'orders',
           'userint', 'userflags', 'userselectors', 'oracle', 'mxcsr',
           'userlow', 'avx']
# With Intel's model it makes the call that Intel's processors do not know, by
# way of a register that the kernel has therefore left at zero, and panics.
# And it has no fault for misaligned words, so that nothing is to be mended.
NOT_ON = {('Intel', 'syscall32'), ('Intel', 'align'), ('AMD', 'align')}


def lacking():
    for tool in ('qemu-system-x86_64', 'cpio', 'musl-gcc'):
        if not shutil.which(tool):
            return f'no {tool} here'
    for file in (KERNEL, f'{B}/lguest-musl', f'{B}/attack'):
        if not os.path.exists(file):
            return f'no {file} here'
    return None


def attacks(who):
    return [name for name in ATTACKS if (who, name) not in NOT_ON]


def initramfs(d, who):
    """A root with nothing in it but Launcher, Guests and a first process."""
    root = f'{d}/root'
    shutil.rmtree(root, ignore_errors=True)
    os.mkdir(root)
    subprocess.run(['musl-gcc', '-static', '-O1', '-Wall', '-Werror', '-o',
                    f'{root}/init', 'tests/qemu_init.c'], check=True)
    for file in ('guest', 'initrd.tar', 'attack'):
        shutil.copy(f'{B}/{file}', root)
    shutil.copy(f'{B}/lguest-musl', f'{root}/lguest')
    with open(f'{root}/run', 'w') as f:
        f.write('verbose 0 /lguest --verbose 64 /attack far\n')
        for user, uid in (('root', 0), ('user', 1000)):
            f.write(f'selftest-{user} {uid} {SELFTEST}\n')
        for name in attacks(who):
            f.write(f'{name} 1000 /lguest 64 /attack {name}\n')
    files = sorted(os.path.basename(p) for p in glob.glob(f'{root}/*'))
    with open(f'{d}/initramfs', 'wb') as f:
        subprocess.run(['cpio', '-o', '-H', 'newc', '--quiet'], cwd=root,
                       input='\n'.join(files).encode(), stdout=f, check=True)


def boot(d, model):
    """What the machine has printed, command by command."""
    q = subprocess.Popen(
        ['qemu-system-x86_64', '-M', 'q35', '-accel', 'tcg', '-cpu', model,
         '-m', '512', '-nographic', '-no-reboot', '-net', 'none',
         '-kernel', KERNEL, '-initrd', f'{d}/initramfs',
         '-append', 'console=ttyS0 quiet panic=-1 rdinit=/init'],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    try:
        text = q.communicate(timeout=LIMIT)[0]
    except subprocess.TimeoutExpired:
        q.kill()
        text = q.communicate()[0] + b'\n(no end; killed)'
    text = text.decode('latin1').replace('\r', '')
    if 'KEEP' in os.environ:
        with open(f'{os.environ["KEEP"]}/{model}', 'w') as f:
            f.write(text)
    return text


def judge(who, text):
    parts = {m[1]: (int(m[3]), m[2]) for m in re.finditer(
        r'^BEGIN (\S+)\n(.*?)^END \1 (\d+)$', text, re.M | re.S)}
    tap.ok('INIT done' in text and 'BUG:' not in text,
           f'{who}: the machine has come to its end', text[-1500:])
    nothing = (-1, 'it was not reached')
    for user in ('root', 'user'):
        status, said = parts.get(f'selftest-{user}', nothing)
        selftest(f'{who}: selftest as {user}', status, said)
    said = parts.get('verbose', nothing)[1]
    tap.ok('Landlock, version' in said and 'a filter' in said,
           f'{who}: the sandbox is whole', said)
    for name in attacks(who):
        status, said = parts.get(name, nothing)
        tap.ok(status == 256 and said.endswith('the Guest died: held\n\n'),
               f'{who}: {name}', said[-500:])


def selftest(what, status, said):
    count = re.search(r'^(\d+) passed, (\d+) failed$', said, re.M)
    wrong = re.findall(r'^ *(FAILED: .*)$', said, re.M)
    if wrong == [KNOWN] and count and int(count[1]) > 600:
        tap.ok(count[2] == '1', f'{what}: {count[0]}')
        tap.skip(f'{what}: null segment', "QEMU's processor checks no limits")
    else:
        tap.ok(status == 0 and count and count[2] == '0',
               f'{what}: {count and count[0]}', wrong, said[-500:])


def main():
    lack = lacking()
    if lack and 'CHECK_QEMU' in os.environ:
        tap.ok(False, f'{lack}; ./setup --all, make lguest-musl build/attack')
    elif lack:
        tap.skip('another kernel and other processors', lack)
    else:
        d = tempfile.mkdtemp(prefix='lguest-qemu.')
        try:
            for who, model in MODELS.items():
                initramfs(d, who)
                judge(who, boot(d, model))
        finally:
            shutil.rmtree(d)
    tap.done()


if __name__ == '__main__':
    sys.exit(main())
