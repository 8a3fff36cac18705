#!/bin/bash
# disk.sh - a guest with disks: what it reads is there, what it writes is in the
# overlay and not in the base, and recordings replay with the same digests.
set -u
ttd=$TTD_BUILD/ttd
guest=$(tools/mkguest --print) || { echo "no kernel package to be had"; exit 77; }
eval "$guest"
command -v mke2fs >/dev/null || { echo "no mke2fs"; exit 77; }
export TTD_TRACE_DIR=$TTD_TMP/traces TMPDIR=$TTD_TMP
bad=0

wrong() {
	echo "wrong: $*"
	bad=1
}
# guest VERB OPTIONS... -- COMMAND: its output without the kernel's in $TTD_TMP/out
guest() {
	local verb=$1 cmd
	local -a opts=()
	shift
	while [ "$1" != -- ]; do
		opts+=("$1")
		shift
	done
	cmd="for m in /lib/ttd/root/*.ko; do insmod \$m; done; mkdir -p /mnt; $2"
	timeout 120 "$ttd" "$verb" --kernel "$KERNEL" --ramdisk "$RAMDISK" "${opts[@]}" \
		--extra "quiet ttd.run=\"$cmd\"" >"$TTD_TMP/out" 2>"$TTD_TMP/err" </dev/null ||
		wrong "$verb: exit $?: $(tail -n 1 "$TTD_TMP/err")"
}
replay() { # STATUS TRACE OPTION...
	local status=$1 rc
	shift
	timeout 120 "$ttd" replay "$@" >"$TTD_TMP/rep.out" 2>"$TTD_TMP/rep.err" </dev/null
	rc=$?
	[ $rc -eq "$status" ] || wrong "replay $*: exit $rc: $(tail -n 1 "$TTD_TMP/rep.err")"
}

mkdir "$TTD_TMP/tree"
echo 'a line' >"$TTD_TMP/tree/text"
head -c 3000000 /dev/urandom >"$TTD_TMP/tree/big"
sum=$(md5sum <"$TTD_TMP/tree/big")
mke2fs -q -t ext4 -d "$TTD_TMP/tree" "$TTD_TMP/disk" 48M
base=$(md5sum <"$TTD_TMP/disk")

for clock in host virtual; do
	guest record --force -o one --clock $clock --disk "$TTD_TMP/disk,raw,xvda,rw" -- \
		'mount -t ext4 /dev/xvda /mnt && cat /mnt/text; md5sum </mnt/big; cat /mnt/big /mnt/big >/mnt/two; sync; rm /mnt/text; umount /mnt'
	grep -q 'a line' "$TTD_TMP/out" && grep -qF "$sum" "$TTD_TMP/out" ||
		wrong "$clock: the guest did not read the disk: $(cat "$TTD_TMP/out")"
	replay 0 one
	cmp -s "$TTD_TMP/out" "$TTD_TMP/rep.out" || wrong "$clock: the replay's console differs"
	grep -q 'replay verified to its end' "$TTD_TMP/rep.err" || wrong "$clock: not verified"
done
[ "$(md5sum <"$TTD_TMP/disk")" = "$base" ] || wrong "the base was written"
exit $bad
