#!/bin/bash
# xen.sh - guests that a real Xen host saved go on here: IMAGES is a folder with NAME.save and,
# of those with a disk and a network interface, NAME.img as it was when NAME was saved.  The
# guest prints "tick N ..." once a second, with "memory good" and "disk good" as long as that is so.
set -u
. "${0%/*}/../lib.sh"
IMAGES=${IMAGES:-}
[ -n "$IMAGES" ] || { echo "give a folder with images of xl save as IMAGES"; exit 77; }
for save in "$IMAGES"/*.save; do
	name=$(basename "$save" .save) devices=() good="memory good"
	if [ -f "$IMAGES/$name.img" ]; then
		devices=(--disk "$IMAGES/$name.img,raw,xvda,rw" --vif user)
		good="memory good disk good"
	fi
	for clock in virtual host; do
		timeout 300 "$ttd" record --force -o x --restore "$save" "${devices[@]}" --clock $clock \
			--stop-at $([ $clock = virtual ] && echo 2000000000 || echo 300000000) </dev/null >"$TTD_TMP/out" 2>"$TTD_TMP/err"
		if grep -q 'cpuid="host' "$TTD_TMP/err"; then
			echo "$name: $(cat "$TTD_TMP/err")"
			break
		fi
		grep -q "recorded" "$TTD_TMP/err" || { wrong "$name: $(cat "$TTD_TMP/err")"; break; }
		tr -d '\r' <"$TTD_TMP/out" >"$TTD_TMP/text"
		[ "$(grep -c "^tick .* $good\$" "$TTD_TMP/text")" -ge 3 ] || wrong "$name: it does not go on"
		grep '^tick ' "$TTD_TMP/text" | sed '$d' | grep -v " $good\$" && wrong "$name: wrong sums"
		grep -q 'Restarting tasks' "$TTD_TMP/text" || wrong "$name: it did not resume"
		grep -E 'BUG|Oops|WARNING|Call Trace' "$TTD_TMP/text" && wrong "$name: its kernel complains"
		"$ttd" replay x >"$TTD_TMP/again" 2>"$TTD_TMP/err" || wrong "$name: replay: $(cat "$TTD_TMP/err")"
		cmp "$TTD_TMP/out" "$TTD_TMP/again" || wrong "$name: the replay's console"
		"$ttd" bt x --at 0 | grep -q xen_suspend || wrong "$name: its first stack"
		echo "$name, clock $clock: $(grep -c '^tick' "$TTD_TMP/text") ticks, replay verified"
	done
done
exit $bad
