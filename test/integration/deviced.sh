#!/bin/bash
# deviced.sh - ttd-deviced: wrong options, one log and a folder of logs,
# recording and replaying through it, a daemon that ends, comes back, or comes
# back as another.
set -u
. "${0%/*}/../lib.sh"
make_guest
out=$TTD_TMP/out
err=$TTD_TMP/err
said=$TTD_TMP/said
log=$TTD_TMP/ttd.log.g
cfg=$TTD_TMP/g.cfg

evidence() {
	tail -n 6 "$err" "$said"
}
refuses() {
	local status=$1 pattern=$2 rc
	shift 2
	timeout 20 "$ttd-deviced" "$@" >"$err" 2>&1
	rc=$?
	{ [ $rc -eq "$status" ] && grep -q -- "$pattern" "$err" && [ "$(wc -l <"$err")" = 1 ]; } ||
		wrong "ttd-deviced $*: exit $rc, wanted $status and '$pattern'"
}
says() {
	for _ in {1..200}; do
		grep -q -- "$1" "$2" && return
		sleep 0.05
	done
	wrong "no '$1' in ${2##*/}"
}
is() {
	for _ in {1..100}; do
		"$ttd" list | grep -q "^g .* $1" && return
		sleep 0.02
	done
	return 1
}
daemon() {
	: >"$said"
	"$ttd-deviced" "$@" 2>"$said" &
	deviced=$!
	says 'listening on' "$said"
}
end() {
	kill $deviced
	wait $deviced || wrong "ttd-deviced ends with $?"
	says 'everything is written' "$said"
}
# create STATUS PATTERN WORD...: to its end, with the console in $out.
create() {
	local status=$1 pattern=$2 rc
	shift 2
	timeout 300 "$ttd" create "$cfg" "$@" -c </dev/null >"$out" 2>"$err"
	rc=$?
	{ [ $rc -eq "$status" ] && grep -q -- "$pattern" "$err"; } ||
		wrong "create $*: exit $rc, wanted $status and '$pattern'"
}
record="time_travel=ttd_flag=1"
replay="time_travel=ttd_flag=1, tt_replay_flag=1"
cat >"$cfg" <<END
name = "g"
kernel = "$KERNEL"
ramdisk = "$RAMDISK"
extra = 'quiet ttd.run="uname; ls /"'
END

refuses 2 'give either -f LOG or -d DIR'
refuses 2 'give either' -f a -d b
refuses 2 "unknown option '--foo'" --foo
refuses 2 'needs a value' -f
refuses 2 'is for -f' -d . --force
refuses 1 'No such file' -f /nonexistent/log
refuses 2 'name of a file' -f /tmp/

# One log: recorded, not overwritten, replayed.
daemon -f "$log"
mode=$(stat -c '%a' "$XDG_RUNTIME_DIR/ttd/deviced" "$XDG_RUNTIME_DIR/ttd" | paste -sd' ')
[ "$mode" = '600 700' ] || wrong "modes of the socket and its folder: $mode"
refuses 1 'another ttd-deviced runs already' -f "$log.2"
create 1 'No such file' "$replay"
create 1 '/nonexistent' "$record" kernel=/nonexistent
create 0 'recorded .*ttd.log.g: ' "$record"
mv "$out" "$out.recorded"
says 'g: finished' "$said"
create 2 'ttd.log.g: exists already; give another name or --force' "$record"
create 0 'replay verified to its end' "$replay"
cmp "$out.recorded" "$out" || wrong "the replay printed something else"
"$ttd-read-log" -f "$log" -i >"$out.a" && "$ttd-read-log" -f "$log" -r -i >"$out.b" &&
	[ "$(grep -c TTD_EXCEPTION "$out.a")" = "$(grep -c TTD_EXCEPTION "$out.b")" ] ||
	wrong "the replay's own log is not like the recording's"
end
daemon -f "$log" --force
create 0 'recorded .*ttd.log.g: ' "$record"
end
"$ttd" replay "$log" --verify 2>"$err" || wrong "the second recording does not replay"

