#!/bin/bash
# Fuzzing for a while (FUZZ_SECONDS, 10) the stub that a debugger talks to.
B=${B:-build}
seconds=${FUZZ_SECONDS:-10}
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
echo 1..1
if ! clang -O1 -g -std=gnu11 -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all -I"$B/t" -o "$d/fuzz" tests/fuzz_gdb.c \
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
n=0
for orders in '$?#$g#$m3000,20#' '$P8=78563412#$G00112233445566778899#' \
	'$M3000,2:cafe#$mc0000100,4#' '$Z0,3000,1#!$z0,3000,1#' \
	'$Z2,3000,4#$c#!$M3000,1:00#!' '$qSupported:x#$Hg0#$s3004#$D#'; do
	n=$((n + 1))
	printf '\0\0%s' "$orders" > "$d/corpus/$n"
done
if "$d/fuzz" -seed=1 -max_total_time="$seconds" -max_len=2048 -rss_limit_mb=0 \
	-print_final_stats=1 -artifact_prefix="$d/" "$d/corpus" \
	> "$d/log" 2>&1; then
	grep 'number_of_executed_units' "$d/log" | sed 's/^/# /'
	echo "ok 1 - $seconds s of fuzzing"
else
	tail -40 "$d/log" | sed 's/^/# /'
	echo "not ok 1 - $seconds s of fuzzing"
	exit 1
fi
