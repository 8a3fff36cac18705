#!/bin/bash
# distro.sh - Debian's own programs in the guest: coreutils, bash, python, perl,
# openssl, gcc and gdb, each checking itself, with the same end in two runs.
set -u
cd "$(dirname "$0")/../.." || exit 1
ttd=${TTD_BUILD:-build}/ttd
tmp=${TTD_TMP:-$(mktemp -d)}
[ -n "${TTD_TMP:-}" ] || trap 'rm -rf "$tmp"' EXIT
bad=0
guest=$(tools/mkguest --print --run test/guest/distro/run --add test/guest/distro:/ttd/distro \
	--debs bash,coreutils,findutils,grep,sed,gawk,diffutils,procps,python3,perl,openssl,gcc,libc6-dev,gdb) || {
	echo "the packages are not to be had"
	exit 77
}
eval "$guest"
for n in 1 2; do
	timeout 1800 "$ttd" run --kernel "$KERNEL" --ramdisk "$RAMDISK" --memory 2048 --clock virtual \
		--json --extra quiet </dev/null >"$tmp/raw" 2>"$tmp/err" || { tail -n 1 "$tmp/err"; bad=1; }
	tr -d '\r' <"$tmp/raw" >"$tmp/out.$n"
	grep -o '"\(icount\|brctr\|mem_digest\)":"\?[0-9a-f]*' "$tmp/err" >"$tmp/end.$n"
done
cmp "$tmp/end.1" "$tmp/end.2" || bad=1
cat "$tmp/out.1"
# One line "ok NAME" for each part; the parts and their answers are in run.
for part in shell python perl openssl gcc gdb kernel; do
	grep -q "^ok $part\$" "$tmp/out.1" || { echo "wrong: $part"; bad=1; }
done
exit $bad
