#!/bin/bash
# golden.sh - traces that were made once (test/golden) are read as they were
# then, and those of this engine and ABI replay to the last bit: on a processor of the
# vendor that they were recorded on.  Elsewhere they may diverge, and then must say why.
set -u
. "${0%/*}/../lib.sh"
read_log=$TTD_BUILD/ttd-read-log
golden=test/golden
export XDG_CACHE_HOME=$TTD_TMP/cache
replayed=0
version() {
	sed -n "s/^enum { $1 = \([0-9]*\) };/\1/p" src/cpu/cpu.h src/xen/domain.h
}
engine=$(version ENGINE_VERSION)
abi=$(version ABI_VERSION)
vendor=$(sed -n 's/^vendor_id[[:space:]]*: //p' /proc/cpuinfo | head -n 1)

# A copy: a replay writes beside its log, and the kernel is found there.
replay() {
	local name=$1 rc
	cp -r "$golden/$name" "$TTD_TMP/$name"
	cp "$golden/tour" "$TTD_TMP/$name/"
	timeout 120 "$ttd" replay "$TTD_TMP/$name" --verify >"$TTD_TMP/out" 2>"$TTD_TMP/err" </dev/null
	rc=$?
	[ $rc -ne 1 ] || ! grep -q 'this host lacks' "$TTD_TMP/err" || return
	if grep -q "^engine *$engine\$" "$TTD_TMP/info" && grep -q "^abi *$abi\$" "$TTD_TMP/info"; then
		replayed=$((replayed + 1))
		if [ $rc -eq 4 ] && ! grep -q "^host_cpu *$vendor\$" "$TTD_TMP/info"; then
			grep -q "processor: recorded on .* replayed on $vendor" "$TTD_TMP/err" ||
				wrong "$name: diverged on another vendor's processor without a word of it"
			return
		fi
		[ $rc -eq 0 ] && grep -q 'replay verified to its end' "$TTD_TMP/err" ||
			wrong "$name: exit $rc: $(head -n 3 "$TTD_TMP/err")"
		timeout 120 "$ttd" replay "$TTD_TMP/$name" --reference >"$TTD_TMP/out" 2>/dev/null </dev/null
		cmp -s "$TTD_TMP/out" "$golden/$name/console.txt" || wrong "$name: another console"
	else
		[ $rc -eq 1 ] && [ "$(wc -l <"$TTD_TMP/err")" -eq 1 ] &&
			grep -q 'would execute it differently' "$TTD_TMP/err" ||
			wrong "$name: of other versions, but exit $rc: $(head -n 3 "$TTD_TMP/err")"
	fi
}

for dir in "$golden"/*/; do
	name=$(basename "$dir")
	"$golden/dump" "$read_log" "$dir" >"$TTD_TMP/dump" 2>&1 || wrong "$name: cannot be dumped"
	cmp -s "$TTD_TMP/dump" "$dir/dump.txt" ||
		wrong "$name: reads otherwise: $(diff "$dir/dump.txt" "$TTD_TMP/dump" | head -n 6)"
	"$ttd" info "$dir" >"$TTD_TMP/info" || wrong "$name: ttd info"
	case $name in *-tour) replay "$name" ;; esac
done
[ $replayed -gt 0 ] || wrong "no tour of this engine and ABI; see test/golden/README.md"
exit $bad
