#!/bin/bash
# restore.sh - a guest that begins with the state that xl save wrote: it goes on from there,
# is recorded, replays, is gone to and fro in, packed; and images that cannot be run.
set -u
. "${0%/*}/../lib.sh"
image=$TTD_TMP/small.save
test/xlsave.py "$image" || wrong "xlsave.py"

"$ttd" restore "$image" </dev/null >"$TTD_TMP/out" 2>"$TTD_TMP/err" || wrong "restore: $(cat "$TTD_TMP/err")"
printf 'first line after the restore\nand the last one\n' | cmp - <(tr -d '\r' <"$TTD_TMP/out") ||
	wrong "restore: the console"
"$ttd" record -o r --restore "$image" --clock virtual </dev/null >"$TTD_TMP/out" 2>"$TTD_TMP/err" ||
	wrong "record --restore: $(cat "$TTD_TMP/err")"
"$ttd" replay r >"$TTD_TMP/again" 2>"$TTD_TMP/err" || wrong "replay: $(cat "$TTD_TMP/err")"
cmp "$TTD_TMP/out" "$TTD_TMP/again" || wrong "the replay's console"
"$ttd" info r --json >"$TTD_TMP/json" || wrong "info"
grep -q '"restored":"Xen 4.17","kernel":"'"$image"'".*"memory_mb":64,' "$TTD_TMP/json" || wrong "info: $(cat "$TTD_TMP/json")"

# Its first instruction, the middle, and back; the state there; a core of it.
"$ttd" replay r --at end --at 0 --at 50% --at 0 --digest >"$TTD_TMP/at" 2>"$TTD_TMP/err" || wrong "--at: $(cat "$TTD_TMP/err")"
[ "$(grep '^at 0 ' "$TTD_TMP/at" | sort -u | wc -l)" -eq 1 ] && grep -q '^at 0 .*ip:0xffff88800000a000' "$TTD_TMP/at" ||
	wrong "--at 0: $(cat "$TTD_TMP/at")"
"$ttd" regs r --at 0 --json | grep -q '"rip":"0xffff88800000a000"' || wrong "regs at the start"
"$ttd" mem 0xffff88800000a800 10 r --at 0 | grep -q '|first line|' || wrong "mem at the start"
"$ttd" dump-core r --at 0 -o "$TTD_TMP/core" && [ "$(stat -c %s "$TTD_TMP/core")" -gt 67108864 ] || wrong "dump-core"

# Elsewhere, without the image.
"$ttd" pack r -o "$TTD_TMP/r.ttd" 2>"$TTD_TMP/err" || wrong "pack: $(cat "$TTD_TMP/err")"
mv "$image" "$image.away"
"$ttd" replay "$TTD_TMP/r.ttd" >"$TTD_TMP/again" 2>"$TTD_TMP/err" || wrong "replay of the pack: $(cat "$TTD_TMP/err")"
"$ttd" replay r >/dev/null 2>"$TTD_TMP/err" && wrong "a replay without its image"
"$ttd" replay r --kernel "$image.away" >/dev/null 2>"$TTD_TMP/err" || wrong "--kernel: $(cat "$TTD_TMP/err")"
mv "$image.away" "$image"

# refused TEXT ARGS...: exits with 1 or 2 and says that, in one line.
refused() {
	local text=$1 rc
	shift
	timeout 60 "$ttd" "$@" </dev/null >/dev/null 2>"$TTD_TMP/err"
	rc=$?
	[ $rc -eq 1 ] || [ $rc -eq 2 ] || wrong "$*: exit $rc"
	[ "$(wc -l <"$TTD_TMP/err")" -eq 1 ] && grep -qF -e "$text" "$TTD_TMP/err" || wrong "$*: $(cat "$TTD_TMP/err")"
}
for what in avx p2m vcpus; do
	test/xlsave.py "$TTD_TMP/$what.save" $what
done
refused 'cpuid="host,avx=0"' restore "$TTD_TMP/avx.save"
refused 'entry 7 of page table 0x4 leads to page 0xffffff, which is not in it' restore "$TTD_TMP/p2m.save"
refused 'X86_PV_VCPU_BASIC at offset' restore "$TTD_TMP/vcpus.save"
refused 'this is no file of xl save' restore test/lib.sh
head -c 100000 "$image" >"$TTD_TMP/cut.save"
refused 'bytes do not fit into the file' restore "$TTD_TMP/cut.save"
refused 'No such file' record --restore "$TTD_TMP/nowhere.save"
refused 'leave --kernel' record --restore "$image" --kernel "$image"
refused 'leave --kernel' record --restore "$image" --memory 128
refused 'give one image' restore
exit $bad
