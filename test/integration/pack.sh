#!/bin/bash
# pack.sh - a packed trace replays after its kernel, its ramdisk and its folder
# are gone; packs that are damaged or cut, and bad words, are refused.
set -u
. "${0%/*}/../lib.sh"
make_guest
export XDG_CACHE_HOME=$TTD_TMP/cache
out=$TTD_TMP/out

evidence() {
	tail -n 20 "$out"
}
# expect STATUS TEXT WORD...
expect() {
	local status=$1 text=$2 rc
	shift 2
	"$ttd" "$@" </dev/null >"$out" 2>&1
	rc=$?
	[ $rc -eq "$status" ] || wrong "ttd $*: exit $rc, not $status"
	[ -z "$text" ] || grep -q -- "$text" "$out" || wrong "ttd $*: no '$text'"
}

mkdir "$TTD_TMP/files"
cp "$KERNEL" "$TTD_TMP/files/linux"
cp "$RAMDISK" "$TTD_TMP/files/initrd"
expect 0 'recorded' record -o one --kernel "$TTD_TMP/files/linux" --ramdisk "$TTD_TMP/files/initrd" \
	--clock virtual --extra 'quiet ttd.run="head -c 100 /dev/urandom | md5sum"'
sum=$(grep -o '^[0-9a-f]\{32\}' "$out")
expect 0 'needs *kernel .*/files/linux: is there' info one
pack=$TTD_TMP/one.ttd
expect 0 'packed .* bytes into' pack one -o "$pack"
expect 2 'exists already' pack one -o "$pack"
expect 0 '' pack one -o "$pack" --force
expect 0 'holds *kernel: kernel, [0-9]* bytes' info "$pack"
expect 0 '"holds":\[{"name":"ttd.log.guest","kind":"log"' info "$pack" --json

# All is gone but the pack, which has moved.
rm -r "$TTD_TMP/files" "$TTD_TRACE_DIR" "$XDG_CACHE_HOME"
mkdir "$TTD_TMP/else"
mv "$pack" "$TTD_TMP/else/x"
pack=$TTD_TMP/else/x
expect 0 "^$sum" replay "$pack"
expect 0 'verified to its end' replay "$pack" --verify
"$TTD_BUILD/ttd-read-log" -f "$pack" -i >"$out" 2>&1
grep -q 'TTD_HYPERCALL.*at:' "$out" || wrong "ttd-read-log does not read a packed trace"
expect 0 'unpacked .*/traces/one' unpack "$pack"
expect 1 'exists already' unpack "$pack"
expect 0 "^$sum" replay one
expect 0 'needs *kernel .*/traces/one/kernel: is there' info one
expect 0 '' rm one
[ ! -e "$TTD_TRACE_DIR/one" ] || wrong "ttd rm leaves something of an unpacked trace"
expect 0 'unpacked' unpack "$pack" -C "$TTD_TMP/deep/er"
expect 0 'packed' pack "$TTD_TMP/deep/er/one" -o "$TTD_TMP/again.ttd"
cmp -s <("$ttd" info "$TTD_TMP/again.ttd" | grep holds) <("$ttd" info "$pack" | grep holds) ||
	wrong "packing again gives something else"

# What is not right.
expect 1 'No such file' unpack "$TTD_TMP/nothing"
expect 5 'not a packed trace\|cut short' unpack "$0"
expect 2 'name a packed trace' unpack
expect 2 'one trace at a time' unpack a b
expect 1 'No such file' pack nothing
head -c 1000000 "$pack" >"$TTD_TMP/cut"
expect 5 'cut short' replay "$TTD_TMP/cut"
cp "$pack" "$TTD_TMP/spoilt"
printf 'xxxx' | dd of="$TTD_TMP/spoilt" bs=1 seek=500000 conv=notrunc 2>/dev/null
expect 5 'damaged at offset' replay "$TTD_TMP/spoilt"
expect 5 'damaged at offset' unpack "$TTD_TMP/spoilt" -C "$TTD_TMP/spoilt.dir"
[ -z "$(ls -A "$TTD_TMP/spoilt.dir")" ] || wrong "a damaged pack leaves files"
expect 1 'cannot write' pack "$TTD_TMP/deep/er/one" -o /nonexistent/x.ttd
exit $bad
