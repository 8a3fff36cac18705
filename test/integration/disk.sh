#!/bin/bash
# disk.sh - guests with disks: what is read is there, what is written is in the
# overlay and not in the base, recordings replay with equal digests, and after
# kill -9 the disk is as after a power cut.  KILLS says how many.
set -u
. "${0%/*}/../lib.sh"
make_guest
command -v mke2fs >/dev/null || { echo "no mke2fs"; exit 77; }
export TMPDIR=$TTD_TMP
kills=${KILLS:-2}
RANDOM=${SEED:-$$}
disk=$TTD_TMP/disk

modules='for m in /lib/ttd/root/*.ko; do insmod $m; done; mkdir -p /mnt;'
# guest STATUS VERB OPTION... -- COMMAND
guest() {
	local status=$1 verb=$2 rc
	local -a opts=()
	shift 2
	while [ "$1" != -- ]; do
		opts+=("$1")
		shift
	done
	timeout 300 "$ttd" "$verb" --kernel "$KERNEL" --ramdisk "$RAMDISK" "${opts[@]}" \
		--extra "quiet ttd.run=\"$modules $2\"" >"$TTD_TMP/out" 2>"$TTD_TMP/err" </dev/null
	rc=$?
	[ $rc -eq "$status" ] || wrong "$verb ${opts[*]}: exit $rc: $(tail -n 1 "$TTD_TMP/err")"
}
replay() { # STATUS TRACE OPTION...
	local status=$1 rc
	shift
	timeout 300 "$ttd" replay "$@" >"$TTD_TMP/rep.out" 2>"$TTD_TMP/rep.err" </dev/null
	rc=$?
	[ $rc -eq "$status" ] || wrong "replay $*: exit $rc: $(tail -n 1 "$TTD_TMP/rep.err")"
}
says() { # FILE TEXT WHAT
	grep -qF -- "$2" "$1" || wrong "$3: $(tail -n 2 "$1")"
}

mkdir "$TTD_TMP/tree"
echo 'a line' >"$TTD_TMP/tree/text"
head -c 3000000 /dev/urandom >"$TTD_TMP/tree/big"
sum=$(md5sum <"$TTD_TMP/tree/big")
mke2fs -q -t ext4 -d "$TTD_TMP/tree" "$disk" 48M 2>/dev/null
base=$(md5sum <"$disk")
cp --sparse=always "$disk" "$TTD_TMP/second"

# Two disks, one read-only; on virtual time the run is the same as its recording.
work='mount -t ext4 /dev/xvda /mnt && cat /mnt/text; md5sum </mnt/big; cat /mnt/big /mnt/big >/mnt/two; sync; rm /mnt/text; umount /mnt; mount -t ext4 -o ro /dev/xvdb /mnt && ls /mnt; dd if=/dev/zero of=/dev/xvdb bs=4k count=1 2>/dev/null || echo refused'
for clock in host virtual; do
	guest 0 record --force -o one --clock $clock --disk "$disk,raw,xvda,rw" \
		--disk "file:$TTD_TMP/second,xvdb,r" --json -- "$work"
	says "$TTD_TMP/out" 'a line' "$clock: the guest did not read the disk"
	says "$TTD_TMP/out" "$sum" "$clock: the guest read something else"
	says "$TTD_TMP/out" refused "$clock: a read-only disk was written"
	cp "$TTD_TMP/err" "$TTD_TMP/rec.err"
	replay 0 one --json
	cmp -s "$TTD_TMP/out" "$TTD_TMP/rep.out" || wrong "$clock: the replay's console differs"
	says "$TTD_TMP/rep.err" 'replay verified to its end' "$clock: not verified"
	# In processes that are forked in the middle, which have no threads then.
	for what in jiffies_64 linux_banner; do
		timeout 120 "$ttd" last-write $what one >"$TTD_TMP/write.$what" 2>"$TTD_TMP/err" </dev/null
		[ $? -ne 124 ] || wrong "$clock: last-write $what does not end"
	done
	says "$TTD_TMP/write.jiffies_64" 'written at' "$clock: last-write"
	says "$TTD_TMP/write.linux_banner" 'nobody' "$clock: last-write"
done
guest 0 run --clock virtual --disk "$disk,raw,xvda,rw" --disk "file:$TTD_TMP/second,xvdb,r" \
	--json -- "$work"
for f in icount brctr mem_digest; do
	[ "$(field $f "$TTD_TMP/rec.err")" = "$(field $f "$TTD_TMP/err")" ] ||
		wrong "virtual: run and record differ in $f"
done
[ "$(md5sum <"$disk")" = "$base" ] || wrong "the base was written"

# To and fro in it: the same place is the same, however it is come to.
total=$(field icount "$TTD_TMP/rec.err")
"$ttd" replay one --digest --json --at $((total - 1000)) --at $((total * 9 / 10)) \
	--at $((total - 1000)) >"$TTD_TMP/at" 2>"$TTD_TMP/at.err" || wrong "--at: $(cat "$TTD_TMP/at.err")"
for f in memory state; do
	[ "$(field $f "$TTD_TMP/at" | sed -n 1p)" = "$(field $f "$TTD_TMP/at" | sed -n 3p)" ] ||
		wrong "--at: $f differs on the second time"
done

