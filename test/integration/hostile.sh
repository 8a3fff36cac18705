#!/bin/bash
# hostile.sh - guests that attack the hypervisor (test/hostile) may end
# themselves, never this process: no signal, no hang, no sanitizer report, and
# a crash is told in one line.
#
# Each line is CLASS and what the guest is told to do:
#	ok     powers itself off
#	crash  exit 3 and one line that says why
#	any    one of the two, or still busy when it is stopped
#	strict the same with --strict-mmu, which tells what it refused
#	stop   runs for ever, and ends soon after SIGTERM: within half a second, and more
#	       only where the machine is busy, so what is asked here is far more
# With TTD_SOAK=1 the seeded ones run with many seeds, on both engines, which
# must agree on position and memory.
set -u
. "${0%/*}/../lib.sh"
kernel=$TTD_BUILD/hostile
instructions=300000000

attacks='
ok	garbage-user
ok	garbage-compat
any	garbage-kernel n=100
ok	prefixes
ok	jumps
ok	run-off
ok	wild-data
ok	stack-user
ok	iret-hypercall
any	iret-native
crash	stack-kernel n=0
crash	stack-kernel n=1
crash	stack-kernel n=2
crash	stack-kernel n=7
crash	stack-event n=3
crash	stack-event n=8
crash	stack-switch n=2
crash	stack-switch n=4
crash	stack-switch n=7
crash	recursion
crash	recursion-endless
stop	loop-trap
stop	loop-noise
stop	loop-jump
stop	loop-step
stop	loop-rep
stop	loop-scan
ok	smc-loop
ok	smc-self
ok	smc-straddle
ok	undecodable
any	table-code
ok	accessed-code
ok	code-flood
ok	code-aliases
ok	fpu
ok	alignment
ok	leaf-anywhere
any	leaf-execute n=2000
ok	tables-anywhere
any	tables-execute n=2000
ok	hypervisor-frames
any	recursive
ok	recursive-read
ok	pins
crash	root-garbage n=0
crash	root-garbage n=1
crash	root-garbage n=2
ok	roots-refused
ok	user-roots
ok	read-only
ok	hypercalls
any	hypercalls-wild
ok	multicalls
ok	long-counts
stop	long-call n=0
stop	long-call n=1
stop	long-call n=2
stop	long-call n=3
stop	long-call n=4
stop	long-call n=5
ok	rings
ok	balloon
any	balloon-wild
strict	strict
strict	strict-random
strict	pins
strict	hypercalls
strict	hypercalls-wild
strict	balloon-wild
strict	grant-maps-wild
ok	store-requests
ok	event-channels
ok	grants
ok	event-queues
any	event-queues-wild
ok	grant-maps
any	grant-maps-wild
stop	grant-long n=0
stop	grant-long n=1
ok	descriptors
any	breakpoints
ok	timers
ok	timer-far
stop	sleep-forever
stop	sleep-racing
ok	polls
crash	watchdog
ok	nmis
any	multicall-iret
ok	areas
ok	area-moved n=0
ok	area-moved n=1
ok	area-moved n=2
off	shutdown n=0
off	shutdown n=1
crash	shutdown n=3
crash	shutdown n=4
off	shutdown n=5
crash	shutdown n=6
crash	shutdown n=4294967295
crash	halt n=0
off	halt n=1
ok	callbacks n=0
crash	callbacks n=1
'
seeded='garbage-user garbage-compat garbage-kernel wild-data iret-hypercall iret-native
table-code leaf-anywhere leaf-execute tables-anywhere tables-execute recursive pins user-roots
hypercalls hypercalls-wild multicalls rings store-requests event-channels descriptors areas
event-queues event-queues-wild grant-maps grant-maps-wild'

evidence() {
	tail -n 5 "$TTD_TMP/out" | cut -c 1-200 | tr -cd '[:print:]\n'
	head -n 30 "$TTD_TMP/err"
}
# guest CMDLINE OPTION...: leaves rc, out, err.
guest() {
	local cmdline=$1
	shift
	timeout -k 5 120 "$ttd" run --kernel "$kernel" --memory 64 --clock virtual \
		--on-reboot exit --extra "$cmdline" "$@" </dev/null >"$TTD_TMP/out" 2>"$TTD_TMP/err"
	rc=$?
}
one_line() {
	[ "$(wc -l <"$TTD_TMP/err")" -eq 1 ] && grep -q '^ttd: guest crashed: ' "$TTD_TMP/err"
}
survived() {
	grep -qa 'survived$' "$TTD_TMP/out"
}

