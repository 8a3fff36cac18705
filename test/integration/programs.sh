#!/bin/bash
# programs.sh - real programs in the guest do what they do on the host: faults
# and their signals, page tables under load, self-changing code, threads,
# floating point, tracing with breakpoints, clocks, 32-bit code.
#
# The programs are in test/guest; each checks itself, and what it prints must
# be the same in both places.  Two runs on virtual time and one of the reference
# engine must end alike, without a complaint from the guest's kernel.
set -u
. "${0%/*}/../lib.sh"
test/guest/build "$TTD_TMP/programs" >"$TTD_TMP/cc" 2>&1 || {
	cat "$TTD_TMP/cc"
	exit 1
}
cat >"$TTD_TMP/script" <<'END'
#!/bin/sh
/ttd/programs/run $(sed -n 's/.*programs=\([a-z,]*\).*/\1/p' /proc/cmdline | tr , ' ')
dmesg | grep -E 'Oops|WARNING:|BUG:|Call Trace|stalled|lockup'
END
make_guest --run "$TTD_TMP/script" --add "$TTD_TMP/programs:/ttd/programs"
cleanup() { # it is of no use to another run
	rm -f "$RAMDISK"
}

# boot NAME PARAMETERS OPTION...: leaves NAME.out, and how it ended in NAME.end.
boot() {
	local name=$TTD_TMP/$1 params=$2 rc
	shift 2
	timeout 400 "$ttd" run --kernel "$KERNEL" --ramdisk "$RAMDISK" --clock virtual --json \
		--extra "quiet $params" "$@" </dev/null >"$name.raw" 2>"$name.err"
	rc=$?
	tr -d '\r' <"$name.raw" >"$name.out"
	[ $rc -eq 0 ] || wrong "$params $*: exit $rc: $(grep -v '^{' "$name.err")"
	grep -o '"\(icount\|brctr\|mem_digest\)":"\?[0-9a-f]*' "$name.err" >"$name.end"
}
same() {
	cmp -s "$TTD_TMP/$1.end" "$TTD_TMP/$2.end" || {
		wrong "$1 and $2 ended differently"
		paste "$TTD_TMP/$1.end" "$TTD_TMP/$2.end"
	}
}

# What a program says, out of all that was said.
said() { # NAME FILE
	sed -n "/^== $1\$/,/^== exit/p" "$2"
}
"$TTD_TMP/programs/run" >"$TTD_TMP/native"
boot first ''
sed -n '/^== /,/^ttd.run:/p' "$TTD_TMP/first.out" | sed '$d' >"$TTD_TMP/guest"
names=$(sed -n 's/^== \([a-z]*\)$/\1/p' "$TTD_TMP/native")
fails=0
for p in $names; do
	if said "$p" "$TTD_TMP/native" | tail -n 1 | grep -qx '== exit 0'; then
		diff <(said "$p" "$TTD_TMP/native") <(said "$p" "$TTD_TMP/guest") ||
			wrong "$p: the guest's output differs from the host's"
		continue
	fi
	# Some hosts have no debug registers for their programs, or run no 32-bit code.
	echo "$p fails on this host, so in the guest it has to say itself that all is well"
	said "$p" "$TTD_TMP/native" | grep -B 3 -A 3 FAILED
	fails=$((fails + 1))
	said "$p" "$TTD_TMP/guest" | tail -n 1 | grep -qx '== exit 0' || wrong "$p fails in the guest"
	said "$p" "$TTD_TMP/guest" | grep FAILED && wrong "$p fails in the guest"
done
[ -n "$names" ] && [ $fails -le 3 ] || wrong "too many programs fail on this host: $fails of" $names
boot second ''
same first second
boot reference '' --reference
same first reference
exit $bad
