#!/bin/bash
# exact.sh - many runs on virtual time end in the very same place.
#
#   test/soak/exact.sh [RUNS [SEED]]      default 100 runs, any seed
#
# Each run boots, runs all of test/guest's programs, reads and writes a disk, and
# powers off, while it is stopped and continued, at times a seeded generator says,
# and while another run competes for the CPU.  Instructions, branches and the
# digest of memory must be those of the first run; one run of the reference
# engine must agree.
set -u
. "${0%/*}/../lib.sh"
runs=${1:-${TTD_SOAK_RUNS:-100}}
seed=${2:-$$}
test/guest/build "$TTD_TMP/programs" || exit 1
make_guest --add "$TTD_TMP/programs:/ttd/programs"
cp "$RAMDISK" "$TTD_TMP/ramdisk" && rm -f "$RAMDISK"
RANDOM=$seed
truncate -s 64M "$TTD_TMP/disk"
work='/ttd/programs/run
	&& dd if=/dev/xvda of=/dev/null bs=64k && dd if=/dev/zero of=/dev/xvda bs=4k count=4000
	&& sync && dd if=/dev/xvda bs=512 skip=5000 count=3000 | md5sum'
echo "$runs runs, seed $seed"

# run N OPTION...: leaves where it ended in N.end.
run() {
	local n=$1 rc
	shift
	timeout 1800 "$ttd" run --kernel "$KERNEL" --ramdisk "$TTD_TMP/ramdisk" --clock virtual \
		--json --disk "$TTD_TMP/disk,raw,xvda,rw" \
		--extra "quiet ttd.run=\"${work//[[:cntrl:]]/ }\"" "$@" \
		</dev/null >"$TTD_TMP/$n.out" 2>"$TTD_TMP/$n.err" &
	echo $! >"$TTD_TMP/$n.pid"
	wait $!
	rc=$?
	grep -o '"\(end\|icount\|brctr\|mem_digest\)":"\?[0-9a-z]*' "$TTD_TMP/$n.err" >"$TTD_TMP/$n.end"
	grep FAILED "$TTD_TMP/$n.out" && rc=1
	return $rc
}
# Stops run N a few times for a moment.  timeout passes the signals on to none
# but itself, so they go to its child.
disturb() {
	local n=$1 pause pid
	for pause in $2 $3 $4; do
		sleep "$(printf '%d.%03d' $((pause / 1000)) $((pause % 1000)))"
		pid=$(pgrep -P "$(cat "$TTD_TMP/$n.pid")" 2>/dev/null) || return 0
		kill -STOP "$pid" 2>/dev/null || return 0
		sleep 0.05
		kill -CONT "$pid" 2>/dev/null
	done
}

run 0 || { cat "$TTD_TMP/0.err"; echo "the first run failed"; exit 1; }
cat "$TTD_TMP/0.end"
compare() {
	cmp -s "$TTD_TMP/0.end" "$TTD_TMP/$1.end" && cmp -s "$TTD_TMP/0.out" "$TTD_TMP/$1.out" && return
	echo "run $1 differs:"
	paste "$TTD_TMP/0.end" "$TTD_TMP/$1.end"
	diff "$TTD_TMP/0.out" "$TTD_TMP/$1.out" | head -n 20
	tail -n 1 "$TTD_TMP/$1.err" | cut -c 1-200
	bad=$((bad + 1))
}
for ((i = 1; i < runs; i += 2)); do
	for n in $i $((i + 1)); do
		[ "$n" -lt "$runs" ] || continue
		rm -f "$TTD_TMP/$n.pid"
		run "$n" &
		a=$((RANDOM % 2000)) b=$((RANDOM % 1500)) c=$((RANDOM % 1500))
		(
			while [ ! -s "$TTD_TMP/$n.pid" ]; do sleep 0.02; done
			disturb "$n" $a $b $c
		) &
	done
	wait
	for n in $i $((i + 1)); do
		[ "$n" -lt "$runs" ] || continue
		compare "$n"
		rm -f "$TTD_TMP/$n".*
	done
	[ $((i % 20)) -ne 19 ] || echo "$((i + 1)) of $runs, $bad different"
done
run reference --reference || echo "the reference run failed"
compare reference
echo "$runs runs and the reference: $bad different (seed $seed)"
[ $bad -eq 0 ]
