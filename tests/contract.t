#!/bin/bash
# The contract has one layout, whether it is compiled for 32 bits or for 64.
B=${B:-build} T=${B%/asan}/t d=$(mktemp -d) || exit 1
trap 'rm -rf "$d"' EXIT
n=0

# bits, expression: its value (plus one, as an array cannot have no bytes)
value() {
	printf '#include "contract/lguest.h"\nchar value[%s + 1];\n' "$2" |
		${CC:-gcc} -m"$1" -ffreestanding -fno-common -std=gnu11 -I"$T" \
		-xc -c -o "$d/value.o" - || return
	echo $((0x$(nm -S "$d/value.o" | awk '$4 == "value" { print $2 }') - 1))
}

# what it is called, what it must be, expression
check() {
	local narrow wide
	narrow=$(value 32 "$3") wide=$(value 64 "$3")
	n=$((n + 1))
	if [ "$narrow" = "$2" ] && [ "$wide" = "$2" ]; then
		echo "ok $n - $1: $2"
	else
		echo "not ok $n - $1: $2 wanted, $narrow and $wide found"
	fi
}

offset() { check "$2 in $1" "$3" "__builtin_offsetof(struct $1, $2)"; }
bytes() { check "bytes of $1" "$2" "sizeof(struct $1)"; }

offset lguest_data irq_pending 20
offset lguest_data hcall_status 24
offset lguest_data hcalls 88
offset lguest_data reserve_mem 1368
offset lguest_data syscall_vec 1388
bytes lguest_device_desc 5
bytes lguest_vqconfig 8
bytes vring_desc 16
offset vring_avail ring 4
offset vring_used ring 4
bytes vring_used_elem 8
echo "1..$n"
