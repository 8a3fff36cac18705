#!/bin/bash
# strict.sh - --strict-mmu: a stock kernel passes under load without a complaint, what is
# recorded so replays so, from its start and from checkpoints.
set -u -o pipefail
. "${0%/*}/../lib.sh"
make_guest
load='for i in 1 2 3 4; do ls -R / >/dev/null 2>&1; (date; sleep 0.1) | cat; done
head -c 3000000 /dev/urandom | gzip | md5sum >/dev/null; t=/sys/devices/system/xen_memory/xen_memory0
echo 200000 >$t/target_kb; sleep 1; echo 262144 >$t/target_kb; sleep 1; cat $t/info/current_kb; echo done'
timeout 300 "$ttd" record --force -o a --strict-mmu --checkpoint-every 200000000 \
	--kernel "$KERNEL" --ramdisk "$RAMDISK" --extra "quiet ttd.run=\"${load//$'\n'/; }\"" \
	</dev/null >"$TTD_TMP/out" 2>"$TTD_TMP/err" || wrong "record: exit $?"
grep -q '^done' "$TTD_TMP/out" || { wrong "the load did not end"; tail -n 20 "$TTD_TMP/out"; }
grep strict-mmu "$TTD_TMP/err" && wrong "a stock kernel broke a rule"
"$ttd" info a --json | grep -q '"strict_mmu":1' || wrong "info does not say that it was strict"
timeout 300 "$ttd" replay a --verify >/dev/null 2>"$TTD_TMP/err" ||
	wrong "replay: exit $?: $(cat "$TTD_TMP/err")"
at() {
	timeout 600 "$ttd" replay a --json --digest "$@" 2>"$TTD_TMP/err" | sed 's/,"seek_ms":[0-9.]*//'
}
at --at 90% --at 40% --at 70% --at 95% | sort >"$TTD_TMP/there"
at --no-checkpoints --at 40% --at 70% --at 90% --at 95% | sort >"$TTD_TMP/straight"
[ "$(wc -l <"$TTD_TMP/there")" -eq 4 ] || wrong "a place is missing: $(cat "$TTD_TMP/err")"
cmp -s "$TTD_TMP/there" "$TTD_TMP/straight" || wrong "places differ"
[ $bad -eq 0 ] && echo "a stock kernel keeps the rules"
exit $bad
