#!/bin/bash
# divergence.sh - a replay that is truly spoilt stops at the first witness that
# can see it, says where and in whose code, and exits with status 4.
set -u
. "${0%/*}/../lib.sh"
read_log=$TTD_BUILD/ttd-read-log
make_guest
export XDG_CACHE_HOME=$TTD_TMP/cache
out=$TTD_TMP/out
evidence() {
	tail -n 20 "$out"
}
has() {
	grep -q -- "$1" "$out" || wrong "no '$1'"
}
# spoil STATUS SPEC: replays $trace so.
spoil() {
	timeout 300 "$ttd" replay "$trace" --verify --perturb "$2" >"$out" 2>&1
	local rc=$?
	[ $rc -eq "$1" ] || wrong "$2: exit $rc"
	grep -q '^ttd: TT_LOG:(cpu(0): replay_[a-z]*) Error:' "$out" || [ "$1" -ne 4 ] ||
		wrong "$2: no TT_LOG line"
}
cp "$KERNEL" "$TTD_TMP/kernel"
cp "$RAMDISK" "$TTD_TMP/ramdisk"
trace=virtual
"$ttd" record --kernel "$TTD_TMP/kernel" --ramdisk "$TTD_TMP/ramdisk" --clock virtual -o $trace \
	--extra 'quiet ttd.run="for i in 1 2 3; do sh -c true; sleep 0.1; done; uname -r"' \
	</dev/null >/dev/null 2>"$out" || wrong "record"
spoil 0 any-file

