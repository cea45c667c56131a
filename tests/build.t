#!/bin/bash
# The program builds in all the ways it promises to, without a warning (which
# would be an error), and what is made twice is the same twice.
B=${B:-build}
n=0 bad=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
ok() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		sed 's/^/# /' "$dir/out" | tail -n 20
		bad=1
	fi
}
skip() { n=$((n + 1)); echo "ok $n # skip $1"; }
build() { make -s "$@" > "$dir/out" 2>&1; }

build B="$dir/gcc" CC=gcc program
ok $? "gcc builds all of it"
if command -v clang > /dev/null; then
	build B="$dir/clang" CC=clang program "$dir/clang/lguest32"
	ok $? "so does clang"
	"$dir/clang/lguest" --initrd="$dir/clang/initrd.tar" 64 \
		"$dir/clang/guest" selftest > "$dir/out" 2>&1 < /dev/null
	ok $? "and what it built passes the selftest"
else
	skip "clang: not installed; ./setup --all does it"
	skip "clang's selftest: the same"
fi
build B="$dir/gcc" CC=gcc LDFLAGS=-static "$dir/gcc/lguest" &&
	! readelf -l "$dir/gcc/lguest" | grep -q INTERP
ok $? "LDFLAGS=-static is honoured"
"$dir/gcc/lguest" --initrd="$dir/gcc/initrd.tar" 64 "$dir/gcc/guest" \
	selftest > "$dir/out" 2>&1 < /dev/null
ok $? "and what it linked runs a Guest"
cmp "$dir/gcc/initrd.tar" "$B/initrd.tar" > "$dir/out" 2>&1
ok $? "initrd.tar has the same bytes, built elsewhere"
tar tvf "$B/initrd.tar" > "$dir/out" 2>&1 &&
	! grep -v ' 0/0 .* 2008-07-29 ' "$dir/out"
ok $? "it names no owner and no time of day"

file=$(readelf -h "$B/guest" 2> "$dir/out")
grep -q ELF32 <<< "$file" && grep -q EXEC <<< "$file"
ok $? "the Guest is a 32-bit executable"
if [ -e "$B/lguest32" ]; then
	readelf -h "$B/lguest32" | grep -q ELF32
	ok $? "lguest32 is a 32-bit program"
else
	skip "lguest32: not built"
fi
if [ -e "$B/lguest-musl" ]; then
	! readelf -l "$B/lguest-musl" | grep -q INTERP
	ok $? "lguest-musl is static"
	"$B/lguest-musl" --initrd="$B/initrd.tar" 64 "$B/guest" selftest \
		> "$dir/out" 2>&1 < /dev/null
	ok $? "and runs a Guest"
else
	skip "lguest-musl: not built"
	skip "what it runs: not built"
fi
echo "1..$n"
exit $bad
