#!/bin/bash
# seek.sh - every place of a recording is the same however one comes there.
#
# A session goes to SEEKS random places, here and there and a few instructions to
# and fro; position, registers, all memory and the hypervisor's state must be those
# of a session that runs straight on without any checkpoint.  The choice comes from
# SEED, which is printed.  Then the other forms of positions.
set -u -o pipefail
. "${0%/*}/../lib.sh"
make_guest
seeks=${SEEKS:-20}
seed=${SEED:-$$}
RANDOM=$seed
echo "SEED=$seed SEEKS=$seeks"
field() { # NAME: of JSON lines on standard input
	sed -n "s/.*\"$1\":\"\{0,1\}\([0-9a-zx]*\).*/\1/p"
}
big() { # N: a random number below N
	echo $(((RANDOM << 45 ^ RANDOM << 30 ^ RANDOM << 15 ^ RANDOM) % $1))
}
at() { # OPTION...: places, but for how long it took
	timeout 1000 "$ttd" replay a --json --digest "$@" 2>"$TTD_TMP/err" |
		sed 's/,"seek_ms":[0-9.]*//'
}

load='for i in 1 2 3; do ls /; sleep 0.1; date; done; head -c 30000 /dev/urandom | md5sum; echo landmark'
[ -z "${TTD_SOAK:-}" ] || load="$load; for i in 1 2 3 4; do find / -xdev | sort | md5sum; done"
timeout 300 "$ttd" record --force -o a --kernel "$KERNEL" --ramdisk "$RAMDISK" \
	--extra "quiet ttd.run=\"$load\"" </dev/null >"$TTD_TMP/out" 2>"$TTD_TMP/err" ||
	{ cat "$TTD_TMP/err"; exit 1; }
end=$(at --at end | field end)
echo "recorded $end instructions"

places=()
p=0
for ((i = 0; i < seeks; i++)); do
	case $((RANDOM % 8)) in
	0 | 1 | 2 | 3) p=$(big $((end + 1))) ;;
	4) p=$((p > 0 ? p - 1 : 0)) ;;
	5) p=$((p + 1 + RANDOM % 1000)) ;;
	6) p=$((p - RANDOM * 100)) ;;
	7) p=$((p + RANDOM * 1000)) ;;
	esac
	[ $p -ge 0 ] || p=0
	[ $p -le "$end" ] || p=$end
	places+=("$p")
done
options=()
for p in "${places[@]}"; do options+=(--at "$p"); done
at "${options[@]}" >"$TTD_TMP/there" || wrong "seek: exit $?: $(cat "$TTD_TMP/err")"
options=()
for p in $(printf '%s\n' "${places[@]}" | sort -nu); do options+=(--at "$p"); done
at --no-checkpoints "${options[@]}" >"$TTD_TMP/straight" || wrong "straight: $(cat "$TTD_TMP/err")"
[ "$(wc -l <"$TTD_TMP/there")" -eq "$seeks" ] || wrong "a place is missing"
sort -u "$TTD_TMP/there" >"$TTD_TMP/a"
sort -u "$TTD_TMP/straight" >"$TTD_TMP/b"
cmp -s "$TTD_TMP/a" "$TTD_TMP/b" || {
	wrong "these places differ (seed $seed)"
	diff "$TTD_TMP/a" "$TTD_TMP/b" | head -n 10
}

# The other forms, each once from the end of the recording.
n=$(at --at end --at brctr:1234567 | sed 1d | field brctr)
[ "$n" = 1234567 ] || wrong "brctr:1234567 is brctr $n"
n=$(at --at 25% | field icount)
[ "$n" = $((end / 4)) ] || wrong "25% is $n"
# The faster the host, the shorter the recording: three quarters of it, in milliseconds.
late=$(($(at --at end | field guest_ns) / 1000000 * 3 / 4))
[ $late -gt 500 ] || wrong "the recording ends at 4/3 of $late ms"
time_of() { printf 'time:%d.%03d' $(($1 / 1000)) $(($1 % 1000)); }
n=$(at --at end --at "$(time_of $late)" | sed 1d | field guest_ns)
{ [ "$n" -ge ${late}000000 ] && [ "$n" -le $((late + 400))000000 ]; } || wrong "time: $late ms is $n ns"
# Inputs set the clock at a place; the time asked for may have come by one of them.
options=()
for ((ms = late; ms > 300; ms -= 23)); do options+=(--at "$(time_of $ms)"); done
ms=$late
for n in $(at "${options[@]}" | field guest_ns); do
	[ "$n" -ge ${ms}000000 ] || wrong "time: $ms ms is $n ns"
	ms=$((ms - 23))
done
[ $ms -le 300 ] || wrong "no place at $ms ms"
at --at console:landmark --at panic >"$TTD_TMP/place" && wrong "a panic where there is none"
grep -q 'does not print a panic or an oops' "$TTD_TMP/err" || wrong "no panic: $(cat "$TTD_TMP/err")"
n=$(field icount <"$TTD_TMP/place")
{ [ -n "$n" ] && [ "$n" -gt $((end / 2)) ]; } || wrong "console:landmark is at $n of $end"
# Backwards: where one has been, and none.
at --at end --at before:console:landmark | sed 1d | field icount | grep -qx "$n" ||
	wrong "before:console:landmark is not at $n"
# The line before it is printed by another program: there is a checkpoint between them.
at --at $((n - 1000)) --at end --at before:console:$'-\r\nlandmark' | sed 1,2d | field icount |
	grep -qx "$n" || wrong "before:console:-...landmark is not at $n"
