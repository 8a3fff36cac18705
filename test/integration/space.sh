#!/bin/bash
# space.sh - whether accesses are checked or left to the host's MMU (src/mem/space.h), a guest
# cannot tell: the same programs, with an address space mapped as soon as there is one, after a
# while, and never, end in the same instruction, with the same memory; and a recording made in
# one way replays in the others.
set -u
. "${0%/*}/../lib.sh"
test/guest/build "$TTD_TMP/programs" || exit 1
make_guest --add "$TTD_TMP/programs:/ttd/programs"
cp "$RAMDISK" "$TTD_TMP/ramdisk" && rm -f "$RAMDISK"
[ -z "$sanitizer" ] || exit 77 # the process is not where it has to be: util/layout.h

machine=(--kernel "$KERNEL" --ramdisk "$TTD_TMP/ramdisk" --clock virtual --memory 256
	--extra 'quiet ttd.run="/ttd/programs/run && seq 1 60000 | sort | sha256sum"')
run() { # NAME COMMAND...
	local name=$1
	shift
	timeout 600 "$@" --stats --json </dev/null >"$name.out" 2>"$name.err" || wrong "$name: exit $?: $(tail -n 1 "$name.err")"
	grep -o '"\(end\|icount\|brctr\|mem_digest\)":"\?[0-9a-z]*' "$name.err" >"$name.end"
	[ -s "$name.end" ] || wrong "$name: says nothing of its end"
}
same() {
	cmp -s never.end "$1.end" || wrong "$1 differs: $(paste never.end "$1.end")"
}
cd "$TTD_TMP" || exit 1
run never "$ttd" run "${machine[@]}" --untrusted
[ "$(field space.begun never.err)" = 0 ] || wrong "--untrusted: something was mapped"
for after in 1 300000 usual; do
	how=(--space-after "$after")
	[ $after != usual ] || how=()
	run "$after" "$ttd" run "${machine[@]}" "${how[@]}"
	same "$after"
	cmp -s never.out "$after.out" || wrong "$after: another output"
	[ "$(field space.begun "$after.err")" -gt 0 ] || wrong "$after: nothing was mapped"
done
run record "$ttd" record -o t "${machine[@]}" --space-after 300000
for how in --space-after=20000 --untrusted --verify; do
	run replay "$ttd" replay t "$how"
	grep -q '"verified"' replay.err || grep -q verified replay.err || wrong "replay $how: not verified"
done
exit $bad
