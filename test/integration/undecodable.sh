#!/bin/bash
# undecodable.sh - a guest that executes bytes that are no instruction, again and again
# (test/hostile, undecodable): places before, at and after each #UD and #GP of it are the
# same however one comes there, and breakpoints and steps stop at each, both ways.
set -u -o pipefail
. "${0%/*}/../lib.sh"
export PYTHONPATH=test/gdb PYTHONDONTWRITEBYTECODE=1
: "${SEED:=$$}"
echo "SEED=$SEED"
timeout 60 "$ttd" record -o u --kernel "$TTD_BUILD/hostile" --memory 64 --clock virtual \
	--checkpoint-every 100000 --extra attack=undecodable </dev/null >"$TTD_TMP/out" 2>"$TTD_TMP/err" ||
	wrong "record: exit $?: $(cat "$TTD_TMP/err")"
"$TTD_BUILD/ttd-read-log" -f u --json -t exception:6,exception:13 |
	sed -n 's/.*"icount":\([0-9]*\),.*"ip":"\(0x[0-9a-f]*\)".*/\1 \2/p' >"$TTD_TMP/faults"
n=$(wc -l <"$TTD_TMP/faults")
[ "$n" -gt 1000 ] || wrong "$n faults"

# ---- seeks ----
places=()
for i in $(shuf -n 40 --random-source=<(yes "$SEED") "$TTD_TMP/faults" | cut -d ' ' -f 1); do
	for p in $i $((i - 1)) $((i + 1)); do places+=(--at "$p"); done
done
look() { # OPTION...
	timeout 300 "$ttd" replay u --json --digest "$@" 2>"$TTD_TMP/err" | sed 's/,"seek_ms":[0-9.]*//' |
		sort -u
}
look "${places[@]}" >"$TTD_TMP/there" || wrong "seek: $(cat "$TTD_TMP/err")"
straight=()
for p in $(printf '%s\n' "${places[@]}" | grep -v at | sort -nu); do straight+=(--at "$p"); done
look --no-checkpoints "${straight[@]}" >"$TTD_TMP/straight" || wrong "straight: $(cat "$TTD_TMP/err")"
[ "$(wc -l <"$TTD_TMP/straight")" -eq $((${#straight[@]} / 2)) ] || wrong "a place is missing"
cmp -s "$TTD_TMP/there" "$TTD_TMP/straight" || {
	wrong "places differ"
	diff "$TTD_TMP/there" "$TTD_TMP/straight" | head -n 10
}
# The fault's address is where one is then.
while read -r i ip; do
	! grep "\"icount\":$i," "$TTD_TMP/there" | grep -qv "\"rip\":\"$ip\"" || wrong "at $i it is not at $ip"
done <"$TTD_TMP/faults"

# ---- breakpoints and steps ----
: >"$TTD_TMP/server"
"$ttd" replay u --gdb=0 2>"$TTD_TMP/server" &
server=$!
cleanup() {
	kill $server 2>/dev/null
}
for _ in {1..300}; do
	PORT=$(sed -n 's/.*localhost:\([0-9]*\).*/\1/p' "$TTD_TMP/server")
	[ -z "$PORT" ] || break
	sleep 0.1
done
export PORT SEED FAULTS=$TTD_TMP/faults
timeout 300 python3 test/gdb/undecodable.py >"$TTD_TMP/out" 2>&1 || wrong "$(tail -n 5 "$TTD_TMP/out")"
tail -n 1 "$TTD_TMP/out"
exit $bad