# Where a kernel symbol is in guest memory: frame and offset.
"$read_log" -i -n 0 -w 1 $trace >/dev/null
place() {
	local a
	a=0x$(grep -h " $1\$" "$XDG_CACHE_HOME"/ttd/symbols/* | cut -d' ' -f1 | tail -1)
	echo $((0x18000 + ((a - 0xffffffff80000000) >> 12))):$(((a + ${2:-0}) & 4095))
}
# When the first program begins: the last exec of init's is a good deal later.
user=$("$read_log" $trace -t hypercall:iret | tail -300 | head -1 | sed 's/.*icount:\([0-9]*\).*/\1/')

# 1. A poked byte of code: an int3 where the kernel serves uname().
spoil 4 "poke=$user:$(place __x64_sys_newuname):0xcc"
has 'Replay got unexpected event:TTD_EXCEPTION(16),info:do_int3(3):now (brctr:[0-9]*, ip:0x'
has 'replayed at: .*, kernel, .*sys_newuname+0x1$'
has 'process: [0-9]* (.*), command: .*, binary: /'
has 'last good event: brctr:'
has 'differs: '
has 'registers: rax:0x'
# Its log and the text are kept, and diff shows the point.
[ -s "$TTD_TRACE_DIR/$trace/ttd.log.guest.replay.0.txt" ] || wrong "no text"
"$ttd" diff $trace --context 4 >"$out"
[ $? -eq 4 ] || wrong "ttd diff: exit status"
[ "$(grep -c '^  ' "$out")" -eq 4 ] || wrong "ttd diff: context"
grep -q '^+ .*TTD_EXCEPTION(16),info:do_int3(3).*sys_newuname+0x1$' "$out" || wrong "ttd diff: replay"
grep -q '^- .*TTD_HYPERCALL' "$out" || wrong "ttd diff: recording"
good=$(grep '^  ' "$out" | tail -1 | sed 's/.*icount:\([0-9]*\),.*/\1/')
grep -q "^last good event: .*icount:$good," "$TTD_TRACE_DIR/$trace/ttd.log.guest.replay.0.txt" ||
	wrong "diff and the text do not agree"

# 2. A poked byte of data that nothing reads: the digest at the end is the first to see it,
spoil 4 "poke=$user:$(place linux_proc_banner 3):0x7e"
has 'differs: memory$'
has 'since: the last equal digest, at icount'
has 'page: mfn 0x[0-9a-f]*, pfn 0x[0-9a-f]*, at 0xffffffff8[0-9a-f]*: kernel: __start_rodata.*; changed by the replay only$'
has 'register: all registers and the hypervisor.s state are equal$'
grep -q 'ip:0x0)' "$out" && wrong "no place where it ended"
[ "$(grep -c '^ttd: page:' "$out")" -eq 1 ] || wrong "more pages than were poked"
# ... or the next of those on the way, when there is one.
spoil 4 "poke=1500000000:$(place linux_proc_banner 3):0x7e"
has 'Replay missed event:TTD_DIGEST(3)'
has 'differs: memory$'
at=$(sed -n 's/.*replayed at: .*icount:\([0-9]*\),.*/\1/p' "$out")
next=$("$read_log" $trace -t digest --from 1500000000 | head -1 | sed 's/.*icount:\([0-9]*\).*/\1/')
[ "$at" = "$next" ] || wrong "stopped at $at, the first digest after the poke is at $next"
has 'page: mfn .*__start_rodata.*; changed by the replay only$'
[ "$(grep -c '^ttd: page:' "$out")" -eq 1 ] || wrong "more pages than were poked"
# A byte that is the same as before is no difference.
spoil 0 "poke=1500000000:$(place linux_proc_banner 0):$(printf %d "'%")"

# 3. A changed kernel and a changed ramdisk: refused by digest, or seen when that is off.
printf 'x' >>"$TTD_TMP/ramdisk"
spoil 1 poke=1:1:1:1
has 'ramdisk .* is not the one that was recorded'
spoil 4 any-file
cp "$RAMDISK" "$TTD_TMP/ramdisk"
# A kernel with one byte changed, which needs an unpacked one to change.
if command -v xz >/dev/null && command -v readelf >/dev/null; then
	le() { od -An -t u$3 -j "$2" -N "$3" "$1" | tr -d ' '; }
	start=$((($(le "$KERNEL" 497 1) + 1) * 512 + $(le "$KERNEL" 584 4)))
	tail -c +$((start + 1)) "$KERNEL" | head -c $(($(le "$KERNEL" 588 4) - 4)) |
		xz -dc >"$TTD_TMP/kernel" 2>/dev/null
	trace=elf
	"$ttd" record --kernel "$TTD_TMP/kernel" --ramdisk "$TTD_TMP/ramdisk" --clock virtual \
		-o $trace --extra 'quiet ttd.run="uname -r"' </dev/null >/dev/null 2>"$out" ||
		wrong "record a vmlinux"
	a=0x$(grep -h ' __x64_sys_newuname$' "$XDG_CACHE_HOME"/ttd/symbols/* | cut -d' ' -f1)
	# The first segment: file offset, address.
	read -r off va < <(readelf -lW "$TTD_TMP/kernel" | awk '$1 == "LOAD" { print $2, $3; exit }')
	printf '\xcc' | dd of="$TTD_TMP/kernel" bs=1 seek=$((off + a - va)) conv=notrunc 2>/dev/null
	spoil 1 poke=1:1:1:1
	has 'kernel .* is not the one that was recorded'
	spoil 4 any-file
	has 'TTD_DIGEST(3)\|do_int3(3)'
	rm -f "$TTD_TMP/kernel"
fi

# 4. Skipped events: a step of time, and what was typed.
trace=host
{ sleep 3; echo 'echo typed; exit'; sleep 2; } | timeout 120 "$ttd" record --kernel "$KERNEL" \
	--ramdisk "$RAMDISK" -o $trace --extra quiet >/dev/null 2>"$out"
typed=$("$read_log" -i -t input $trace | grep -n 'info:console(3)' | head -1 | cut -d: -f1)
spoil 4 "skip=$((typed - 1))"
has '^ttd: last good event: .*'
spoil 4 skip=40
has 'process: '
has 'differs: .*guest time'
# An input right before one that came in user code: then user code is where it shows.
trace=busy
"$ttd" record --kernel "$KERNEL" --ramdisk "$RAMDISK" -o $trace \
	--extra 'quiet ttd.run="i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"' \
	</dev/null >/dev/null 2>"$out" || wrong "record"
n=$("$read_log" -i $trace | awk '/TTD_INPUT/ { n++; if (input && /at:user$/ && n > 2) found = n }
	{ input = /TTD_INPUT/ } END { print found }')
if [ -z "$n" ]; then
	wrong "no two inputs in a row in user code"
else
	# The first is the date at boot, which is not counted.
	spoil 4 "skip=$((n - 2))"
	has 'recorded at: .*, user code, /[a-z/]*busybox+0x[0-9a-f]*$'
	has 'replayed at: .*, user code, /[a-z/]*busybox+0x[0-9a-f]*$'
	has 'process: [0-9]* (sh), command: sh -c i=0; while .*, binary: /[a-z/]*busybox$'
fi

# 5. A report has all of it, and says what it may hold.
"$ttd" report virtual --replay 0 --binary -o "$TTD_TMP/report.tar.zst" >"$out" 2>&1 || wrong "ttd report"
has 'may hold secrets'
tar -tf "$TTD_TMP/report.tar.zst" 2>/dev/null | sort >"$out"
if [ -s "$out" ]; then
	for f in README info.txt diff.txt divergence.txt recording.log replay.log binary; do
		has "^ttd-report/$f\$"
	done
	tar -xOf "$TTD_TMP/report.tar.zst" ttd-report/recording.log | cmp - "$TTD_TRACE_DIR/virtual/ttd.log.guest" ||
		wrong "the report's log"
fi
"$ttd" report virtual -o "$TTD_TMP/report.tar.zst" >"$out" 2>&1
[ $? -eq 2 ] || wrong "an existing report was replaced"
"$ttd" replay virtual --perturb nonsense >"$out" 2>&1
[ $? -eq 2 ] || wrong "--perturb nonsense"
"$ttd" replay --help | grep -q perturb && wrong "--perturb shows in the help"
exit $bad
