#!/bin/bash
# balloon.sh - a stock guest gives up memory and takes it back, several times, while it
# works on a disk: recorded, replayed with all digests, gone to at places in between.
#
# By the guest's own hand (target_kb) and from outside (ttd mem-set), beyond what it
# began with up to maxmem, and no further.
set -u -o pipefail
. "${0%/*}/../lib.sh"
make_guest
out=$TTD_TMP/out
until_said() { # TEXT
	for ((i = 0; i < 1200; i++)); do
		grep -q "$1" "$out" && return 0
		sleep 0.1
	done
	wrong "the guest never said $1"
	return 1
}
has() { # what ttd list says
	"$ttd" list --json | sed -n 's/.*"memory_mb":\([0-9]*\).*/\1/p'
}

truncate -s 32M "$TTD_TMP/disk"
b=/sys/devices/system/xen_memory/xen_memory0
load="m=$b/info/current_kb; t=$b/target_kb
work() { dd if=/dev/zero of=/dev/xvda bs=64k count=400 conv=fsync 2>/dev/null; md5sum /dev/xvda | cut -c1-8; }
wait_for() { n=0; while [ \$(cat \$m) -\$1 \$2 ] && [ \$n -lt 60 ]; do n=\$((n+1)); sleep 0.5; done; echo has \$(cat \$m); }
echo 90000 >\$t; work; wait_for gt 90000; work
echo 131072 >\$t; work; wait_for lt 131072
echo 100000 >\$t; work; wait_for gt 100000; head -c 40000000 /dev/zero | tail -c 1 | wc -c
echo ready; n=0; while [ \$(cat \$m) -lt 200000 ] && [ \$n -lt 200 ]; do n=\$((n+1)); work; done
echo grown; wait_for lt 204800; wait_for gt 120000; work; dmesg | grep -c 'kernel [B]UG\|[O]ops\|Call [T]race'; echo done"
timeout 300 "$ttd" record --force -o a --name balloon --memory 128 --maxmem 256 \
	--disk "$TTD_TMP/disk,raw,xvda,rw" --checkpoint-every 100000000 \
	--kernel "$KERNEL" --ramdisk "$RAMDISK" --extra "quiet ttd.run=\"$load\"" \
	</dev/null >"$out" 2>"$TTD_TMP/err" &
recorder=$!
if until_said ready; then
	n=$(has)
	{ [ "$n" -ge 90 ] && [ "$n" -le 110 ]; } || wrong "list says it has $n MB, of about 98"
	"$ttd" mem-set balloon 257 2>"$TTD_TMP/why" && wrong "more than maxmem was taken"
	grep -q 'may have 1 to 256 MB' "$TTD_TMP/why" || wrong "it said: $(cat "$TTD_TMP/why")"
	"$ttd" mem-set balloon 200 || wrong "mem-set 200"
	until_said grown && until_said 'has 204800' && "$ttd" mem-set balloon 115
fi
wait $recorder || { wrong "record: exit $?"; cat "$TTD_TMP/err"; }
for text in 'has 90000' 'has 131072' 'has 100000' 'has 204800' 'has 117760' done; do
	grep -q "^$text" "$out" || wrong "the guest did not say '$text'"
done
grep -A1 -q '^0' "$out" || wrong "the guest's kernel complained"
[ $bad -eq 0 ] || tail -n 30 "$out"

"$ttd" replay a --verify >"$TTD_TMP/out2" 2>"$TTD_TMP/err" ||
	wrong "replay: exit $?: $(cat "$TTD_TMP/err")"
"$ttd" info a --json | grep -q '"maxmem_mb":256' || wrong "info does not know maxmem"

# The same state however one comes there.
at() {
	timeout 600 "$ttd" replay a --json --digest "$@" 2>"$TTD_TMP/err" | sed 's/,"seek_ms":[0-9.]*//'
}
places=(--at 'console:has 90000' --at 'console:has 204800' --at 97% --at 60% --at 80% --at 70%)
at "${places[@]}" | sort >"$TTD_TMP/there" || wrong "seek: $(cat "$TTD_TMP/err")"
at --no-checkpoints --at 'console:has 90000' --at 60% --at 70% --at 80% \
	--at 'console:has 204800' --at 97% | sort >"$TTD_TMP/straight" || wrong "straight: $(cat "$TTD_TMP/err")"
[ "$(wc -l <"$TTD_TMP/there")" -eq 6 ] || wrong "a place is missing"
cmp -s "$TTD_TMP/there" "$TTD_TMP/straight" || {
	wrong "places differ"
	diff "$TTD_TMP/there" "$TTD_TMP/straight"
}
[ $bad -eq 0 ] && echo "down and up, by the guest and by mem-set; replayed and sought"
exit $bad
