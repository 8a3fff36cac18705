#!/bin/bash
# readlog.sh - ttd-read-log: events, names, filters and positions; symbols equal
# to those that each kernel says it has; a long log shown at once, in little
# memory; damage told and passed.
set -u
. "${0%/*}/../lib.sh"
read_log=$TTD_BUILD/ttd-read-log
make_guest
# Looked for before XDG_CACHE_HOME is ours: mkguest keeps them there too.
others=()
if [ -n "${TTD_SOAK:-}" ]; then
	for flavour in cloud-amd64 rt-amd64; do
		others+=("flavour=$flavour; $(tools/mkguest --print --flavour $flavour)")
	done
fi
export XDG_CACHE_HOME=$TTD_TMP/cache
# check_symbols: the names for the latest trace's kernel are those it prints itself.
check_symbols() {
	local flavour=$1
	rm -rf "$XDG_CACHE_HOME"
	"$ttd" record --kernel "$KERNEL" --ramdisk "$RAMDISK" --force -o "sym-$flavour" \
		--clock virtual --extra 'quiet ttd.run="cat /proc/kallsyms"' </dev/null 2>"$TTD_TMP/err" |
		tr -d '\r' | grep -E '^[0-9a-f]{16} . [^[:space:]]+$' | sort >"$TTD_TMP/guest"
	"$read_log" -i -n 0 -w 1 "sym-$flavour" >"$TTD_TMP/out" || wrong "-i, $flavour"
	sort "$XDG_CACHE_HOME"/ttd/symbols/* >"$TTD_TMP/ours"
	[ "$(wc -l <"$TTD_TMP/ours")" -gt 50000 ] || wrong "few symbols in $flavour"
	cmp -s "$TTD_TMP/guest" "$TTD_TMP/ours" ||
		wrong "$flavour: $(diff "$TTD_TMP/guest" "$TTD_TMP/ours" | head -5)"
}
for other in "${others[@]}"; do
	(eval "$other"; check_symbols $flavour; exit $bad) || bad=1
done
check_symbols amd64

# The names stay known when the kernel has gone, and can come from a file.
trace=sym-amd64
line='^brctr:[0-9]*, ip:0x[0-9a-f]*, icount:[0-9]*, TTD_HYPERCALL(17),info:mmu_update(1), at:xen_hypercall_pv+0x5$'
"$read_log" -i "$trace" | grep -q "$line" || wrong "no mmu_update"
"$read_log" -i "$trace" >"$TTD_TMP/all"
XDG_CACHE_HOME=$TTD_TMP/nowhere "$read_log" --symbols "$TTD_TMP/ours" "$trace" | cmp - "$TTD_TMP/all" ||
	wrong "--symbols with a System.map"
XDG_CACHE_HOME=$TTD_TMP/nowhere "$read_log" --symbols "$KERNEL" "$trace" | cmp - "$TTD_TMP/all" ||
	wrong "--symbols with a kernel"
"$read_log" -f "$TTD_TRACE_DIR/$trace/ttd.log.guest" -i | cmp - "$TTD_TMP/all" || wrong "-f with a path"
"$read_log" "$trace" | head -1 | grep -qx 'brctr:0, ip:0x0, icount:0, event:1,info:0' || wrong "numbers"
"$read_log" -v "$trace" | grep -q 'event:16,info:14, check:0x..*, error:0x[0-9a-f]*, cr2:0x' || wrong "-v"
[ "$(tail -1 "$TTD_TMP/all" | grep -c 'TTD_END(0),info:poweroff(0)')" = 1 ] || wrong "no end"

# Counts are those of the log's own end.
"$ttd" info "$trace" --json >"$TTD_TMP/info"
field() {
	sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$TTD_TMP/info"
}
"$read_log" --count "$trace" >"$TTD_TMP/count"
[ "$(sed -n 's/ *\([0-9]*\) TTD_INPUT.*/\1/p' "$TTD_TMP/count")" = "$(field inputs)" ] || wrong "inputs"
[ "$(awk '/EXCEPTION|HYPERCALL|UPCALL|MARK|EXITS/ { n += $1 } END { print n }' "$TTD_TMP/count")" = \
	"$(field witnesses)" ] || wrong "witnesses"
[ "$(wc -l <"$TTD_TMP/all")" = "$(awk '{ n += $1 } END { print n }' "$TTD_TMP/count")" ] || wrong "lines"
"$read_log" --count -i -t hypercall:iret "$trace" | tail -1 | grep -q 'TTD_HYPERCALL(17),info:iret(23)$' ||
	wrong "--count of iret"

# Ranges and filters cut out of the whole what they should.
mid=$(sed -n '20000s/brctr:\([0-9]*\),.*/\1/p' "$TTD_TMP/all")
before=$(awk -F'[:,]' -v m="$mid" '$2 >= m { print NR - 1; exit }' "$TTD_TMP/all")
"$read_log" -i --from "brctr:$mid" "$trace" | cmp - <(tail -n +$((before + 1)) "$TTD_TMP/all") || wrong "--from"
"$read_log" -i --to "brctr:$mid" "$trace" | cmp - <(head -n "$before" "$TTD_TMP/all") || wrong "--to"
"$read_log" -i -n "$mid" -w 40 "$trace" | cmp - <(tail -n +$((before - 19)) "$TTD_TMP/all" | head -n 40) ||
	wrong "-n -w"
"$read_log" -i -n 5 -w 10 "$trace" | cmp - <(head -n 10 "$TTD_TMP/all") || wrong "-n at the start"
"$read_log" -i -t exception,upcall "$trace" | cmp - <(grep -E 'TTD_(EXCEPTION|UPCALL)' "$TTD_TMP/all") || wrong "-t"
"$read_log" -i -t exception:14 "$trace" | cmp - <(grep -F 'do_page_fault(14)' "$TTD_TMP/all") || wrong "-t :14"
[ "$("$read_log" --json "$trace" | grep -c '^{"type":"[a-z]*",.*}$')" = "$(wc -l <"$TTD_TMP/all")" ] || wrong "--json"
if command -v jq >/dev/null; then
	[ "$("$read_log" --json "$trace" | jq -r .type | sort -u | wc -l)" -ge 6 ] || wrong "--json is not JSON"
fi

# The replay's log is the recording's but for marks, and for exits that share a record there.
"$ttd" replay --verify --log "$trace" >/dev/null 2>&1 || wrong "replay"
"$read_log" -i -v "$trace" | grep -v TTD_MARK | sed '/TTD_EXITS/,$d' >"$TTD_TMP/single"
"$read_log" -r -i -v "$trace" | head -n "$(wc -l <"$TTD_TMP/single")" | cmp - "$TTD_TMP/single" || wrong "-r"
"$ttd" diff "$trace" 2>/dev/null || wrong "ttd diff of equal logs"

# A gigabyte (less, when not soaking): the window shows at once (within a second of CPU
# time, as the machine may be busy), in bounded memory: less than the log's size, far more
# than what is used.
bounded() {
	(ulimit -v 100000 -t 1; "$read_log" -f "$big" "$@")
}
mb=128
[ -z "${TTD_SOAK:-}" ] || mb=1024
big=$TTD_TMP/ttd.log.big
records=$("$TTD_BUILD/unit/make_log" "$big" $mb) || wrong "make_log"
for at in 0 $((records / 2 * 1000)) $((records * 1000)); do
	[ -n "$(bounded -n $at -w 20 | head -1)" ] || wrong "nothing at $at"
done
[ "$( (ulimit -v 100000; "$read_log" -f "$big" --count) | awk '{ n += $1 } END { print n }')" = $((records + 1)) ] ||
	wrong "big count"
# The same without its index: cut short.
truncate -s $((mb * 1000000)) "$big"
[ -n "$(bounded -n $((records / 2 * 1000)) -w 20 | head -1)" ] || wrong "cut log"
# Damage in the middle: told, passed, exit status 5.
printf 'damage' | dd of="$big" bs=1 seek=$((mb * 500000)) conv=notrunc 2>/dev/null
"$read_log" -f "$big" --count >"$TTD_TMP/out" 2>"$TTD_TMP/err"
[ $? -eq 5 ] || wrong "damage: exit status"
grep -q 'damaged at offset [0-9]*: .* is lost' "$TTD_TMP/err" || wrong "damage: $(cat "$TTD_TMP/err")"
rm -f "$big"

# What users mistype gives one line and status 2, a log that is none 1 or 5.
expect() {
	local status=$1 pattern=$2 out rc
	shift 2
	out=$("$read_log" "$@" 2>&1)
	rc=$?
	[ $rc -eq "$status" ] && grep -q -- "$pattern" <<<"$out" && [ "$(wc -l <<<"$out")" -eq 1 ] ||
		wrong "ttd-read-log $*: exit $rc: $out"
}
expect 2 'unknown option' --foo
expect 2 'needs a value' -n
expect 2 'branch count' -n x
expect 2 'number of events' -w 0 "$trace"
expect 2 'brctr:N' --from 5% "$trace"
expect 2 'give input' -t page "$trace"
expect 2 'one log at a time' "$trace" other
expect 2 'do not go together' -n 5 --to 3 "$trace"
expect 1 'No such file' nothing
expect 1 'no replay' -r "$TTD_TRACE_DIR/$trace/ttd.log.guest.replay.0"
expect 5 'damaged\|too short' -f "$0"
expect 0 '^ttd-read-log [0-9]' --version
"$read_log" --help | grep -q '^usage: ttd-read-log' || wrong "--help"
for o in $("$read_log" --help | sed -n 's/^ .* --\([a-z-]*\).*/\1/p'); do
	grep -q "Fl Fl $o" man/ttd-read-log.1 || wrong "man/ttd-read-log.1 lacks --$o"
done
exit $bad
