#!/bin/bash
# kernels.sh - every flavour of Debian's kernel, several sizes of memory, all
# that the kernel can say, and each end that a guest can come to.
set -u
. "${0%/*}/../lib.sh"
# boot STATUS END PARAMETERS OPTION...: twice, and both must end alike.
boot() {
	local status=$1 end=$2 params=$3 rc n
	shift 3
	for n in 1 2; do
		timeout 600 "$ttd" run --kernel "$KERNEL" --ramdisk "$RAMDISK" --clock virtual --json \
			--on-reboot exit --extra "$params" "$@" </dev/null >"$TTD_TMP/out" 2>"$TTD_TMP/err"
		rc=$?
		[ $rc -eq "$status" ] || wrong "$params $*: exit $rc, not $status"
		grep -q "\"end\":\"$end\"" "$TTD_TMP/err" || wrong "$params $*: not $end"
		grep -o '"\(icount\|brctr\|mem_digest\)":"\?[0-9a-f]*' "$TTD_TMP/err" >"$TTD_TMP/end.$n"
	done
	cmp -s "$TTD_TMP/end.1" "$TTD_TMP/end.2" || wrong "$params $*: two runs differ"
	echo "done: $params $*"
}

for flavour in amd64 cloud-amd64 rt-amd64; do
	try_guest --flavour $flavour || continue
	boot 0 poweroff 'quiet ttd.run="uname -r"'
	tr -d '\r' <"$TTD_TMP/out" | grep -q "^[0-9.-]*-$flavour\$" || wrong "uname -r in $flavour"
done
make_guest
for mb in 96 128 512 1024 4096; do
	boot 0 poweroff 'quiet ttd.run="grep MemTotal /proc/meminfo"' --memory $mb
done
boot 0 poweroff 'loglevel=8 ttd.run=true'
grep -E 'Oops|WARNING:|BUG:|Call Trace|stalled|lockup' "$TTD_TMP/out" && wrong "the kernel complains"
boot 0 reboot 'quiet ttd.run="reboot -f"'
boot 0 poweroff 'quiet ttd.run="halt -f"'
boot 0 poweroff 'quiet ttd.run="echo o >/proc/sysrq-trigger; sleep 5"'
boot 3 crash 'quiet ttd.run="echo c >/proc/sysrq-trigger"'
grep -q 'crashed: ' "$TTD_TMP/err" || wrong "no reason for the crash"
boot 3 crash 'quiet rdinit=/nothing init=/nothing'
exit $bad
