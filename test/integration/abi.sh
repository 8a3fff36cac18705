#!/bin/bash
# abi.sh - each form of event channels and grants that Linux can be told to use
# (FIFO queues and version 1, its own choice, are what every other test has): a
# disk, a network, and a program that grants pages and sends events to itself.
# Recorded, replayed with equal digests, gone to where grants are mapped, and from
# there to the end.
set -u
. "${0%/*}/../lib.sh"
gcc -std=gnu11 -O1 -static -o "$TTD_TMP/xendev" test/guest/xendev.c || exit 1
make_guest --module xen-gntdev --module xen-gntalloc --module xen-evtchn \
	--add "$TTD_TMP/xendev:/xendev"
cleanup() { # it is of no use to another run
	rm -f "$RAMDISK"
}

says() { # FILE TEXT
	grep -q -- "$2" "$1" || wrong "$told: no '$2' in $(basename "$1"): $(tail -n 2 "$1")"
}

head -c 2000000 /dev/urandom >"$TTD_TMP/disk"
truncate -s 4M "$TTD_TMP/disk"
sum=$(head -c 2000000 "$TTD_TMP/disk" | md5sum)
run='for m in /lib/ttd/root/*.ko; do insmod $m; done; dmesg | grep xen: | grep -e ABI -e layout
head -c 2000000 /dev/xvda | dd of=/dev/xvda bs=1000k seek=2 2>/dev/null; sync
echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/xvda bs=1000k skip=2 count=2 2>/dev/null | head -c 2000000 | md5sum
ping -c 2 -i 0.1 -s 1400 10.0.2.2 | grep -c ttl=; /xendev'

# form TOLD ABI LAYOUT
form() {
	local told=$1 opts=(--kernel "$KERNEL" --ramdisk "$RAMDISK" --disk "$TTD_TMP/disk,raw,xvda,rw"
		--vif user)

	timeout 300 "$ttd" record --force -o one "${opts[@]}" \
		--extra "quiet $told ttd.run=\"$(tr '\n' ';' <<<"$run")\"" \
		>"$TTD_TMP/rec.out" 2>"$TTD_TMP/rec.err" </dev/null || wrong "$told: record: exit $?"
	says "$TTD_TMP/rec.out" "Using $2 ABI"
	says "$TTD_TMP/rec.out" "version $3 layout"
	says "$TTD_TMP/rec.out" "$sum"
	says "$TTD_TMP/rec.out" '^2.$'
	says "$TTD_TMP/rec.out" '^xendev: ok'
	timeout 300 "$ttd" replay one >"$TTD_TMP/rep.out" 2>"$TTD_TMP/rep.err" </dev/null ||
		wrong "$told: replay: exit $?"
	says "$TTD_TMP/rep.err" 'replay verified to its end'
	cmp -s "$TTD_TMP/rec.out" "$TTD_TMP/rep.out" || wrong "$told: the console differs"
	[ "$2" = FIFO-based ] || return
	for how in --checkpoint-every --no-checkpoints; do
		local at=(--at 98% --at 'console:xendev: mapped' --at end)

		[ $how = --no-checkpoints ] || at=("$how" 100000000 "${at[@]}")
		[ $how = --checkpoint-every ] || at=("$how" "${at[@]}")
		timeout 300 "$ttd" replay one --json --digest "${at[@]}" >"$TTD_TMP/json" \
			2>"$TTD_TMP/err" </dev/null ||
			wrong "$told: $how: exit $?: $(tail -n 1 "$TTD_TMP/err")"
		sed 's/,"seek_ms":[0-9.]*//' "$TTD_TMP/json" >"$TTD_TMP/at$how"
	done
	cmp "$TTD_TMP/at--checkpoint-every" "$TTD_TMP/at--no-checkpoints" ||
		wrong "$told: places differ with checkpoints"
	[ "$(wc -l <"$TTD_TMP/at--no-checkpoints")" -eq 3 ] || wrong "$told: three places"
}

form 'grant_table.version=2' FIFO-based 2
form 'xen.fifo_events=0 grant_table.version=2' 2-level 2
exit $bad
