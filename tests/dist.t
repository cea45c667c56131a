#!/bin/bash
# make dist: the same bytes twice; and a release builds, passes its tests and
# is installed in a Debian that has neither noweb nor TeX. That Debian is a
# minimal tree, made once by debootstrap below build/ from the mirror that apt
# uses here; its own setup installs what the release needs.
B=${B:-build}
n=0 bad=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
out=$dir/out
ok() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		tail -n 25 "$out" | sed 's/^/# /'
		bad=1
	fi
}
skip() { n=$((n + 1)); echo "ok $n # skip $1"; }
end() { echo "1..$n"; exit $bad; }

if [ ! -e .git ] || [ ! -e "$B/book.pdf" ] || [ ! -e "$B/html/index.html" ] ||
		! command -v git > "$out"; then
	echo "1..0 # skip a release is made from git, book and website"
	exit 0
fi

# ---- the tarball -------------------------------------------------------------
rm -f "$B"/lguest-*.tar.gz
make -s dist B="$B" > "$out" 2>&1
ok $? "make dist"
tar=$(ls "$B"/lguest-*.tar.gz)
cp "$tar" "$dir/first.tar.gz"
(umask 077; LC_ALL=C TZ=Asia/Tokyo make -s dist B="$B") > "$out" 2>&1
cmp "$tar" "$dir/first.tar.gz" >> "$out" 2>&1
ok $? "the same bytes again, by somebody else somewhere else"

tar tvzf "$tar" > "$out"
! grep -v '^[-dl]rw[-x]r-[-x]r-[-x] 0/0 .* 2008-07-2[89] \|^l' "$out"
ok $? "no owner, no private file, no time of day"
release=$(basename "$tar" .tar.gz)
for f in lguest.nw src/launcher/main.c lguest.pdf html/index.html COMMIT Makefile setup; do
	grep -q " $release/$f$" "$out" || echo "missing: $f"
done > "$dir/missing"
cp "$dir/missing" "$out"
[ ! -s "$out" ]
ok $? "source, readable tangle, book and commit are in it"

# ---- without noweb, here -------------------------------------------------------
tar xzf "$tar" -C "$dir"
(cd "$dir/$release" && make -s NOWEB_LIB=/nonexistent program book &&
	build/lguest --version) > "$out" 2>&1
ok $? "the release builds without noweb"
commit=$("$dir/$release/build/lguest" --version | sed 's/.*commit \([^ ]*\).*/\1/')
[ "$commit" = "$(cat "$B/.commit")" ]
ok $? "and knows its commit, $commit"
cmp "$dir/$release/build/initrd.tar" "$B/initrd.tar" > "$out" 2>&1
ok $? "its Guest's programs are ours, byte for byte"

# ---- in a minimal Debian --------------------------------------------------------
# The mirror and the proxy are apt's own; no name of a host stands here.
cannot() { skip "a minimal Debian: $1"; end; }
[ "$(id -u)" = 0 ] || cannot "only root can make one"
command -v debootstrap > "$out" || cannot "no debootstrap; ./setup --all"
. /etc/os-release
mirror=$(apt-get indextargets --format '$(CODENAME) $(ORIGIN) $(REPO_URI)' \
	'Created-By: Packages' 2> "$out" |
	awk -v s="$VERSION_CODENAME" '$1 == s && $2 == "Debian" {print $3; exit}')
[ -n "$mirror" ] || cannot "apt has no mirror for $VERSION_CODENAME"
eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
export http_proxy
tree=$PWD/$B/debootstrap
if [ ! -e "$tree/.ready" ]; then
	rm -rf "$tree"
	debootstrap --variant=minbase "$VERSION_CODENAME" "$tree" "$mirror" \
		> "$out" 2>&1 ||
		cannot "debootstrap: $(tail -n 1 "$out")"
	[ -z "$http_proxy" ] || echo "Acquire::http::Proxy \"$http_proxy\";" \
		> "$tree/etc/apt/apt.conf.d/90proxy"
	touch "$tree/.ready"
fi
# A mount namespace of its own, and process ids: whatever happens, nothing stays.
inside() {
	unshare --mount --pid --fork --kill-child --mount-proc="$tree/proc" \
		sh -c 'mount --rbind /dev "$1/dev" && exec chroot "$1" \
		/usr/bin/env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		LC_ALL=C.UTF-8 sh -ec "$2"' sh "$tree" "$1" > "$out" 2>&1
}
inside true || cannot "no namespace: $(tail -n 1 "$out")"
rm -rf "$tree/tmp/$release"
tar xzf "$tar" -C "$tree/tmp"
inside "cd /tmp/$release && ./setup" ||
	cannot "setup: $(tail -n 1 "$out")"
inside '! ls /usr/lib/noweb /usr/bin/lualatex'
ok $? "a minimal Debian, with what setup installs: neither noweb nor TeX"
inside "cd /tmp/$release && make 2>&1"
ok $? "the release builds there"
inside "cd /tmp/$release && make build/attack build/attack.tar lguest32 &&
	tests/run tests/check.t tests/options.t tests/demo.t tests/selftest.t \
	tests/memory.t tests/device.t tests/virtqueue.t tests/install.t"
s=$? result=$(tail -n 1 "$out")
grep -A 5 '^not ok' "$out" > "$dir/bad" && cp "$dir/bad" "$out"
ok $s "passes the program's tests: $result"
inside "cd /tmp/$release && make install && cd / &&
	echo halt | lguest --initrd=/usr/local/lib/lguest/initrd.tar 64 \
	/usr/local/lib/lguest/guest && ls /usr/local/share/doc/lguest/*.pdf &&
	make -C /tmp/$release uninstall && ! ls /usr/local/bin/lguest"
ok $? "is installed, boots its Guest, and goes away"
rm -rf "$tree/tmp/$release"
end
