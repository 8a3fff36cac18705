#!/bin/bash
# mkguest.sh - ramdisks hold what was asked for, and equal input makes equal
# bytes, also when two are made at once.
set -eu
list() {
	zcat "$1" | cpio -tv --quiet 2>/dev/null
}
guest=$(tools/mkguest --print) || { echo "no kernel package to be had"; exit 77; }
eval "$guest"
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
