#!/bin/bash
# sandbox.sh - while a guest runs, every thread of its process is confined: run,
# record, replay and created domains; and --no-sandbox leaves it alone.
set -u
. "${0%/*}/../lib.sh"
make_guest
grep -q '^Seccomp:' /proc/self/status || { echo "this kernel has no seccomp"; exit 77; }

evidence() {
	tail -n 20 "$TTD_TMP/out" "$TTD_TMP/err"
}
# start WORD...: runs ttd, with the guest's output in out, until that says hello.
start() {
	: >"$TTD_TMP/out"
	"$ttd" "$@" </dev/null >"$TTD_TMP/out" 2>"$TTD_TMP/err" &
	pid=$!
	for _ in $(seq 600); do
		! grep -q hello "$TTD_TMP/out" || return 0
		sleep 0.1
	done
	wrong "ttd $* says nothing"
}
# threads KEY VALUE: every thread's status says so, and there are several.
threads() {
	local t n=0
	for t in /proc/"$pid"/task/*; do
		n=$((n + 1))
		[ "$(sed -n "s/^$1:[[:space:]]*//p" "$t/status")" = "$2" ] ||
			wrong "thread $(cat "$t/comm") has not $1: $2"
	done
	[ $n -ge 2 ] || wrong "only $n threads"
}
finish() {
	wait "$pid"
	local rc=$?
	[ $rc -eq "$1" ] || wrong "exit $rc, not $1"
}
guest=(--kernel "$KERNEL" --ramdisk "$RAMDISK" --extra 'quiet ttd.run="echo hello; sleep 3"')

start run "${guest[@]}"
threads Seccomp 2
threads NoNewPrivs 1
finish 0
start record -o one "${guest[@]}"
threads Seccomp 2
finish 0
start replay one --speed 1
threads Seccomp 2
finish 0
# The messages of a divergence need files, too.
"$ttd" replay one --perturb skip=40 >"$TTD_TMP/out" 2>"$TTD_TMP/err"
[ $? -eq 4 ] || wrong "no divergence"
start run --no-sandbox "${guest[@]}"
threads Seccomp 0
finish 0

# A reboot makes a new machine, and a new trace, in the confined process.
start record --kernel "$KERNEL" --ramdisk "$RAMDISK" --name again \
	--extra 'quiet ttd.run="echo hello; sleep 3; reboot -f"'
for _ in $(seq 600); do
	[ "$(grep -c hello "$TTD_TMP/out")" -lt 2 ] || break
	sleep 0.1
done
threads Seccomp 2
[ -e "$TTD_TMP/traces/again-1/ttd.log.again" ] || wrong "no second trace"
kill -TERM "$pid"
finish 143
[ ! -e "$XDG_RUNTIME_DIR/ttd/again.domain" ] || wrong "its socket is still there"
exit $bad
