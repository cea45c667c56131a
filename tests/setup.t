#!/bin/bash
# setup: what it would do, seen without doing it. apt-get and the rest are
# doubles in a directory of our own, which say what they were asked.
n=0 bad=0
ok() {	# status description
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		bad=1
		sed 's/^/# /' "$dir/out"
	fi
}
says() { grep -q -- "$1" "$dir/out"; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

double() {	# name, body
	printf '#!/bin/bash\n%s\n' "$2" > "$dir/$1"
	chmod +x "$dir/$1"
}
double dpkg-query "cat '$dir/installed'; exit 1"
double apt-get "echo \"apt-get \$*\" >> '$dir/asked'
[ \"\$1\" != update ] || echo yes > '$dir/lists'"
double apt-cache "[ -e '$dir/lists' ] && echo \"\$2 | 1.0 | here\""
double npm "echo \"npm \$*\" >> '$dir/asked'"
double cmp 'exit 1'		# the libraries are never those we want
double cp ''
double id "echo \${FAKE_ID-0}"
double sudo "echo sudo >> '$dir/asked'; exec \"\$@\""

fresh() { rm -f "$dir/asked" "$dir/lists"; : > "$dir/asked"; : > "$dir/installed"; }
setup() { PATH="$dir:$PATH" ./setup "$@" > "$dir/out" 2>&1; }

fresh; setup; s=$?
ok $s "a fresh machine is set up"
grep -q '^apt-get update' "$dir/asked"
ok $? "it fetches the package lists when there are none"
grep -q '^apt-get install.* noweb' "$dir/asked"
ok $? "it installs noweb"
says 'installing.*noweb'
ok $? "and says so"
! grep -q 'texlive\|^npm' "$dir/asked"
ok $? "the demonstration needs no TeX, and nothing of npm"
! grep -q '^sudo' "$dir/asked"
ok $? "root needs no sudo"

: > "$dir/asked"; setup --all
! grep -q '^apt-get update' "$dir/asked"
ok $? "lists that are there are not fetched again"
grep -q 'texlive-luatex' "$dir/asked"
ok $? "--all installs TeX"
grep -q '^npm ci .*--ignore-scripts' "$dir/asked"
ok $? "and the libraries that a lock file names"

double apt-cache "[ -e '$dir/lists' ] && echo \"\$2 | 1.0 | here\"
[ \"\$1\" != depends ] || echo '  Depends: linux-image-9.9-cloud-amd64'"
: > "$dir/asked"
PATH="$dir:$PATH" B=$(realpath --relative-to . "$dir")/b \
	./setup --all > "$dir/out" 2>&1; s=$?
[ $s = 0 ] && grep -q '^apt-get download.*linux-image-9.9' "$dir/asked" &&
	says 'no kernel; tests/qemu.t will be skipped'
ok $? "--all fetches a kernel for the tests, and can do without"
: > "$dir/asked"
PATH="$dir:$PATH" B=$(realpath --relative-to . "$dir")/b \
	./setup --minimal > "$dir/out" 2>&1
! grep -q download "$dir/asked"
ok $? "others do not"

fresh; FAKE_ID=1000 setup
grep -q '^sudo' "$dir/asked"
ok $? "others use sudo"

fresh
mv "$dir/sudo" "$dir/hidden"
if [ -x /usr/bin/sudo ] || [ -x /bin/sudo ]; then
	n=$((n + 1))
	echo "ok $n # skip no sudo: this machine has one"
else
	FAKE_ID=1000 setup; s=$?
	[ $s = 1 ] && says 'as root, run' && [ ! -s "$dir/asked" ]
	ok $? "without sudo it says what to do, and does nothing"
fi
mv "$dir/hidden" "$dir/sudo"

fresh
for p in make gcc libc6-dev gcc-multilib python3; do
	echo "ii $p"
done > "$dir/installed"
touch "$dir/lists"
setup --minimal
grep -qx 'apt-get install -y -qq --no-install-recommends noweb' "$dir/asked"
ok $? "it installs what is missing, nothing else"

echo 'ii noweb' >> "$dir/installed"
: > "$dir/asked"; setup --minimal; s=$?
[ $s = 0 ] && says 'nothing to install' && [ ! -s "$dir/asked" ]
ok $? "a second time there is nothing to do"

setup --nonsense; s=$?
[ $s = 1 ] && says usage
ok $? "an unknown option explains the others"
echo "1..$n"
exit $bad
