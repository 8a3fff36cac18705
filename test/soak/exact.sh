#!/bin/bash
# exact.sh - many runs on virtual time end in the very same place.
#
#   test/soak/exact.sh [RUNS [SEED]]      default 100 runs, any seed
#
# Each run boots, runs all of test/guest's programs, and powers off, while it
# is stopped and continued, at times a seeded generator says, and while another
# run competes for the CPU.  Instructions, branches and the digest of memory
# must be those of the first run; one run of the reference engine must agree.
set -u
cd "$(dirname "$0")/../.." || exit 1
runs=${1:-${TTD_SOAK_RUNS:-100}}
seed=${2:-$$}
ttd=${TTD_BUILD:-build}/ttd
tmp=${TTD_TMP:-$(mktemp -d)}
[ -n "${TTD_TMP:-}" ] || trap 'rm -rf "$tmp"' EXIT
test/guest/build "$tmp/programs" || exit 1
guest=$(tools/mkguest --print --add "$tmp/programs:/ttd/programs") || {
	echo "no kernel package to be had"
	exit 77
}
eval "$guest"
cp "$RAMDISK" "$tmp/ramdisk" && rm -f "$RAMDISK"
RANDOM=$seed
echo "$runs runs, seed $seed"

# run N OPTION...: leaves where it ended in N.end.
run() {
	local n=$1 rc
	shift
	timeout 1800 "$ttd" run --kernel "$KERNEL" --ramdisk "$tmp/ramdisk" --clock virtual \
		--json --extra 'quiet ttd.run=/ttd/programs/run' "$@" \
		</dev/null >"$tmp/$n.out" 2>"$tmp/$n.err" &
	echo $! >"$tmp/$n.pid"
	wait $!
	rc=$?
	grep -o '"\(end\|icount\|brctr\|mem_digest\)":"\?[0-9a-z]*' "$tmp/$n.err" >"$tmp/$n.end"
	grep FAILED "$tmp/$n.out" && rc=1
	return $rc
}
# Stops run N a few times for a moment.  timeout passes the signals on to none
# but itself, so they go to its child.
disturb() {
	local n=$1 pause pid
	for pause in $2 $3 $4; do
		sleep "$(printf '%d.%03d' $((pause / 1000)) $((pause % 1000)))"
		pid=$(pgrep -P "$(cat "$tmp/$n.pid")" 2>/dev/null) || return 0
		kill -STOP "$pid" 2>/dev/null || return 0
		sleep 0.05
		kill -CONT "$pid" 2>/dev/null
	done
}

run 0 || { cat "$tmp/0.err"; echo "the first run failed"; exit 1; }
cat "$tmp/0.end"
bad=0
compare() {
	cmp -s "$tmp/0.end" "$tmp/$1.end" && cmp -s "$tmp/0.out" "$tmp/$1.out" && return
	echo "run $1 differs:"
	paste "$tmp/0.end" "$tmp/$1.end"
	diff "$tmp/0.out" "$tmp/$1.out" | head -n 20
	tail -n 1 "$tmp/$1.err" | cut -c 1-200
	bad=$((bad + 1))
}
for ((i = 1; i < runs; i += 2)); do
	for n in $i $((i + 1)); do
		[ "$n" -lt "$runs" ] || continue
		rm -f "$tmp/$n.pid"
		run "$n" &
		a=$((RANDOM % 2000)) b=$((RANDOM % 1500)) c=$((RANDOM % 1500))
		(
			while [ ! -s "$tmp/$n.pid" ]; do sleep 0.02; done
			disturb "$n" $a $b $c
		) &
	done
	wait
	for n in $i $((i + 1)); do
		[ "$n" -lt "$runs" ] || continue
		compare "$n"
		rm -f "$tmp/$n".*
	done
	[ $((i % 20)) -ne 19 ] || echo "$((i + 1)) of $runs, $bad different"
done
run reference --reference || echo "the reference run failed"
compare reference
echo "$runs runs and the reference: $bad different (seed $seed)"
[ $bad -eq 0 ]