# ttd record writes by itself unless it is told not to.
rec() {
	local status=$1 pattern=$2 rc
	shift 2
	timeout 60 "$ttd" record --name g --kernel "$KERNEL" --stop-at 2000000 "$@" </dev/null >"$out" 2>"$err"
	rc=$?
	{ [ $rc -eq "$status" ] && grep -q -- "$pattern" "$err"; } ||
		wrong "record $*: exit $rc, wanted $status and '$pattern'"
}
rec 1 'ttd-deviced does not run; start it' --deviced
rec 2 'of use with --deviced only' --fallback
daemon -f "$log.4"
rec 2 "are ttd-deviced's to say" --deviced -o x
rec 0 'recorded .*/traces/by-itself: ' -o by-itself
[ -e "$log.4" ] && wrong "ttd record used the daemon without being told to"
rec 0 'recorded .*ttd.log.g.4: ' --deviced --fallback
says 'g: finished' "$said"
"$ttd" replay "$log.4" --verify 2>"$err" || wrong "a recording by --deviced does not replay"
end
rm -rf "$TTD_TRACE_DIR"

# A folder: a trace for each boot, which ttd knows as its own; in the background.
"$ttd-deviced" -d "$TTD_TRACE_DIR" --daemon >"$err" 2>&1 || wrong "--daemon: exit $?"
create 1 '/nonexistent' "$record" kernel=/nonexistent
[ -z "$(ls "$TTD_TRACE_DIR")" ] || wrong "a domain that could not be built leaves a trace"
create 0 'recorded .*/traces/g-0: ' "$record"
create 0 'recorded .*/traces/g-1: ' "$record"
create 0 'replay verified to its end' "$replay"
[ -e "$TTD_TRACE_DIR/g-1/ttd.log.g.replay.0" ] || wrong "the newest was not replayed"
[ -s "$TTD_TRACE_DIR/g-0/console.txt" ] || wrong "no console.txt"
"$ttd" replay --verify 2>"$err" || wrong "latest does not replay"
pid=$(sed -n 's/^Pid:\t//p' /proc/[0-9]*/status 2>/dev/null | while read -r p; do
	grep -qsz "ttd-deviced" "/proc/$p/cmdline" && grep -qsz "^$TTD_TRACE_DIR$" "/proc/$p/cmdline" &&
		echo "$p"; done | sort -n | head -n 1) # not the helper that it forked
kill "$pid"
for _ in {1..100}; do [ -e "$XDG_RUNTIME_DIR/ttd/deviced" ] || break; sleep 0.05; done
[ -e "$XDG_RUNTIME_DIR/ttd/deviced" ] && wrong "ttd-deviced leaves its socket"

# The daemon ends: the guest waits, says so once, and goes on with the next one
# that writes the same place.
busy='extra=quiet ttd.run="while :; do ls -l / | wc -l; done"'
domlog=$XDG_RUNTIME_DIR/ttd/g.log
for option in '' --fallback; do
	rm -rf "$TTD_TRACE_DIR"
	daemon -d "$TTD_TRACE_DIR"
	"$ttd" create "$cfg" "$busy" "$record" $option 2>"$err" || wrong "create $option: $?"
	sleep 1
	end
	grep -q 'g: flushed' "$said" || wrong "it does not say that g was flushed"
	if [ -z "$option" ]; then
		says 'the guest waits' "$domlog"
		is 'paused' || wrong "the guest does not wait"
		daemon -f "$log.3"
		says 'refuses to go on' "$domlog"
		end
		daemon -d "$TTD_TRACE_DIR"
		says 'is back; going on' "$domlog"
		[ "$(grep -c 'the guest waits' "$domlog")" = 1 ] || wrong "said more than once"
	else
		says 'this process writes the log now' "$domlog"
		is '\(running\|blocked\)' || wrong "the guest waits"
	fi
	sleep 0.5
	"$ttd" destroy g
	[ -n "$option" ] || end
	says 'recorded .*g-0' "$domlog"
	"$ttd" replay g-0 --verify 2>"$err" || wrong "$option: does not replay: $?"
	grep -q 'replay verified to its end' "$err" || wrong "$option: the log has no end"
done
exit $bad
