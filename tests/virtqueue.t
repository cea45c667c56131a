#!/bin/bash
# also: sanitizers
# The virtqueue walker on good chains and bad ones, then 20 s of fuzzing.
B=${B:-build} T=${B%/asan}/t d=$(mktemp -d) || exit 1
trap 'rm -rf "$d"' EXIT
flags="-O2 -g -std=gnu11 -Wall -Wextra -I$T -I. -pthread"
if [ "$B" != "$T" ] && [ "${B%/asan}" != "$B" ]; then
	flags="$flags -fsanitize=address,undefined -fno-sanitize-recover=all"
fi
${CC:-gcc} $flags -o "$d/test" tests/virtqueue_test.c \
	"$T/launcher/virtqueue.c" || { echo "Bail out! does not compile"; exit 1; }
if [ "$1" = show ]; then	# only the sentences, for people and for the book
	"$d/test" show
	exit
fi
"$d/test"
