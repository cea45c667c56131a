#!/bin/bash
# also: sanitizers
# The Guest's memory, private and shared, 64 bits and 32.
B=${B:-build} CC=${CC:-gcc}
top=${B%/asan}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
flags="-std=gnu11 -O1 -g -Wall -Wextra -I$top/t -I."
src="tests/memory_test.c $top/t/launcher/memory.c"
san=
[ "$B" != "$top" ] && san="-fsanitize=address,undefined \
	-fno-sanitize-recover=all"
n=0 failed=0
say() { n=$((n + 1)); echo "$1 $n - $2"; [ "$1" = ok ] || failed=1; }
each() {	# prefix, command...
	local what=$1 line whole=no
	shift
	while read -r line; do
		case $line in
		ok*) say ok "$what:${line#*-}" ;;
		not*) say "not ok" "$what:${line#*-}" ;;
		1..*) whole=yes ;;
		*) echo "$line" ;;
		esac
	done < <("$@")
	[ $whole = yes ] || say "not ok" "$what: ended early"
}

if $CC $flags $san $src -o "$tmp/lguest"; then
	each private "$tmp/lguest" private
	each shared "$tmp/lguest" shared
	"$tmp/lguest" private more > /dev/null 2> "$tmp/err"
	s=$?
	want="lguest: device pages: 1 wanted and 0 left of 256; use fewer devices"
	[ $s = 1 ] && [ "$(cat "$tmp/err")" = "$want" ] &&
		say ok "a page too many" || {
		say "not ok" "a page too many: status $s"; sed 's/^/# /' "$tmp/err"; }
else
	say "not ok" "compiles"
fi
if [ -z "$san" ]; then	# a sanitizer's shadow wants more than the limit
	(ulimit -v 1000000; exec "$B/lguest" 2047 "$B/guest") \
		< /dev/null > "$tmp/out" 2> "$tmp/err"
	s=$?
	want="lguest: Guest memory: cannot map 2047 MiB: Cannot allocate memory; give it less"
	[ $s = 1 ] && [ "$(cat "$tmp/err")" = "$want" ] &&
		say ok "no room for 2047 MiB" || {
		say "not ok" "no room for 2047 MiB: status $s"
		sed 's/^/# /' "$tmp/err"; }
fi
if echo 'int main(void){return 0;}' | $CC -m32 -xc - -o "$tmp/t" 2>/dev/null
then
	$CC -m32 $flags $src -o "$tmp/lguest32" &&
		each "32 bits" "$tmp/lguest32" private ||
		say "not ok" "32 bits: compiles"
else
	n=$((n + 1)); echo "ok $n - 32 bits # SKIP no 32-bit C library here"
fi
echo "1..$n"
exit $failed
