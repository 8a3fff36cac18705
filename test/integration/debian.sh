#!/bin/bash
# debian.sh - a whole Debian with systemd, disk and network boots without a
# failed unit, is recorded, packed, and replayed from the pack alone; and what
# it wrote is there when its disk is looked at.
set -u
. "${0%/*}/../lib.sh"
guest=$(tools/mkguest debian --print) || { echo "no image of Debian can be made here"; exit 77; }
eval "$guest"
PATH=$PATH:/usr/sbin:/sbin
export XDG_CACHE_HOME=$TTD_TMP/cache
out=$TTD_TMP/out

evidence() {
	tail -n 30 "$out"
}
has() {
	grep -q -- "$1" "$out" || wrong "no '$1' in the output"
}

# The image and the rest, where they can go away.
mkdir "$TTD_TMP/files"
for f in KERNEL RAMDISK IMAGE; do
	ln "${!f}" "$TTD_TMP/files/$f" 2>/dev/null || cp --sparse=always "${!f}" "$TTD_TMP/files/$f"
done
run='systemctl is-system-running --wait; systemctl --failed --no-legend; networkctl -n 0 --no-pager;
	echo written >/root/file; sync; md5sum /usr/bin/dpkg'
timeout 600 "$ttd" record -o one --kernel "$TTD_TMP/files/KERNEL" --ramdisk "$TTD_TMP/files/RAMDISK" \
	--memory 512 --disk "$TTD_TMP/files/IMAGE,raw,xvda,w" --vif user \
	--extra "root=/dev/xvda quiet systemd.show_status=false ttd.run=\"${run//$'\n\t'/ }\"" \
	</dev/null >"$out" 2>&1 || wrong "record: exit $?"
has '^running'
has 'enX0 *ether *routable'
has '/usr/bin/dpkg'
has 'ttd.run: exit status 0'

"$ttd" export one xvda "$TTD_TMP/image" >"$out" 2>&1 || wrong "export: exit $?"
e2fsck -fn "$TTD_TMP/image" >"$out" 2>&1 || wrong "e2fsck: exit $?"
debugfs -R 'cat /root/file' "$TTD_TMP/image" >"$out" 2>&1
has '^written'
rm -f "$TTD_TMP/image"

"$ttd" pack one -o "$TTD_TMP/one.ttd" >"$out" 2>&1 || wrong "pack: exit $?"
rm -r "$TTD_TMP/files" "$TTD_TRACE_DIR"
"$ttd" replay "$TTD_TMP/one.ttd" --verify >"$out" 2>&1 || wrong "replay: exit $?"
has 'verified to its end'
exit $bad