# The disk as the guest left it.
"$ttd" export one xvda "$TTD_TMP/out.img" || wrong "export"
e2fsck -fn "$TTD_TMP/out.img" >"$TTD_TMP/fsck" 2>&1 || wrong "export: $(tail -n 3 "$TTD_TMP/fsck")"
debugfs -R 'ls /' "$TTD_TMP/out.img" 2>/dev/null | grep -q two || wrong "export lacks a new file"
"$ttd" export one xvda "$TTD_TMP/out.img" 2>/dev/null && wrong "export replaced a file"
"$ttd" info one --json | grep -q '"disks":\[{"name":"xvda".*{"name":"xvdb"' || wrong "info --json"
"$ttd" info one | grep -q "^disk  *xvda $disk, 50331648 bytes, [1-9]" || wrong "info"

# Bases that are elsewhere, changed, short, missing, locked.
mv "$disk" "$TTD_TMP/moved"
replay 1 one
says "$TTD_TMP/rep.err" "disk xvda: $disk: No such file" "a missing base"
replay 0 one --disk-base "xvda=$TTD_TMP/moved"
cp --sparse=always "$TTD_TMP/moved" "$disk"
printf 'changed' | dd of="$disk" bs=1 seek=1100 conv=notrunc 2>/dev/null
replay 1 one
says "$TTD_TMP/rep.err" 'has changed since this was recorded' "a changed base"
truncate -s 1M "$disk"
replay 1 one
says "$TTD_TMP/rep.err" 'is not the base that was recorded' "a short base"
mv "$TTD_TMP/moved" "$disk"
guest 0 run --direct --disk "$TTD_TMP/second,raw,xvda,rw" -- \
	"mount -t ext4 /dev/xvda /mnt; echo new >/mnt/new; umount /mnt" &
sleep 1.5
"$ttd" run --kernel "$KERNEL" --disk "$TTD_TMP/second,raw,xvda,rw" 2>"$TTD_TMP/lock" </dev/null
wait
if [ -s "$TTD_TMP/lock" ]; then
	says "$TTD_TMP/lock" 'is locked: another program writes to it' "a locked base"
fi
debugfs -R 'cat /new' "$TTD_TMP/second" 2>/dev/null | grep -q new || wrong "--direct does not write"
guest 2 record --disk "$TTD_TMP/no,raw,nodisk,rw" -- true
guest 2 record --disk 'x' -- true

# Commit: the base is then what the export was.
"$ttd" commit one xvda || wrong "commit"
cmp "$disk" "$TTD_TMP/out.img" || wrong "commit and export differ"
"$ttd" commit one 2>"$TTD_TMP/err" && wrong "committed twice"
says "$TTD_TMP/err" 'it has been changed since' "the second commit"

# NBD: what comes from a server is a disk like any other, with its sector size.
if command -v nbdkit >/dev/null; then
	nbdkit -r -U "$TTD_TMP/s" --filter=blocksize-policy file "$disk" blocksize-minimum=4096 \
		blocksize-preferred=4096 --pidfile "$TTD_TMP/nbd.pid" || wrong "nbdkit"
	guest 0 record --force -o nbd --disk "nbd+unix:///?socket=$TTD_TMP/s,raw,xvda,rw" -- \
		"cat /sys/block/xvda/queue/logical_block_size; mount -t ext4 /dev/xvda /mnt; md5sum </mnt/two; echo x >/mnt/x; umount /mnt"
	says "$TTD_TMP/out" 4096 "NBD: sectors"
	replay 0 nbd
	says "$TTD_TMP/rep.err" 'replay verified to its end' "NBD: not verified"
	kill "$(cat "$TTD_TMP/nbd.pid")"
	sleep 0.2
	replay 1 nbd
	replay 0 nbd --disk-base "xvda=$disk"
fi

# Killed at any moment: what was flushed is there, the filesystem is as after a
# power cut, and what was committed replays.
for ((i = 0; i < kills; i++)); do
	: >"$TTD_TMP/out"
	"$ttd" record --force -o killed --kernel "$KERNEL" --ramdisk "$RAMDISK" \
		--disk "$disk,raw,xvda,rw" --extra "quiet ttd.run=\"$modules mount -t ext4 /dev/xvda /mnt; i=0; while :; do i=\$((i+1)); echo \$i >/mnt/n.\$i; sync; echo flushed \$i; rm -f /mnt/n.\$((i-9)); done\"" \
		</dev/null >"$TTD_TMP/out" 2>&1 &
	pid=$!
	for ((n = 0; n < 600; n++)); do
		grep -q 'flushed 3' "$TTD_TMP/out" && break
		sleep 0.1
	done
	sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
	kill -9 $pid
	wait $pid 2>/dev/null
	last=$(sed -n 's/^flushed \([0-9]*\).*/\1/p' "$TTD_TMP/out" | tail -n 1)
	"$ttd" export --force killed xvda "$TTD_TMP/out.img" || wrong "killed: export"
	e2fsck -fy "$TTD_TMP/out.img" >"$TTD_TMP/fsck" 2>&1
	[ $? -le 1 ] || wrong "killed: fsck: $(tail -n 3 "$TTD_TMP/fsck")"
	e2fsck -fn "$TTD_TMP/out.img" >/dev/null 2>&1 || wrong "killed: not clean after fsck"
	[ "$(debugfs -R "cat /n.$last" "$TTD_TMP/out.img" 2>/dev/null)" = "$last" ] ||
		wrong "killed: file $last was flushed and is lost"
	replay 0 killed
	says "$TTD_TMP/rep.err" 'cut short; replay verified' "killed"
done
exit $bad
