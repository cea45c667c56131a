#!/bin/bash
# also: sanitizers
# The device page: what is on it, and what a Guest may say about it.
B=${B:-build} T=${B%/asan}/t d=$(mktemp -d) || exit 1
trap 'rm -rf "$d"' EXIT
flags="-O2 -g -std=gnu11 -Wall -Wextra -I$T -I."
if [ "${B%/asan}" != "$B" ]; then
	flags="$flags -fsanitize=address,undefined -fno-sanitize-recover=all"
fi
${CC:-gcc} $flags -o "$d/test" tests/device_test.c "$T"/launcher/{device,virtqueue,waker}.c ||
	{ echo "Bail out! does not compile"; exit 1; }
"$d/test" > "$d/out"
status=$?
grep -v '^1\.\.' "$d/out"
n=$(grep -c '^\(not \)\?ok' "$d/out")
"$d/test" crowd 2>&1 | grep -q 'plain: no room on the device page' || { printf 'not '; status=1; }
echo "ok $((n + 1)) - a page that is full"
"$d/test" 1024 2>&1 | grep -q "plain: file descriptor 1024 is beyond select's" || { printf 'not '; status=1; }
echo "ok $((n + 2)) - a descriptor that select cannot count to"
echo "1..$((n + 2))"
exit $status
