#!/bin/bash
# crash.sh - kill -9 of a recording guest, of ttd-deviced, of both, and of a
# guest that writes its log itself, at random moments: every log opens, replays
# without divergence, and lacks at most the last moments before the kill (less than 100 ms
# on a machine that does nothing else, the limit is three times that); the last
# kind what the guest did since it last looked at the time.  Then a disk that fills
# up.  KILLS says how many; SEED, which is printed, repeats a run.
#
# A machine of a cloud stands still at times, for a third of a second even, and the
# guest with it.  That is not lost: who sleeps 5 ms on each CPU tells how long it was.
set -u
. "${0%/*}/../lib.sh"
make_guest
seed=${SEED:-$$}
kills=${KILLS:-4}
RANDOM=$seed
echo "SEED=$seed KILLS=$kills"
lost_max=0
lost_own=0
here=$PWD

# Notes when a CPU does nothing for 20 ms and more: from, to, us since 1970.
heartbeat() {
	exec perl -MTime::HiRes=time,sleep -e '$| = 1; for ($last = time;; $last = $now) {
		sleep 0.005; $now = time;
		printf "%.0f %.0f\n", $last * 1e6, $now * 1e6 if $now - $last > 0.02 }'
}
for ((cpu = 0; cpu < $(nproc); cpu++)); do
	(taskset -cp $cpu $BASHPID >/dev/null 2>&1; heartbeat) >>"$TTD_TMP/still" 2>/dev/null &
	beats+=($!)
done
cleanup() {
	kill "${beats[@]}" 2>/dev/null
}
# stood_still FROM TO: how much of that it was, us.
stood_still() {
	sleep 0.05
	sort -n "$TTD_TMP/still" | awk -v from="$1" -v to="$2" '
		{ a = $1 > from ? $1 : from; b = $2 < to ? $2 : to
		  if (b > a) { sum += b - a; from = b } }
		END { printf "%d\n", sum }'
}
daemon() {
	"$ttd-deviced" -d "$TTD_TRACE_DIR" 2>>"$TTD_TMP/deviced" &
	deviced=$!
	for _ in {1..100}; do
		[ -S "$XDG_RUNTIME_DIR/ttd/deviced" ] && "$ttd" list >/dev/null && return
		sleep 0.05
	done
}
# The kernel works all the time, so that the log grows all the time.
busy='while :; do ls -l / | wc -l; done'
salvaged=0
cat >"$TTD_TMP/busy.cfg" <<END
name = "busy"
kernel = "$KERNEL"
ramdisk = "$RAMDISK"
extra = 'quiet ttd.run="$busy"'
time_travel = "ttd_flag=1"
END
start() {
	"$ttd" create "$TTD_TMP/busy.cfg" "$@" 2>"$TTD_TMP/create" || wrong "create: $(<"$TTD_TMP/create")"
	vm=$("$ttd" list --json | sed -n 's/.*"name":"busy","pid":\([0-9]*\).*/\1/p')
	[ -n "$vm" ] || wrong "busy is not in the list"
}
waits() {
	for _ in {1..100}; do
		"$ttd" list | grep -q '^busy .* paused' && return
		sleep 0.02
	done
	return 1
}
gone() {
	for _ in {1..200}; do
		kill -0 "$1" 2>/dev/null || return
		sleep 0.05
	done
	wrong "process $1 does not end"
	kill -9 "$1"
}
# check LOG WHAT: it replays to its end.
check() {
	local out rc
	"$ttd" info "$1" >"$TTD_TMP/info" || wrong "$2: the log does not open"
	out=$("$ttd" replay "$1" --verify 2>&1)
	rc=$?
	case $rc:$out in
	"0:ttd: replay verified to its end"* | "0:ttd: the recording was cut short; replay verified"*) ;;
	*) wrong "$2: replay: exit $rc: $out" ;;
	esac
}
# Guest time follows the host's: the last record's says how much is missing.
lost() {
	local log=$1 killed=$2 last
	last=$("$ttd-read-log" -f "$log" --json -t input 2>/dev/null | sed -n '1p;$p' |
		sed -n '1s/.*"value":\([0-9]*\).*/\1/p; 2s/.*"tsc":\([0-9]*\).*"value":\([0-9]*\).*/\1+\2/p' |
		paste -sd+)
	[ -n "$last" ] || { wrong "$log: no inputs"; return; }
	lost=$(((killed - (last)) / 1000))
	lost=$((lost - $(stood_still $((killed / 1000 - lost)) $((killed / 1000)))))
	[ "$3" != own ] && [ $lost -gt $lost_max ] && lost_max=$lost
	[ "$3" = own ] && [ $lost -gt $lost_own ] && lost_own=$lost
	[ $lost -le 300000 ] || wrong "$i $3: lost $lost us"
}
moment() {
	sleep "$((RANDOM % 3)).$((RANDOM % 10))$((RANDOM % 10))"
	sleep 0.3
}

