#!/bin/bash
# mkguest.sh - ramdisks hold what was asked for, and equal input makes equal
# bytes, also when two are made at once.
set -eu
. "${0%/*}/../lib.sh"
list() {
	zcat "$1" | cpio -tv --quiet 2>/dev/null
}
make_guest
[ -s "$KERNEL" ] && [ -s "$RAMDISK" ]
list "$RAMDISK" >"$TTD_TMP/list"
for f in init usr/bin/busybox usr/bin/sh 'usr/lib/ttd/.*xen-blkfront.ko' 'usr/lib/ttd/.*xen-netfront.ko'; do
	grep -Eq " $f( |$)" "$TTD_TMP/list" || { echo "no $f in the ramdisk"; exit 1; }
done
if awk '$3 != "root" || $4 != "root"' "$TTD_TMP/list" | grep .; then
	echo "not all files belong to root"
	exit 1
fi

# A second cache that shares only the downloads must come to the same bytes.
cache=$(dirname "$(dirname "$RAMDISK")")
mkdir -p "$TTD_TMP/c"
cp -a "$cache/deb" "$cache/list" "$cache/kernel" "$TTD_TMP/c/"
tools/mkguest -C "$TTD_TMP/c" --output "$TTD_TMP/1" >/dev/null 2>&1 &
one=$!
tools/mkguest -C "$TTD_TMP/c" --output "$TTD_TMP/2" >/dev/null 2>&1
wait $one
cmp "$TTD_TMP/1" "$TTD_TMP/2"
cmp "$TTD_TMP/1" "$RAMDISK"

echo 'echo hello' >"$TTD_TMP/script"
tools/mkguest -C "$TTD_TMP/c" --run "$TTD_TMP/script" --add layers.mk:/root/a/b \
	--output "$TTD_TMP/3" >/dev/null 2>&1
list "$TTD_TMP/3" >"$TTD_TMP/list"
grep -q '^-rwxr-xr-x.* ttd/run$' "$TTD_TMP/list"
grep -q ' root/a/b$' "$TTD_TMP/list"

refuse() {
	if tools/mkguest -C "$TTD_TMP/c" "$@" >"$TTD_TMP/out" 2>&1 ||
		[ "$(wc -l <"$TTD_TMP/out")" -ne 1 ]; then
		echo "mkguest $*:"
		cat "$TTD_TMP/out"
		exit 1
	fi
}
refuse --what
refuse --format rar
refuse --flavour arm64
refuse --kernel /nonexistent
refuse --add layers.mk
refuse --add layers.mk:/../x
refuse --debs 'a;b'
refuse debian --what
refuse debian --size 12
refuse debian --packages 'a;b'
refuse debian --hostname -x
refuse debian --add layers.mk:x/../y

# A system whose own packages come from no archive: what is resolved can be fetched.
cat >"$TTD_TMP/status" <<END
Package: hello
Status: install ok installed
Version: 99:1
Architecture: amd64
Maintainer: nobody
Description: from nowhere
END
echo "Dir::State::status \"$TTD_TMP/status\";" >"$TTD_TMP/apt.conf"
rm -f "$TTD_TMP"/c/deb/hello.deb
APT_CONFIG=$TTD_TMP/apt.conf tools/mkguest -C "$TTD_TMP/c" --debs hello --output "$TTD_TMP/4" >/dev/null
list "$TTD_TMP/4" | grep -q ' usr/bin/hello$'

# Modules that want others loaded before them say so by softdep, and by an alias at that.
tools/mkguest -C "$TTD_TMP/c" --module xfs --module btrfs --module raid456 --output "$TTD_TMP/5" >/dev/null
list "$TTD_TMP/5" | sed -n 's,.*usr/lib/ttd/\([0-9]*-.*\)\.ko$,\1,p' | sort >"$TTD_TMP/list"
before() { # A B: A is loaded first
	[ "$(grep -nm 1 "$1\$" "$TTD_TMP/list" | cut -d: -f1)" -lt "$(grep -nm 1 "$2\$" "$TTD_TMP/list" | cut -d: -f1)" ] ||
		{ echo "$1 is not loaded before $2"; cat "$TTD_TMP/list"; exit 1; }
}
before crc32c-generic libcrc32c
before libcrc32c xfs
before xxhash-generic btrfs
[ -x "$TTD_BUILD/ttd" ] || exit 0
"$TTD_BUILD/ttd" run --kernel "$KERNEL" --ramdisk "$TTD_TMP/5" --clock virtual \
	--extra 'quiet ttd.run="cat /proc/filesystems"' </dev/null >"$TTD_TMP/out" 2>&1
grep -q xfs "$TTD_TMP/out" && grep -q btrfs "$TTD_TMP/out" && ! grep -q 'nknown symbol' "$TTD_TMP/out" ||
	{ echo "modules are not loaded:"; tail -n 20 "$TTD_TMP/out"; exit 1; }
