#!/bin/bash
# kernels.sh - every flavour of Debian's kernel, several sizes of memory, all
# that the kernel can say, and each end that a guest can come to.
set -u
cd "$(dirname "$0")/../.." || exit 1
ttd=${TTD_BUILD:-build}/ttd
tmp=${TTD_TMP:-$(mktemp -d)}
[ -n "${TTD_TMP:-}" ] || trap 'rm -rf "$tmp"' EXIT
bad=0
wrong() {
	echo "wrong: $*"
	bad=1
}
# boot STATUS END PARAMETERS OPTION...: twice, and both must end alike.
boot() {
	local status=$1 end=$2 params=$3 rc n
	shift 3
	for n in 1 2; do
		timeout 600 "$ttd" run --kernel "$KERNEL" --ramdisk "$RAMDISK" --clock virtual --json \
			--on-reboot exit --extra "$params" "$@" </dev/null >"$tmp/out" 2>"$tmp/err"
		rc=$?
		[ $rc -eq "$status" ] || wrong "$params $*: exit $rc, not $status"
		grep -q "\"end\":\"$end\"" "$tmp/err" || wrong "$params $*: not $end"
		grep -o '"\(icount\|brctr\|mem_digest\)":"\?[0-9a-f]*' "$tmp/err" >"$tmp/end.$n"
	done
	cmp -s "$tmp/end.1" "$tmp/end.2" || wrong "$params $*: two runs differ"
	echo "done: $params $*"
}

for flavour in amd64 cloud-amd64 rt-amd64; do
	guest=$(tools/mkguest --print --flavour $flavour) || {
		echo "no kernel package $flavour to be had"
		continue
	}
	eval "$guest"
	boot 0 poweroff 'quiet ttd.run="uname -r"'
	tr -d '\r' <"$tmp/out" | grep -q "^[0-9.-]*-$flavour\$" || wrong "uname -r in $flavour"
done
guest=$(tools/mkguest --print) || exit 77
eval "$guest"
for mb in 96 128 512 1024 4096; do
	boot 0 poweroff 'quiet ttd.run="grep MemTotal /proc/meminfo"' --memory $mb
done
boot 0 poweroff 'loglevel=8 ttd.run=true'
grep -E 'Oops|WARNING:|BUG:|Call Trace|stalled|lockup' "$tmp/out" && wrong "the kernel complains"
boot 0 reboot 'quiet ttd.run="reboot -f"'
boot 0 poweroff 'quiet ttd.run="halt -f"'
boot 0 poweroff 'quiet ttd.run="echo o >/proc/sysrq-trigger; sleep 5"'
boot 3 crash 'quiet ttd.run="echo c >/proc/sysrq-trigger"'
grep -q 'crashed: ' "$tmp/err" || wrong "no reason for the crash"
boot 3 crash 'quiet rdinit=/nothing init=/nothing'
exit $bad