at --at "$n" --at before:console:landmark >"$TTD_TMP/place" && wrong "landmark before landmark"
grep -q 'between the start and here' "$TTD_TMP/err" || wrong "no landmark: $(cat "$TTD_TMP/err")"
event=$("${ttd%/*}/ttd-read-log" -f a -v | sed -n 1000p)
n=$(at --at event:1000 | field icount)
grep -q "icount:\($n\|$((n + 1))\)," <<<"$event" || wrong "event:1000 is $n, not $event"

# Stored checkpoints: taken again by a replay, the same places; a recording that is
# killed while it writes them; damage.
log=$TTD_TRACE_DIR/a/ttd.log.guest
timeout 300 "$ttd" replay a --checkpoint-every 150000000 >/dev/null 2>"$TTD_TMP/err" </dev/null ||
	wrong "replay with checkpoints: $(cat "$TTD_TMP/err")"
n=$("$ttd" info a --json | field checkpoints)
[ "$n" -ge $((end / 150000000)) ] || wrong "a replay took $n checkpoints"
options=()
for p in "${places[@]:0:10}"; do options+=(--at "$p"); done
at "${options[@]}" >"$TTD_TMP/c"
head -n 10 "$TTD_TMP/there" | cmp -s - "$TTD_TMP/c" || wrong "places differ with stored checkpoints"
cp "$log.checkpoints" "$TTD_TMP/good"
size=$(stat -c %s "$log.checkpoints")
for ((i = 0; i < 3; i++)); do
	printf '\xa5\x5a' | dd of="$log.checkpoints" bs=1 seek="$(big "$size")" conv=notrunc 2>/dev/null
done
at "${options[@]}" | cmp -s - "$TTD_TMP/c" || wrong "places differ with damaged checkpoints"
cp "$TTD_TMP/good" "$log.checkpoints"

# The last writer of a counter that its tick wrote; of what nobody wrote.
"$ttd" last-write jiffies a --at 80% --json >"$TTD_TMP/w" 2>"$TTD_TMP/err" ||
	wrong "last-write: $(cat "$TTD_TMP/err")"
grep -q '"by":"instruction".*"symbol":"tick_do_update_jiffies64' "$TTD_TMP/w" ||
	wrong "last-write jiffies: $(cat "$TTD_TMP/w")"
n=$(field icount <"$TTD_TMP/w")
"$ttd" mem jiffies 8 a --at $((n - 1)) --json >"$TTD_TMP/before"
"$ttd" mem jiffies 8 a --at "$n" --json >"$TTD_TMP/after"
"$ttd" mem jiffies 8 a --at 80% --json >"$TTD_TMP/then"
hex() { sed -n 's/.*"bytes":"\([0-9a-f]*\)".*/\1/p' "$1"; }
[ "$(hex "$TTD_TMP/before")" != "$(hex "$TTD_TMP/after")" ] || wrong "jiffies was not written there"
[ "$(hex "$TTD_TMP/then")" = "$(hex "$TTD_TMP/after")" ] || wrong "jiffies was written later"
"$ttd" last-write linux_banner a --at 80% >"$TTD_TMP/w" 2>&1
grep -q 'nobody has written' "$TTD_TMP/w" || wrong "last-write linux_banner: $(cat "$TTD_TMP/w")"

# Of the CPU's time, which no guest writes (struct vcpu_info, time.tsc_timestamp).
"$ttd" symbols a --at 80% -o "$TTD_TMP/symbols" >/dev/null 2>"$TTD_TMP/err" ||
	wrong "symbols: $(cat "$TTD_TMP/err")"
"$ttd" mem __per_cpu_offset 8 a --at 80% --json >"$TTD_TMP/percpu"
base=$(hex "$TTD_TMP/percpu" | fold -w 2 | tac | tr -d '\n')
info=$(nm "$TTD_TMP/symbols" | sed -n 's/ . xen_vcpu_info$//p')
"$ttd" last-write "$(printf '%#x' $((16#$base + 16#$info + 40)))" a --at 80% >"$TTD_TMP/w" 2>&1
grep -q 'by the hypervisor: ' "$TTD_TMP/w" || wrong "last-write xen_vcpu_info: $(cat "$TTD_TMP/w")"

for ((i = 0; i < ${KILLS:-2}; i++)); do
	"$ttd" record --force -o k --kernel "$KERNEL" --ramdisk "$RAMDISK" --extra quiet \
		--checkpoint-every 10000000 </dev/null >/dev/null 2>&1 &
	pid=$!
	sleep $((1 + RANDOM % 3)).$((RANDOM % 10))
	kill -9 $pid
	wait $pid 2>/dev/null
	"$ttd" info k >/dev/null 2>&1 || continue # killed before its first chunk
	timeout 300 "$ttd" replay k --json --digest --at 90% --at end >"$TTD_TMP/k" 2>"$TTD_TMP/err" ||
		wrong "killed: $(cat "$TTD_TMP/err")"
	timeout 300 "$ttd" replay k --json --digest --at 90% --at end --no-checkpoints \
		2>"$TTD_TMP/err" | sed 's/,"seek_ms":[0-9.]*//' >"$TTD_TMP/l"
	sed 's/,"seek_ms":[0-9.]*//' "$TTD_TMP/k" | cmp -s - "$TTD_TMP/l" ||
		wrong "killed: places differ: $(diff "$TTD_TMP/k" "$TTD_TMP/l" | head -n 4)"
done
at --at x >/dev/null
grep -q "position 'x'" "$TTD_TMP/err" || wrong "position x: $(cat "$TTD_TMP/err")"
exit $bad
