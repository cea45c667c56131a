#!/bin/bash
# Fuzzing for a while (FUZZ_SECONDS, 10) what reads a snapshot.
B=${B:-build}
seconds=${FUZZ_SECONDS:-10}
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
echo 1..1
if ! clang -O1 -g -std=gnu11 -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all -I"$B/t" -o "$d/fuzz" tests/fuzz_snapshot.c \
	2> "$d/log"; then
	sed 's/^/# /' "$d/log"
	if echo 'int LLVMFuzzerTestOneInput(const char *p, long n)
		{ return p && n < 0; }' |
		clang -fsanitize=fuzzer -x c -o "$d/no" - 2> /dev/null; then
		echo "not ok 1 - the fuzzer compiles"
		exit 1
	fi
	echo "ok 1 - fuzzing # skip no clang with libFuzzer"
	exit 0
fi
mkdir "$d/corpus"
# A small one that is whole: words, a device, a state, a run of one page.
python3 - "$d/corpus/whole" <<- 'END'
	import struct, sys
	words = b'lguest\0--rng\0\0\0\0'
	words += b'\0' * (-len(words) % 8)
	head = b'lguest snapshot\n' + struct.pack('<QIIIIII', 0, 16, 1,
						  len(words), 1, 3808, 0)
	body = words + bytes(296) + bytes(3808)
	runs = struct.pack('<II', 3, 1) + b'x' * 4096 + struct.pack('<II', 0, 0)
	open(sys.argv[1], 'wb').write(b'\0' + head + body + runs + bytes(8))
END
if "$d/fuzz" -seed=1 -max_total_time="$seconds" -max_len=20000 \
	-rss_limit_mb=0 -print_final_stats=1 -artifact_prefix="$d/" \
	"$d/corpus" > "$d/log" 2>&1; then
	grep 'number_of_executed_units\|cov:' "$d/log" | tail -n 2 | sed 's/^/# /'
	echo "ok 1 - $seconds s of fuzzing"
else
	tail -40 "$d/log" | sed 's/^/# /'
	echo "not ok 1 - $seconds s of fuzzing"
	exit 1
fi
