#!/bin/bash
# look.sh - what ttd says about a stopped guest agrees with what the guest
# itself says, on every flavour of Debian's kernel: all that integration/look.sh
# compares and every symbol besides, the stack that an oops prints, and stacks
# at many positions, none of which needs a guess in the kernel.
set -u
cd "$(dirname "$0")/../.." || exit 1
export TTD_BUILD=${TTD_BUILD:-build}
tmp=${TTD_TMP:-$(mktemp -d)}
[ -n "${TTD_TMP:-}" ] || trap 'rm -rf "$tmp"' EXIT
ttd=$TTD_BUILD/ttd
positions=${POSITIONS:-40}
bad=0
wrong() {
	echo "wrong: $*"
	bad=1
}

# The kernel's own "Call Trace:" of an oops, without the lines it doubts (?), ends
# as our stack there does: there are more calls above, those that print.
oops() {
	timeout 600 "$ttd" record -o oops --force --kernel "$KERNEL" --ramdisk "$RAMDISK" \
		--clock virtual --extra 'ttd.run="echo c >/proc/sysrq-trigger"' </dev/null \
		>"$tmp/console" 2>"$tmp/err"
	tr -d '\r' <"$tmp/console" | sed -n '/Call Trace:/,/RIP: 0033/p' |
		sed -n 's/^\[[ 0-9.]*\]  *\([a-zA-Z_][^ ]*+0x[0-9a-f]*\/0x[0-9a-f]*\).*/\1/p' >"$tmp/theirs"
	"$ttd" bt oops --at 'console:Call Trace:' 2>"$tmp/err" |
		awk '$2 >= "0xffff8" { print $3 }' >"$tmp/ours"
	# From the one behind the exception on both have the same.
	sed -n '/^sysrq_handle_crash+/,$p' "$tmp/theirs" >"$tmp/a"
	[ -s "$tmp/a" ] || sed -n '/^__handle_sysrq/,$p' "$tmp/theirs" >"$tmp/a"
	sed -n "/^$(head -n 1 "$tmp/a" | sed 's/[/]/\\\//g')/,\$p" "$tmp/ours" >"$tmp/b"
	[ -s "$tmp/a" ] && cmp -s "$tmp/a" "$tmp/b" ||
		{ wrong "$1: the stack of an oops: $(cat "$tmp/err")"; diff "$tmp/a" "$tmp/b"; cat "$tmp/theirs"; }
}

# Wherever it stops, the kernel's tables know the way to the end.
everywhere() {
	local i
	for ((i = 1; i < positions; i++)); do
		"$ttd" bt oops --at "$((i * 100 / positions))%" >"$tmp/bt" 2>"$tmp/err" ||
			wrong "$1: bt at $((i * 100 / positions))%: $(cat "$tmp/err")"
		awk '$2 >= "0xffff8" && (/\(\?\)/ || /frame pointer/)' "$tmp/bt" | grep -q . &&
			{ wrong "$1: a guess at $((i * 100 / positions))%"; cat "$tmp/bt"; }
	done
}

export TTD_TRACE_DIR=$tmp/traces
for flavour in amd64 cloud-amd64 rt-amd64; do
	guest=$(tools/mkguest --print --flavour $flavour) || {
		echo "no kernel package $flavour to be had"
		continue
	}
	eval "$guest"
	mkdir -p "$tmp/$flavour"
	FLAVOUR=$flavour ALL=1 TTD_TMP=$tmp/$flavour test/integration/look.sh || wrong "$flavour"
	oops $flavour
	everywhere $flavour
	echo "done: $flavour"
done
exit $bad