# A guest without end: give it a moment, then it is told to go.
stopped() {
	local pid start took
	"$ttd" run --kernel "$kernel" --memory 64 --clock virtual --extra "attack=$1" \
		</dev/null >/dev/null 2>"$TTD_TMP/err" &
	pid=$!
	: >"$TTD_TMP/out"
	sleep 0.4
	start=$EPOCHREALTIME
	kill -TERM $pid
	(sleep 10; kill -KILL $pid) 2>/dev/null &
	wait $pid
	rc=$?
	took=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
	kill $! 2>/dev/null
	wait $! 2>/dev/null
	[ $rc -eq 143 ] || wrong "$1: exit $rc after SIGTERM"
	[ -s "$TTD_TMP/err" ] && wrong "$1: output on standard error"
	[ $took -lt "$patience" ] || wrong "$1: took $took ms to stop"
}

# A sanitizer makes everything slower.
patience=4000
[ -z "$sanitizer" ] || patience=8000

while read -r class what; do
	case $class in
	ok)
		guest "attack=$what"
		[ $rc -eq 0 ] && survived && [ ! -s "$TTD_TMP/err" ] || wrong "$what: exit $rc"
		;;
	off)
		guest "attack=$what"
		[ $rc -eq 0 ] && [ ! -s "$TTD_TMP/err" ] || wrong "$what: exit $rc"
		;;
	crash)
		guest "attack=$what"
		[ $rc -eq 3 ] && one_line || wrong "$what: exit $rc"
		;;
	any)
		guest "attack=$what" --stop-at $instructions
		[ $rc -eq 0 ] || { [ $rc -eq 3 ] && one_line; } || wrong "$what: exit $rc"
		;;
	strict) # the same, with page types: complaints are no trouble
		guest "attack=$what" --stop-at $instructions --strict-mmu
		grep -q '^ttd: .*strict-mmu: ' "$TTD_TMP/err" || [ "${what#strict}" = "$what" ] ||
			wrong "$what: nothing was refused"
		sed -i '/^ttd: .*strict-mmu: /d' "$TTD_TMP/err"
		[ "$what" != strict ] || survived || wrong "strict: a rule is not kept"
		[ $rc -eq 0 ] || { [ $rc -eq 3 ] && one_line; } || wrong "strict $what: exit $rc"
		;;
	stop) stopped "$what" ;;
	esac
done < <(grep . <<<"$attacks")

# What the engines share, comparing them does not show: these check themselves.
for what in smc-self smc-straddle undecodable; do
	guest "attack=$what" --reference
	[ $rc -eq 0 ] && survived || wrong "$what on the reference engine: exit $rc"
done

# What no kernel with KASAN gets over is told by its name.
for n in 0 1; do
	guest "attack=shadow n=$n"
	[ $rc -eq 3 ] && one_line || wrong "shadow n=$n: exit $rc"
	[ "$(grep -c "exception 14 at rip.*: KASAN's shadow memory; a kernel with KASAN has no entry for PV guests" \
		"$TTD_TMP/err")" = $((1 - n)) ] || wrong "shadow n=$n: another reason"
done

# A kernel that is no Linux has the symbols of its own ELF file.
"$ttd" record -o own --kernel "$kernel" --memory 64 --extra attack=recursion </dev/null >"$TTD_TMP/out" 2>"$TTD_TMP/err"
"$ttd" bt own --at end >"$TTD_TMP/out" 2>"$TTD_TMP/err"
grep -q '^#0 .* recursion+0x' "$TTD_TMP/out" && grep -q ' kernel_main+0x' "$TTD_TMP/out" ||
	wrong "no names in the hostile kernel's stack"

# More code than the cache holds takes no more memory than the cache.
if [ -z "$sanitizer" ]; then
	(ulimit -v 450000; guest attack=code-flood --json; exit $rc) || wrong "code-flood in 450 MB"
fi

if [ -n "${TTD_SOAK:-}" ]; then
	for seed in $(seq 2 "${TTD_HOSTILE_SEEDS:-40}"); do
		for name in $seeded; do
			guest "attack=$name seed=$seed n=1500" --stop-at $instructions --json
			[ $rc -eq 0 ] || [ $rc -eq 3 ] || wrong "$name seed=$seed: exit $rc"
			first=$rc:$(sed -n 's/.*\("icount":[0-9]*\).*\("brctr":[0-9]*\).*\("mem_digest":"[0-9a-f]*"\).*/\1\2\3/p' "$TTD_TMP/err")
			guest "attack=$name seed=$seed n=1500" --stop-at $instructions --json --reference
			second=$rc:$(sed -n 's/.*\("icount":[0-9]*\).*\("brctr":[0-9]*\).*\("mem_digest":"[0-9a-f]*"\).*/\1\2\3/p' "$TTD_TMP/err")
			[ "$first" = "$second" ] ||
				wrong "$name seed=$seed: the engines differ: $first, $second"
		done
	done
fi
exit $bad
