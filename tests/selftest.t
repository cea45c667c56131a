#!/bin/bash
# also: sanitizers
# The Guest examines its Host, and measures it.
B=${B:-build}
count=0 failed=0
out=$(mktemp) err=$(mktemp)
trap 'rm -f "$out" "$err"' EXIT

ok() {			# ok STATUS NAME
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $2"
	else
		echo "not ok $count - $2"
		sed 's/^/# /' "$out" "$err"
		failed=$((failed + 1))
	fi
}

guest() {		# guest MIB WORDS...: sets $status, fills $out and $err
	local mib=$1
	shift
	timeout 60 "$B/lguest" $initrd $gates "$mib" "$B/guest" "$@" \
		</dev/null >"$out" 2>"$err"
	status=$?
	sed -i 's/\r$//' "$out"
}

passes() {		# passes NAME
	[ $status = 0 ]
	ok $? "$1: exit status 0"
	grep -Eq '^[0-9]{3,} passed, 0 failed$' "$out"
	ok $? "$1: 0 failed"
	! grep -q FAILED "$out"
	ok $? "$1: no complaint"
	[ ! -s "$err" ]
	ok $? "$1: nothing on stderr"
}

initrd= gates=
guest 64 selftest
passes "without an initrd"
initrd=--initrd=$B/initrd.tar
guest 64 selftest
passes "selftest"
for subject in 'traps in the kernel' 'ring of hypercalls' 'isolation' \
	'processes'; do
	grep -Eq "^$subject *: ok, [0-9]+ checks$" "$out"
	ok $? "subject $subject"
done
gates=--gates=off
guest 64 selftest
passes "without gates"
gates=--gates=on
guest 16 selftest
passes "with 16 MiB"
guest 512 selftest
passes "with 512 MiB"

guest 64 selftest=fail
[ $status = 1 ]
ok $? "a failing check: exit status 1"
grep -Eq '^[0-9]+ passed, 1 failed$' "$out"
ok $? "a failing check: counted"
grep -q 'FAILED: a check that was asked to fail' "$out"
ok $? "a failing check: named"
grep -qx 'lguest: the Guest died: selftest: 1 failed' "$err"
ok $? "a failing check: the Launcher's line"

dies() {		# dies HOW PATTERN: the Guest must, with these last words
	guest 64 "selftest=die-$1"
	[ $status = 1 ] && [ "$(wc -l <"$err")" = 1 ] &&
		grep -Eq "^lguest: the Guest died: .*$2" "$err"
	ok $? "last words: $1"
}

dies call 'hypercall 99 at eip c01'
dies twice 'twice'
dies stack 'stack selector 7b'
dies gate 'gate 130 has type 5'
dies segment 'segment 32'
dies tls 'address eeeee000'
dies directory 'page directory at eeeee000'
dies table 'page table at eeeee00'
dies page 'page eeeee000 mapped at 804d000'
dies large 'large page at f8000000'
dies trap 'trap 6, error 0, at eip c01[0-9a-f]+ .*eax .*esp '
dies esp 'stack at f7fffffc is not mapped'
dies low 'address 1000;'

guest 64 bench
[ $status = 0 ]
ok $? "bench: exit status 0"
rows=$(grep -Ec ' [0-9]+\.[0-9]{3}$' "$out")
[ "$rows" = 10 ]
ok $? "bench: ten rows with a figure each"
! grep -Eq ' 0\.000$' "$out"
ok $? "bench: none of them zero"

echo "1..$count"
[ $failed = 0 ]
