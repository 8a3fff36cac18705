#!/bin/bash
# record.sh - what was recorded replays to the last bit: pairs of a recording
# and its replay under all kinds of load and input, recordings that are killed,
# logs that are damaged, kernels that were changed.  PAIRS says how many; every
# random choice comes from SEED, which is printed.
set -u
. "${0%/*}/../lib.sh"
make_guest
seed=${SEED:-$$}
pairs=${PAIRS:-20}
kills=${KILLS:-3}
RANDOM=$seed
echo "SEED=$seed PAIRS=$pairs KILLS=$kills"
done=0
instructions=0
inputs=0
bytes=0

loads=(
	'true'
	'for i in 1 2 3 4 5; do sh -c \"exit \$i\"; ls / | wc -l; done'
	'for i in 1 2 3; do sleep 0.03; date +%s.%N; cat /proc/uptime; done'
	'head -c 3000 /dev/urandom | md5sum; cat /proc/sys/kernel/random/uuid; mktemp -u'
	'trap \"echo usr1\" USR1; for i in 1 2 3 4 5 6; do (sleep 0.0\$i; kill -USR1 \$\$) & done; for i in 1 2 3 4 5 6 7; do wait; done'
	'i=0; while [ \$i -lt 5000 ]; do i=\$((i+1)); done; time sh -c \"cat /proc/interrupts; sync\"'
	'dd if=/dev/zero of=/tmp/a bs=64k count=10 2>/dev/null; md5sum /tmp/a; find / -xdev | sort | md5sum'
)
typed=3 # as often as a load of those there is a session at the console,
tours=4 # and the small kernel of test/hostile, which takes no time to boot

# Types at random moments at the tour's prompt.
tourist() {
	local n=$((1 + $1 % 5))

	while [ $n -gt 0 ]; do
		sleep "0.$(($1 / 7 % 3))$((n * 7 % 10))"
		printf 'line %d of %d\n' $n "$1"
		n=$((n - 1))
	done
	echo quit
	sleep 20
}

# Types at random moments, then leaves the shell.
typist() {
	local words=('ls -l /' 'echo hello' 'date' 'sleep 0.1' 'cat /proc/meminfo' 'uptime' 'ps' $'\x03')
	local n=$((1 + $1 % 4)) r=$1

	sleep "$((r % 3)).$((r / 3 % 10))"
	while [ $n -gt 0 ]; do
		r=$(((r * 1103515245 + 12345) % 2147483648))
		printf '%s\n' "${words[r / 65536 % ${#words[@]}]}"
		sleep "0.$((r / 1024 % 4))$((r % 10))"
		n=$((n - 1))
	done
	echo exit
	sleep 20 # the end of input is the guest's own end, not ours
}

record() { # NAME CLOCK CMDLINE OPTION...
	local name=$1 clock=$2 cmdline=$3
	shift 3
	timeout 300 "$ttd" record --force -o "$name" --kernel "$KERNEL" ${RAMDISK:+--ramdisk "$RAMDISK"} \
		--clock "$clock" --extra "quiet $cmdline" --json "$@" \
		>"$TTD_TMP/rec.out" 2>"$TTD_TMP/rec.err"
}
replay() { # STATUS NAME OPTION...
	local status=$1 rc
	shift
	timeout 300 "${cores[@]}" "$ttd" replay --json "$@" >"$TTD_TMP/rep.out" 2>"$TTD_TMP/rep.err" </dev/null
	rc=$?
	[ $rc -eq "$status" ] || wrong "replay $*: exit $rc, not $status: $(grep '^ttd:' "$TTD_TMP/rep.err")"
}
same() { # WHAT
	for f in icount brctr mem_digest; do
		[ "$(field $f "$TTD_TMP/rec.err")" = "$(field $f "$TTD_TMP/rep.err")" ] ||
			wrong "$1: $f differs"
	done
	cmp -s "$TTD_TMP/rec.out" "$TTD_TMP/rep.out" || wrong "$1: the console differs"
	grep -q 'replay verified to its end' "$TTD_TMP/rep.err" || wrong "$1: not verified"
}

# How a replay is run: on all cores, or on one of them.
cores=()
one_core() {
	command -v taskset >/dev/null && cores=(taskset -c $((RANDOM % $(nproc))))
}