daemon
for ((i = 0; i < kills; i++)); do
	n=busy-$i
	log=$TTD_TRACE_DIR/$n/ttd.log.busy
	case $((i % 4)) in
	0)
		start
		moment
		killed=$(date +%s%N)
		kill -9 "$vm"
		sleep 0.3
		check "$log" "$i vm"
		lost "$log" "$killed" vm
		;;
	1)
		option=
		[ $((RANDOM % 2)) = 0 ] && option=--fallback
		start $option
		moment
		{ kill -9 $deviced && wait $deviced; } 2>/dev/null
		sleep "0.$((RANDOM % 10))"
		[ -n "$option" ] || waits || wrong "$i deviced: the guest does not wait"
		daemon
		sleep "0.$((RANDOM % 10))"
		"$ttd" destroy busy
		gone "$vm"
		check "$log" "$i deviced $option"
		grep -q 'end  *stopped' "$TTD_TMP/info" || wrong "$i deviced $option: the log has no end"
		;;
	2)
		start
		moment
		killed=$(date +%s%N)
		if [ $((RANDOM % 2)) = 0 ]; then set -- "$vm" $deviced; else set -- $deviced "$vm"; fi
		{ kill -9 "$1" "$2" && wait $deviced; } 2>/dev/null
		check "$log" "$i both"
		lost "$log" "$killed" both
		daemon
		;;
	3)
		rm -f "$TTD_TMP/own"
		"$ttd" record -o "$TTD_TRACE_DIR/$n" --force --name busy --kernel "$KERNEL" \
			--ramdisk "$RAMDISK" --extra "quiet ttd.run=\"$busy\"" </dev/null >"$TTD_TMP/own" 2>&1 &
		vm=$!
		until [ -s "$TTD_TMP/own" ]; do sleep 0.05; done
		moment
		killed=$(date +%s%N)
		{ kill -9 "$vm" && wait "$vm"; } 2>/dev/null
		cp "$log" "$TTD_TMP/before"
		ls "$XDG_RUNTIME_DIR"/ttd/*.ring >/dev/null || wrong "$i own: no ring is left"
		check "$log" "$i own"
		ls "$XDG_RUNTIME_DIR"/ttd/*.ring >/dev/null 2>&1 && wrong "$i own: the ring stays"
		[ "$(stat -c %s "$log")" -gt "$(stat -c %s "$TTD_TMP/before")" ] && salvaged=$((salvaged + 1))
		lost "$log" "$killed" own
		;;
	esac
	[ $bad = 0 ] && rm -rf "${TTD_TRACE_DIR:?}/$n" && mkdir "$TTD_TRACE_DIR/$n"
done
kill $deviced
wait $deviced || wrong "ttd-deviced ends with $?"
# A disk that fills up: 600 KB for a log that would need more.
full() {
	cd "$TTD_TMP" || exit 1
	mkdir -p disk && mount -t tmpfs -o size=600k none disk 2>/dev/null || exit 77
	export TTD_TRACE_DIR=$TTD_TMP/disk
	timeout 120 "$ttd" record --log-limit off --name full --kernel "$KERNEL" --ramdisk "$RAMDISK" --extra \
		'quiet ttd.run="i=0; while [ $i -lt 3000 ]; do ls -l / | wc -l; i=$((i+1)); done"' \
		</dev/null >out 2>err
	rc=$?
	[ $rc -eq 1 ] && grep -q 'No space left' err && grep -q 'what was recorded before replays' err ||
		{ echo "full disk: exit $rc: $(<err)"; exit 1; }
	"$ttd" replay --verify 2>err || { echo "full disk: replay: $(<err)"; exit 1; }
	grep -q 'replay verified to its last record' err || { echo "full disk: $(<err)"; exit 1; }
	# The same with the log in ttd-deviced's hands.
	rm -rf disk/full-0
	"$ttd-deviced" -d disk --log-limit off 2>deviced &
	sleep 0.5
	timeout 120 "$ttd" create busy.cfg -c </dev/null >out 2>err
	rc=$?
	kill %1
	wait
	[ $rc -eq 1 ] && grep -q 'No space left' err && grep -q 'No space left' deviced ||
		{ echo "full disk of ttd-deviced: exit $rc: $(<err); $(<deviced)"; exit 1; }
	"$ttd" replay busy-0 --verify 2>err || { echo "full disk of ttd-deviced: $(<err)"; exit 1; }
}
export -f full
export ttd KERNEL RAMDISK TTD_TMP
way=
for w in -m -rm; do
	unshare $w true 2>/dev/null && way=$w && break
done
if [ -n "$way" ]; then unshare $way bash -c full; else (exit 77); fi
case $? in
0) ;;
77) echo "full disk: not tested, a tmpfs cannot be mounted here" ;;
*) bad=1 ;;
esac
[ $bad = 0 ] || { tail -n 5 "$TTD_TMP/deviced"; cat "$XDG_RUNTIME_DIR"/ttd/*.log; }
[ "$kills" -lt 40 ] || [ $salvaged -gt 0 ] || { echo "nothing was ever left in a ring"; bad=1; }
echo "$kills kills: at most $lost_max us lost, $lost_own us by a guest that writes itself (of" \
	"which $salvaged had left something in the ring); $([ $bad = 0 ] && echo all well || echo WRONG); seed $seed"
exit $bad
