#!/bin/bash
# sanitizers.sh - the unit tests, the hostile guests, the bad input and the golden
# traces again, with the C part under AddressSanitizer (and its leak check) and
# UndefinedBehaviorSanitizer; and under ThreadSanitizer what has threads: the unit
# tests, recordings by themselves and by ttd-deviced, their replays and sessions.
set -u
. "${0%/*}/../lib.sh"
export TTD_HOSTILE_SEEDS=6
for san in address undefined; do
	make --no-print-directory -j2 SAN=$san all tests >"$TTD_TMP/make" 2>&1 ||
		{ tail -n 20 "$TTD_TMP/make"; exit 1; }
	for t in build/$san/unit/*; do
		"$t" >"$TTD_TMP/unit" 2>&1 ||
			{ tail -n 20 "$TTD_TMP/unit"; echo "$t failed under SAN=$san"; bad=1; }
	done
	for t in hostile badinput golden; do
		mkdir -p "$TTD_TMP/$san-$t"
		TTD_BUILD=build/$san TTD_TMP=$TTD_TMP/$san-$t "test/integration/$t.sh" ||
			{ echo "$t failed under SAN=$san"; bad=1; }
	done
done
make --no-print-directory -j2 SAN=thread all tests >"$TTD_TMP/make" 2>&1 ||
	{ tail -n 20 "$TTD_TMP/make"; exit 1; }
test/run --build build/thread --jobs 1 $(sed 's,[^ ]*,unit/test_&,g' test/unit/thread.list) || bad=1
exit $bad