for ((i = 0; i < pairs; i++)); do
	clock=host
	[ $((RANDOM % 2)) -eq 0 ] || clock=virtual
	kind=$(((seed + i) % (${#loads[@]} + typed + tours)))
	# --verify looks at all memory at each digest: a thousand of them take a minute.
	interval=$((100000 * (30 + RANDOM % 2970)))
	r=$RANDOM
	if [ $kind -ge $((${#loads[@]} + typed)) ]; then
		what="pair $i: tour ($r), $clock"
		exec 3< <(tourist $r)
		typing=$!
		KERNEL=$TTD_BUILD/hostile RAMDISK='' record pair $clock \
			"attack=tour seed=$r n=$((r % 200))" --memory 64 --interval $((interval / 1000 + 1000)) <&3 ||
			wrong "$what: record: exit $?"
		kill $typing 2>/dev/null
		exec 3<&-
	elif [ $kind -ge ${#loads[@]} ]; then
		what="pair $i: typed ($r), $clock"
		exec 3< <(typist $r)
		typing=$!
		record pair $clock '' --interval $interval <&3 || wrong "$what: record: exit $?"
		kill $typing 2>/dev/null
		exec 3<&-
	else
		what="pair $i: load $kind, $clock"
		load=${loads[kind]//\\\"/\'}
		record pair $clock "ttd.run=\"${load//\\\$/\$}\"" --interval $interval </dev/null ||
			wrong "$what: record: exit $?"
	fi
	extra=()
	[ $((RANDOM % 3)) -ne 0 ] || extra=(--verify)
	[ $((RANDOM % 4)) -ne 0 ] || extra+=(--log)
	busy=
	if [ $((RANDOM % 3)) -eq 0 ]; then # a busy machine
		sh -c 'while :; do :; done' &
		busy=$!
	fi
	[ $((RANDOM % 3)) -ne 0 ] || one_core
	replay 0 pair "${extra[@]}"
	cores=()
	[ -z "$busy" ] || { kill $busy; wait $busy 2>/dev/null; }
	case " ${extra[*]} " in *--verify*) cp "$TTD_TMP/rec.out" "$TTD_TMP/rep.out" ;; esac
	same "$what"
	instructions=$((instructions + $(field icount "$TTD_TMP/rec.err")))
	inputs=$((inputs + $(sed -n 's/^ttd: recorded .* \([0-9]*\) inputs,.*/\1/p' "$TTD_TMP/rec.err")))
	bytes=$((bytes + $(stat -c %s "$TTD_TRACE_DIR/pair/ttd.log.guest")))
	done=$((done + 1))
	[ $bad -eq 0 ] || { echo "$what: $(grep '^ttd:' "$TTD_TMP/rec.err")"; break; }
done

# Killed at any moment: what was committed replays.
for ((i = 0; i < kills; i++)); do
	"$ttd" record --force -o killed --kernel "$KERNEL" --ramdisk "$RAMDISK" --extra quiet \
		</dev/null >/dev/null 2>&1 &
	pid=$!
	sleep "$((RANDOM % 3)).$((RANDOM % 10))5"
	kill -9 $pid
	wait $pid 2>/dev/null
	if ! "$ttd" info killed >"$TTD_TMP/info" 2>&1; then
		# Before its first chunk there is nothing to lose.
		[ "$(stat -c %s "$TTD_TRACE_DIR/killed/ttd.log.guest" 2>/dev/null || echo 0)" -lt 400 ] ||
			wrong "killed: $(cat "$TTD_TMP/info")"
		continue
	fi
	replay 0 killed
	grep -q 'cut short; replay verified to its last record' "$TTD_TMP/rep.err" ||
		wrong "killed: $(grep '^ttd:' "$TTD_TMP/rep.err")"
done

# Positions.
record pos virtual 'ttd.run="ls"' </dev/null || wrong "record: exit $?"
total=$(field icount "$TTD_TMP/rec.err")
replay 0 pos --to 123456789
[ "$(field icount "$TTD_TMP/rep.err")" = 123456789 ] || wrong "--to icount"
replay 0 pos --to brctr:98765432
[ "$(field brctr "$TTD_TMP/rep.err")" = 98765432 ] || wrong "--to brctr"
replay 0 pos --to 25%
[ "$(field icount "$TTD_TMP/rep.err")" = $((total * 25 / 100)) ] || wrong "--to 25%"
replay 2 pos --to $((total + 1))
replay 2 pos --to 101%
replay 2 pos --to x

# A damaged log: exit 5, offset and lost range; a changed kernel or ramdisk: refused.
log=$TTD_TRACE_DIR/pos/ttd.log.guest
cp "$log" "$TTD_TMP/good"
size=$(stat -c %s "$log")
for at in 80 1000 $((size / 2)) $((size * 2 / 3)); do
	cp "$TTD_TMP/good" "$log"
	printf '\xa5\x5a\xa5' | dd of="$log" bs=1 seek="$at" conv=notrunc 2>/dev/null
	replay 5 pos
	grep -q "damaged at offset" "$TTD_TMP/rep.err" || wrong "damage at $at is not named"
done
cp "$TTD_TMP/good" "$log"
cp "$RAMDISK" "$TTD_TMP/ramdisk"
RAMDISK=$TTD_TMP/ramdisk record changed virtual '' --stop-at 100000000 </dev/null
replay 0 changed
same "stopped at an icount"
echo >>"$TTD_TMP/ramdisk"
replay 1 changed
grep -q 'is not the one that was recorded' "$TTD_TMP/rep.err" || wrong "a changed ramdisk"

# The commands on traces.
"$ttd" ls | grep -q '^pos ' || wrong "ttd ls"
"$ttd" info pos --json | grep -q '"end":"poweroff"' || wrong "ttd info"
"$ttd" rm pos && [ ! -e "$TTD_TRACE_DIR/pos" ] || wrong "ttd rm"
"$ttd" replay pos >/dev/null 2>&1 </dev/null && wrong "a removed trace replays"
echo "$done of $pairs pairs equal ($((instructions / 1000000)) M instructions, $inputs inputs," \
	"$((bytes / 1024)) KB of logs), $kills kills; $([ $bad -eq 0 ] && echo all well || echo WRONG);" \
	"seed $seed"
exit $bad
