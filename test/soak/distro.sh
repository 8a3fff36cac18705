#!/bin/bash
# distro.sh - Debian's own programs in the guest: coreutils, bash, python, perl,
# openssl, gcc and gdb, each checking itself, with the same end in two runs.
set -u
. "${0%/*}/../lib.sh"
make_guest --run test/guest/distro/run --add test/guest/distro:/ttd/distro \
	--debs bash,coreutils,findutils,grep,sed,gawk,diffutils,procps,python3,perl,openssl,gcc,libc6-dev,gdb
for n in 1 2; do
	timeout 1800 "$ttd" run --kernel "$KERNEL" --ramdisk "$RAMDISK" --memory 2048 --clock virtual \
		--json --extra quiet </dev/null >"$TTD_TMP/raw" 2>"$TTD_TMP/err" || { tail -n 1 "$TTD_TMP/err"; bad=1; }
	tr -d '\r' <"$TTD_TMP/raw" >"$TTD_TMP/out.$n"
	grep -o '"\(icount\|brctr\|mem_digest\)":"\?[0-9a-f]*' "$TTD_TMP/err" >"$TTD_TMP/end.$n"
done
cmp "$TTD_TMP/end.1" "$TTD_TMP/end.2" || bad=1
cat "$TTD_TMP/out.1"
# One line "ok NAME" for each part; the parts and their answers are in run.
for part in shell python perl openssl gcc gdb kernel; do
	grep -q "^ok $part\$" "$TTD_TMP/out.1" || { echo "wrong: $part"; bad=1; }
done
exit $bad
