"""What the fuzz_*.t share: a libFuzzer target, its corpus, and twenty seconds.

A corpus is a text file, tests/corpus/NAME: an input a line, in hexadecimal.
FUZZ_SECONDS says for how long to search (20). FUZZ_KEEP=1 writes what was
found into the corpus, minimised.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

T = os.environ.get('B', 'build') + '/t'
SECONDS = os.environ.get('FUZZ_SECONDS', '20')
FLAGS = ['-O1', '-g', '-std=gnu11', '-fsanitize=fuzzer,address,undefined',
         '-fno-sanitize-recover=all', f'-I{T}', '-I.']
EMPTY = ('#include <stddef.h>\n#include <stdint.h>\n'
         'int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);\n'
         'int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)\n'
         '{ return p && n > (size_t)-2; }\n')


def comment(text):
    for line in text.splitlines():
        print('# ' + line)


def why_not(flags, d):
    """Why there is no libFuzzer here, or nothing."""
    if not shutil.which('clang'):
        return 'no clang; ./setup --all installs it'
    r = subprocess.run(['clang', *FLAGS, *flags, '-xc', '-', '-o', d + '/no'],
                       input=EMPTY, text=True, capture_output=True)
    return r.returncode and f'clang {" ".join(flags)} without libFuzzer'


def unpack(corpus, into):
    os.mkdir(into)
    with open(corpus) as f:
        for n, line in enumerate(f):
            with open(f'{into}/{n}', 'wb') as out:
                out.write(bytes.fromhex(line))


def keep(program, corpus, found, d, options):
    """The smallest part of what was found that covers as much."""
    os.mkdir(d + '/least')
    subprocess.run([program, '-merge=1', *options, d + '/least', found],
                   check=True, capture_output=True)
    inputs = []
    for path in glob.glob(d + '/least/*'):
        with open(path, 'rb') as f:
            inputs.append(f.read())
    with open(corpus, 'w') as f:
        for data in sorted(inputs, key=lambda i: (len(i), i)):
            f.write(data.hex() + '\n')


def fuzz(name, about, *sources, flags=(), longest=2048):
    """Runs tests/fuzz_NAME.c with sources of T; exits as a test does."""
    d = tempfile.mkdtemp(prefix='lguest-fuzz.')
    try:
        sys.exit(run(name, about, sources, list(flags), longest, d))
    finally:
        shutil.rmtree(d)


def run(name, about, sources, flags, longest, d):
    program, corpus = d + '/fuzz', f'tests/corpus/{name}'
    options = [f'-max_len={longest}', '-rss_limit_mb=0', '-timeout=60',
               '-close_fd_mask=1']
    print('1..1', flush=True)
    if why := why_not(flags, d):
        print(f'ok 1 - {about} # skip {why}')
        return 0
    r = subprocess.run(['clang', *FLAGS, *flags, f'tests/fuzz_{name}.c',
                        *(f'{T}/{s}' for s in sources), '-o', program],
                       text=True, stderr=subprocess.PIPE)
    if r.returncode:
        print('not ok 1 - the fuzzer compiles')
        comment(r.stderr)
        return 1
    unpack(corpus, d + '/corpus')
    r = subprocess.run(
        [program, f'-max_total_time={SECONDS}', '-print_final_stats=1',
         *options, f'-artifact_prefix={d}/bad-', d + '/corpus'],
        stderr=subprocess.PIPE, text=True, errors='replace')
    runs = re.search(r'number_of_executed_units: (\d+)', r.stderr)
    good = r.returncode == 0 and runs
    print(f'{"" if good else "not "}ok 1 - {about}: {SECONDS} s of fuzzing')
    comment(f'{runs[1] if runs else "no"} runs')
    if not good:
        comment(r.stderr[-4000:])
        for path in glob.glob(d + '/bad-*'):
            with open(path, 'rb') as f:
                comment('the input: ' + f.read().hex())
    elif os.environ.get('FUZZ_KEEP'):
        keep(program, corpus, d + '/corpus', d, options)
    return not good
