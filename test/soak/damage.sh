#!/bin/bash
# damage.sh - logs with flipped, zeroed, removed and cut bytes: 10,000 that are
# read record by record (test_log), and 2,000 times the golden tour, replayed.
# Each is noticed, with exit status 5, the offset and what is lost; or what was
# damaged does not matter, and all that was recorded up to there replays.
# DAMAGES, REPLAYS and SEED are the numbers.
set -u
. "${0%/*}/../lib.sh"
damages=${DAMAGES:-10000}
replays=${REPLAYS:-2000}
seed=${SEED:-$$}
RANDOM=$seed
noticed=0
harmless=0
unit=$(TTD_DAMAGES=$damages "$TTD_BUILD/unit/test_log" "$seed" 2>&1) || wrong "test_log: $unit"

# The newest tour that this ttd replays.
for dir in test/golden/*-tour; do
	cp -r "$dir" "$TTD_TMP/tour.new" && cp test/golden/tour "$TTD_TMP/tour.new/"
	if "$ttd" replay "$TTD_TMP/tour.new" >/dev/null 2>&1 </dev/null; then
		rm -rf "$TTD_TMP/tour" && mv "$TTD_TMP/tour.new" "$TTD_TMP/tour"
	fi
	rm -rf "$TTD_TMP/tour.new"
done
[ -d "$TTD_TMP/tour" ] || { echo "no golden tour of this engine and ABI"; exit 1; }
log=$TTD_TMP/tour/ttd.log.tour
cp "$log" "$TTD_TMP/good"
size=$(stat -c %s "$log")

random() { # below N
	echo $(((RANDOM << 15 | RANDOM) % $1))
}
damage() {
	local at n
	at=$(random "$size")
	n=$((1 + $(random 8) * $(random 8)))
	cp "$TTD_TMP/good" "$log"
	case $((RANDOM % 4)) in
	0) printf "\\x$(printf %02x $((RANDOM % 256)))" | dd of="$log" bs=1 seek="$at" conv=notrunc status=none ;;
	1) dd if=/dev/zero of="$log" bs=1 seek="$at" count="$n" conv=notrunc status=none
		truncate -s "$size" "$log" ;;
	2) { head -c "$at" "$TTD_TMP/good"; tail -c +$((at + n + 1)) "$TTD_TMP/good"; } >"$log" ;;
	3) truncate -s "$at" "$log" ;;
	esac
	what="at $at, $n bytes"
}
for ((i = 0; i < replays && bad == 0; i++)); do
	damage
	timeout 60 "$ttd" replay "$TTD_TMP/tour" >"$TTD_TMP/out" 2>"$TTD_TMP/err" </dev/null
	rc=$?
	case $rc in
	0)
		harmless=$((harmless + 1))
		grep -q 'replay verified to its \(end\|last record\)' "$TTD_TMP/err" ||
			wrong "damage $i, $what: $(<"$TTD_TMP/err")"
		;;
	5)
		noticed=$((noticed + 1))
		grep -q 'damaged at offset [0-9]*: \|too short\|not a ttd log' "$TTD_TMP/err" ||
			wrong "damage $i, $what: $(<"$TTD_TMP/err")"
		;;
	*) wrong "damage $i, $what: exit $rc: $(<"$TTD_TMP/err")" ;;
	esac
	# Never anything else than was recorded.
	head -c "$(stat -c %s "$TTD_TMP/out")" "$TTD_TMP/tour/console.txt" | cmp -s - "$TTD_TMP/out" ||
		wrong "damage $i, $what: another console"
done
echo "$(grep -o '[0-9]* damages: .*' <<<"$unit") when read; $i damages: $noticed noticed, $harmless harmless when replayed; seed $seed"
exit $bad
