#!/bin/bash
# Random words for --tunnet and a random driver for its device, under sanitizers. FUZZ_SECONDS
# says for how long (20).
T=${B:-build}/t d=$(mktemp -d) seconds=${FUZZ_SECONDS:-20}
trap 'rm -rf "$d"' EXIT
echo 1..1
if ! clang -O1 -g -std=gnu11 -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all -I"$T" -o "$d/fuzz" tests/fuzz_net.c \
	"$T/launcher/virtqueue.c" 2> "$d/log"; then
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
# Words, and a driver: two buffers of 1524 bytes, one frame in, one out.
printf -- '-10.0.0.1/24:02:00:00:00:00:05' > "$d/corpus/address"
printf -- '-bridge:br0:02:00:00:00:00:05' > "$d/corpus/bridge"
printf -- '-tap:guest0' > "$d/corpus/tap"
printf '\150\1\0\240\1\0\311\0\0\310\3\0\315\0\0\150\2\1\240\2\1\313\0\0' \
	> "$d/corpus/driver"
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
