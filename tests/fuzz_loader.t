#!/usr/bin/python3
"""Twenty seconds of libFuzzer for the loader's parsers and its planner."""
import importlib.machinery, importlib.util, os, re, shutil, subprocess, sys
import tempfile

B = os.environ.get('B', 'build')
T = B + '/t'
SECONDS = os.environ.get('FUZZ_SECONDS', '20')
clang = next((c for c in ('clang', 'clang-19', 'clang-16', 'clang-14')
              if shutil.which(c)), None)
if not clang:
    print('1..0 # SKIP no clang, and so no libFuzzer')
    sys.exit(0)
tmp = tempfile.mkdtemp(prefix='lguest-fuzz.')
flags = ['-O1', '-g', '-std=gnu11', '-fsanitize=fuzzer,address,undefined',
         '-fno-sanitize-recover=all']


def seeds(into):
    """The good images of loader.t, and some that are nearly good."""
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader('loader_t',
                                                  'tests/loader.t')
    t = importlib.util.module_from_spec(
        importlib.util.spec_from_loader('loader_t', loader))
    loader.exec_module(t)
    small = [dict(bytes=b'k' * 64, paddr=0x100000)]
    images = [t.elf(), t.elf(small), t.elf(small * 16),
              t.elf([dict(bytes=b'x', paddr=0xffffffff, memsz=9)]),
              t.bzimage(), t.bzimage(sects=0), t.bzimage(version=0x207),
              t.bzimage(b'p' * 16), t.bzimage(pref=1 << 32)]
    for n, image in enumerate(images):
        with open(f'{into}/{n}', 'wb') as f:
            f.write(image)


try:
    p = subprocess.run([clang, '-fsanitize=fuzzer', '-xc', '-', '-o',
                        tmp + '/probe'], capture_output=True, text=True,
                       input='int LLVMFuzzerTestOneInput(void){return 0;}')
    if p.returncode:
        print(f'1..0 # SKIP {clang} comes without libFuzzer')
        sys.exit(0)
    subprocess.run([clang, *flags, '-I' + T, 'tests/fuzz_loader.c'] +
                   [f'{T}/launcher/{n}.c'
                    for n in ('loader', 'memory', 'options')] +
                   ['-o', tmp + '/fuzz'], check=True)
    os.mkdir(tmp + '/corpus')
    seeds(tmp + '/corpus')
    p = subprocess.run([tmp + '/fuzz', f'-max_total_time={SECONDS}',
                        '-max_len=8192', '-print_final_stats=1',
                        f'-artifact_prefix={tmp}/', tmp + '/corpus'],
                       capture_output=True, text=True)
    runs = re.search(r'number_of_executed_units: (\d+)', p.stderr)
    good = p.returncode == 0 and runs and int(runs[1]) > 10000
    print(f'{"" if good else "not "}ok 1 - any bytes as a kernel')
    print(f'# {runs[1] if runs else "no"} runs in {SECONDS} s')
    if not good:
        print('# ' + p.stderr[-3000:].replace('\n', '\n# '))
    print('1..1')
    sys.exit(not good)
finally:
    shutil.rmtree(tmp)
