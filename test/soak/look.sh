#!/bin/bash
# look.sh - what ttd says about a stopped guest agrees with what the guest
# itself says, on every flavour of Debian's kernel: all that integration/look.sh
# compares and every symbol besides, the stack that an oops prints, and stacks
# at many positions, none of which needs a guess in the kernel.
set -u
. "${0%/*}/../lib.sh"
positions=${POSITIONS:-40}

# The kernel's own "Call Trace:" of an oops, without the lines it doubts (?), ends
# as our stack there does: there are more calls above, those that print.
oops() {
	timeout 600 "$ttd" record -o oops --force --kernel "$KERNEL" --ramdisk "$RAMDISK" \
		--clock virtual --extra 'ttd.run="echo c >/proc/sysrq-trigger"' </dev/null \
		>"$TTD_TMP/console" 2>"$TTD_TMP/err"
	tr -d '\r' <"$TTD_TMP/console" | sed -n '/Call Trace:/,/RIP: 0033/p' |
		sed -n 's/^\[[ 0-9.]*\]  *\([a-zA-Z_][^ ]*+0x[0-9a-f]*\/0x[0-9a-f]*\).*/\1/p' >"$TTD_TMP/theirs"
	"$ttd" bt oops --at 'console:Call Trace:' 2>"$TTD_TMP/err" |
		awk '$2 >= "0xffff8" { print $3 }' >"$TTD_TMP/ours"
	# From the one after the exception on both have the same.
	sed -n '/^sysrq_handle_crash+/,$p' "$TTD_TMP/theirs" >"$TTD_TMP/a"
	[ -s "$TTD_TMP/a" ] || sed -n '/^__handle_sysrq/,$p' "$TTD_TMP/theirs" >"$TTD_TMP/a"
	sed -n "/^$(head -n 1 "$TTD_TMP/a" | sed 's/[/]/\\\//g')/,\$p" "$TTD_TMP/ours" >"$TTD_TMP/b"
	[ -s "$TTD_TMP/a" ] && cmp -s "$TTD_TMP/a" "$TTD_TMP/b" ||
		{ wrong "$1: the stack of an oops: $(cat "$TTD_TMP/err")"; diff "$TTD_TMP/a" "$TTD_TMP/b"; cat "$TTD_TMP/theirs"; }
}

# Wherever it stops, the kernel's tables know the way to the end.
everywhere() {
	local i
	for ((i = 1; i < positions; i++)); do
		"$ttd" bt oops --at "$((i * 100 / positions))%" >"$TTD_TMP/bt" 2>"$TTD_TMP/err" ||
			wrong "$1: bt at $((i * 100 / positions))%: $(cat "$TTD_TMP/err")"
		awk '$2 >= "0xffff8" && (/\(\?\)/ || /frame pointer/)' "$TTD_TMP/bt" | grep -q . &&
			{ wrong "$1: a guess at $((i * 100 / positions))%"; cat "$TTD_TMP/bt"; }
	done
}

for flavour in amd64 cloud-amd64 rt-amd64; do
	try_guest --flavour $flavour || continue
	mkdir -p "$TTD_TMP/$flavour"
	FLAVOUR=$flavour ALL=1 TTD_TMP=$TTD_TMP/$flavour test/integration/look.sh || wrong "$flavour"
	oops $flavour
	everywhere $flavour
	echo "done: $flavour"
done
exit $bad
