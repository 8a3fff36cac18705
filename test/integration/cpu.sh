#!/bin/bash
# cpu.sh - a guest's CPU model: what it shows, that a program which uses all of it (the C
# library's choices by CPUID, ymm registers across switches and signals, rdrand) replays
# equal on both engines, and what is refused.
set -u
. "${0%/*}/../lib.sh"
gcc -std=gnu11 -O2 -static -o "$TTD_TMP/avx" test/guest/avx.c || exit 1
make_guest --add "$TTD_TMP/avx:/avx"
cleanup() { # it is of no use to another run
	rm -f "$RAMDISK"
}
grep -qw avx2 /proc/cpuinfo || { echo "this host has no AVX2"; exit 77; }

# record NAME MODEL OPTION...
record() {
	local name=$1 model=$2
	shift 2
	timeout 300 "$ttd" record --force -o "$name" --kernel "$KERNEL" --ramdisk "$RAMDISK" "$@" \
		--extra 'quiet ttd.run="/avx; grep ^model.name /proc/cpuinfo"' \
		>"$TTD_TMP/$name.out" 2>"$TTD_TMP/$name.err" </dev/null || wrong "$name: exit $?"
	"$ttd" info "$name" | grep -q "^guest_cpu *$model" || wrong "$name: not $model"
}
same() { # NAME OPTION...
	timeout 600 "$ttd" replay "$@" >"$TTD_TMP/out" 2>"$TTD_TMP/err" </dev/null ||
		wrong "replay $*: $(tail -n 3 "$TTD_TMP/err")"
}

record v3 v3
same v3
same v3 --reference
grep -q 'avx: memory ok, turns ok, random ok' "$TTD_TMP/v3.out" || wrong "v3: $(tail "$TTD_TMP/v3.out")"
grep -q 'x86-64-v3' "$TTD_TMP/v3.out" || wrong "v3: another model name"
record max max --cpu max
same max
grep -q 'avx: memory ok, turns ok, random ok' "$TTD_TMP/max.out" || wrong "max: $(tail "$TTD_TMP/max.out")"
record v2 v2 --cpu v2
same v2
grep -q 'avx: none is shown' "$TTD_TMP/v2.out" || wrong "v2: $(tail "$TTD_TMP/v2.out")"

# By the host's clock rdrand has the host's randomness, by a virtual one always the same.
sums() {
	sed -n 's/^avx: .*sum \([0-9a-f]*\), rdrand \([0-9a-f]*\).*/\1 \2/p' "$TTD_TMP/$1.out" | tr -d '\r'
}
record again v3
read -r sum number <<<"$(sums v3)"
read -r sum2 number2 <<<"$(sums again)"
[ "$sum" = "$sum2" ] || wrong "another sum: $sum, $sum2"
[ "$number" != "$number2" ] || wrong "the same rdrand in two runs"
record virtual1 v3 --clock virtual
record virtual2 v3 --clock virtual
[ "$(sums virtual1)" = "$(sums virtual2)" ] || wrong "a virtual clock, and two runs differ"

"$ttd" run --cpu v4 --kernel "$KERNEL" >"$TTD_TMP/out" 2>"$TTD_TMP/err"
[ $? -eq 2 ] && grep -q 'cpu v4: give v2, v3 or max' "$TTD_TMP/err" || wrong "v4 is taken"
exit $bad
