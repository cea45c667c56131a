#!/bin/bash
# also: sanitizers
# host/dev.c, word by word: 64-bit and, with a 32-bit C library, as it was.
B=${B:-build} CC=${CC:-gcc}
top=${B%/asan}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
wrap=$(printf -- '-Wl,--wrap=%s ' open access write pread close)
flags="-std=gnu11 -O1 -g -Wall -Wextra -U_FORTIFY_SOURCE"
[ "$B" != "$top" ] && san="-fsanitize=address,undefined \
	-fno-sanitize-recover=all"

build() {	# output, more flags
	$CC $flags $2 -Itests/dev_double -I"$top/t" -I. tests/dev_test.c \
	  "$top/t/host/dev.c" $wrap -o "$1"
}

n=0 failed=0
take() {	# prefix; counts on over several programs
	local line whole=no
	while read -r line; do
		case $line in
		1..*) whole=yes ;;
		ok*|not\ ok*)
			n=$((n + 1))
			[ "${line#not}" = "$line" ] || failed=1
			echo "${line%%ok *}ok $n - $1:${line#*-}" ;;
		*) echo "$line" ;;
		esac
	done < <("$2"; echo "status $?" > "$tmp/status")
	[ $whole = yes ] || {
		n=$((n + 1)) failed=1
		echo "not ok $n - $1: ended early, $(cat "$tmp/status")"; }
}

mkdir "$tmp/64" "$tmp/32"
build "$tmp/64/lguest" "$san" && take "64 bits" "$tmp/64/lguest" || {
	n=$((n + 1)) failed=1; echo "not ok $n - 64 bits: compiles"; }
if echo 'int main(void){return 0;}' | $CC -m32 -xc - -o "$tmp/t" 2>/dev/null
then
	build "$tmp/32/lguest" -m32 && take "32 bits" "$tmp/32/lguest" || {
		n=$((n + 1)) failed=1; echo "not ok $n - 32 bits: compiles"; }
else
	n=$((n + 1))
	echo "ok $n - 32 bits # SKIP no 32-bit C library here"
fi

# What the whole 32-bit Launcher asks of the kernel until /dev/lguest would
# begin a Guest. (That a C library of today makes pipes with pipe2 and looks at
# files with statx is its own affair; one of 2008 does not.)
old="asks nothing that Linux 2.6.27 lacks"
n=$((n + 1))
if [ ! -x "$top/lguest32" ] || ! command -v strace > /dev/null; then
	echo "ok $n - $old # SKIP no lguest32, or no strace"
else
	truncate -s 4096 "$tmp/disk"
	strace -f -o "$tmp/trace" "$top/lguest32" --host=dev:/dev/null \
		--initrd="$top/initrd.tar" --block="$tmp/disk" --rng="$tmp/disk" \
		64 "$top/guest" < /dev/null > "$tmp/out" 2>&1
	new=$(grep -Eo "$(printf '%s|' memfd_create pidfd_ clone3 close_range \
		preadv pwritev epoll_create1 eventfd2 signalfd4 dup3 \
		accept4 landlock)seccomp" "$tmp/trace" | sort -u)
	if grep -q 'a word was due' "$tmp/out" && grep -q 'clone(' "$tmp/trace" &&
	   [ -z "$new" ]; then
		echo "ok $n - $old"
	elif ! grep -q execve "$tmp/trace"; then
		echo "ok $n - $old # SKIP strace may not trace"
	else
		failed=1; echo "not ok $n - $old"
		sed 's/^/# /' "$tmp/out"; echo "# $new"
	fi
fi
echo "1..$n"
exit $failed
