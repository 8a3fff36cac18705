#!/bin/bash
# signals.sh - signals while the guest's stack pointer is none: it is an address of ours
# (where the code cache may be), or one that no frame can be put at.  Every command that
# runs a guest ends as signal(7) and its manual page say, at once, and a recording
# that was ended so replays to its end.  (test_signals asks that nothing is written.)
set -u
. "${0%/*}/../lib.sh"
places=(0x42003d80 0xffff888000001000) # the kernel sees it in canonical form
runs=0

evidence() {
	tail -n 3 "$TTD_TMP/err"
}
# started TEXT: it has got so far.
started() {
	for _ in $(seq 300); do
		! grep -qa "$1" "$TTD_TMP/out" "$TTD_TMP/err" || return 0
		sleep 0.05
	done
	wrong "${cmd[*]}: no '$1'"
}
# Some that mean nothing, and one that ends it; the exit status is a shell's.
ends_by() { # SIGNAL
	local rc
	runs=$((runs + 1))
	for harmless in WINCH CHLD CONT URG; do
		kill -$harmless $pid
	done
	kill -0 $pid 2>/dev/null || wrong "${cmd[*]}: ended by what means nothing"
	kill -"$1" $pid
	(sleep 20; kill -KILL $pid) 2>/dev/null &
	{ wait $pid; } 2>/dev/null # that it was killed, bash tells as well
	rc=$?
	kill $! 2>/dev/null
	wait $! 2>/dev/null
	[ $rc -eq $((128 + $(kill -l "$1"))) ] || wrong "${cmd[*]}: exit $rc after SIG$1"
}
begin() { # WORD...
	cmd=("$@")
	: >"$TTD_TMP/out"
	: >"$TTD_TMP/err"
	# What a shell starts behind itself ignores the first two.
	env --default-signal=INT,QUIT "$ttd" "$@" </dev/null >"$TTD_TMP/out" 2>"$TTD_TMP/err" &
	pid=$!
}
guest() { # VERB PLACE OPTION...
	local verb=$1 place=$2
	shift 2
	begin "$verb" --kernel "$TTD_BUILD/hostile" --memory 64 --clock virtual \
		--extra "attack=host-rsp n=$place" "$@"
}

# A domain in a process of its own, which nobody waits for: it goes, and says so.
domain() { # PLACE SIGNAL
	local d=$TTD_TMP/d.cfg child

	printf 'name = "d"\nkernel = "%s"\nmemory = 64\nextra = "attack=host-rsp n=%s"\n' \
		"$TTD_BUILD/hostile" "$1" >"$d"
	cmd=(create "$d")
	"$ttd" create "$d" >"$TTD_TMP/out" 2>"$TTD_TMP/err" </dev/null || wrong "create"
	child=$("$ttd" list --json | sed -n 's/.*"pid":\([0-9]*\).*/\1/p')
	sleep 0.3
	for harmless in WINCH CHLD CONT URG; do
		kill -$harmless "$child" || wrong "create: ended by what means nothing"
	done
	kill -"$2" "$child" || wrong "create: there is none to end"
	for _ in $(seq 200); do
		[ "$("$ttd" list --json)" != "[]" ] || break
		sleep 0.05
	done
	[ "$("$ttd" list --json)" = "[]" ] || wrong "create: still there after SIG$2"
	runs=$((runs + 1))
}

for place in "${places[@]}"; do
	for sig in INT TERM HUP QUIT USR1 PROF; do
		guest run "$place"
		started looping
		sleep 0.1
		ends_by $sig
	done
	guest record "$place" -o stopped
	started looping
	sleep 0.2
	kill -TSTP $pid
	sleep 0.1
	kill -CONT $pid
	ends_by TERM
	"$ttd" replay stopped --verify >"$TTD_TMP/out" 2>"$TTD_TMP/err" ||
		wrong "a recording ended by SIGTERM does not replay"
	"$ttd" rm stopped >/dev/null

	# Long enough for all that is done with it, and nothing is at once.
	guest record "$place" -o long --stop-at 5000000000 --checkpoint-every off
	wait $pid || wrong "cannot record"
	for sig in INT TERM HUP PROF; do
		begin replay long --gdb=0
		started localhost:
		exec 3<>"/dev/tcp/localhost/$(sed -n 's/.*localhost:\([0-9]*\).*/\1/p' "$TTD_TMP/err")"
		printf '+$c#63' >&3
		sleep 0.2
		ends_by $sig
		exec 3>&-
	done
	# All that matter, and where the kernel sees rsp as it is those that programs use.
	sigs="INT TERM USR1 PROF"
	[ "$place" = "${places[0]}" ] || sigs="TERM PROF"
	for sig in $sigs; do
		begin replay long
		started looping
		ends_by $sig
		begin replay long --no-checkpoints --at end
		sleep 0.3
		ends_by $sig
		begin last-write 0xffffffff81000000 long
		sleep 0.3
		ends_by $sig
		for looks in regs bt ps dmesg "mem rip 16" "maps 1"; do
			# shellcheck disable=SC2086
			begin $looks long --at end
			sleep 0.3
			ends_by $sig
		done
		domain "$place" $sig
	done
	"$ttd" rm long >/dev/null
done
# Children end with those who started them.
left() {
	local f
	for f in $(grep -lsz "^TTD_TMP=$TTD_TMP\$" /proc/[0-9]*/environ); do
		[ "$(cat "${f%environ}comm" 2>/dev/null)" = ttd ] && return 0
	done
	return 1
}
for _ in 1 2 3 4 5 6 7 8 9 10; do
	left || break
	sleep 1
done
! left || wrong "a process of a command that was ended goes on"

echo "$runs runs ended"
exit $bad
