#!/bin/bash
# boot.sh - Debian's own kernel boots, runs what it is told, and every way out
# of a run ends with the exit status that the manual gives.
set -u
. "${0%/*}/../lib.sh"
make_guest
out=$TTD_TMP/out

evidence() {
	tail -n 20 "$out"
}
# boot STATUS CMDLINE OPTION...: standard input is the caller's.
boot() {
	local status=$1 cmdline=$2 rc
	shift 2
	timeout 300 "$ttd" run --kernel "$KERNEL" --ramdisk "$RAMDISK" --extra "$cmdline" "$@" \
		>"$out" 2>"$TTD_TMP/err"
	rc=$?
	tr -d '\r' <"$out" >"$out.text"
	cat "$TTD_TMP/err" >>"$out"
	[ $rc -eq "$status" ] || wrong "'$cmdline' $*: exit $rc, not $status"
}
has() {
	grep -q -- "$1" "$out.text" || wrong "no '$1' in the output"
}
field() {
	sed -n "s/.*\"$1\":\"\{0,1\}\([0-9a-f]*\).*/\1/p" "$TTD_TMP/err"
}

boot 0 'quiet ttd.run="uname -s; cat /sys/hypervisor/type"' </dev/null
has '^Linux$'
has '^xen$'
has '^ttd.run: exit status 0$'

# The shell, typed at through a pipe.
boot 0 quiet < <(echo 'echo $((6*7))-typed; exit')
has '^42-typed'

# Virtual time: equal runs, to the last bit.
boot 0 'quiet ttd.run=date' --clock virtual --json </dev/null
first="$(field icount) $(field brctr) $(field mem_digest)"
boot 0 'quiet ttd.run=date' --clock virtual --json </dev/null
[ "$first" = "$(field icount) $(field brctr) $(field mem_digest)" ] ||
	wrong "two runs on virtual time differ: $first"

boot 0 quiet --stop-at 12345678 --json </dev/null
[ "$(field icount)" = 12345678 ] || wrong "--stop-at stopped at $(field icount)"

boot 0 'quiet ttd.run="reboot -f"' --on-reboot exit </dev/null
boot 3 'quiet panic=0 ttd.run="echo c >/proc/sysrq-trigger"' </dev/null

# A signal ends a guest that would wait for ever; so does a closed output.
"$ttd" run --kernel "$KERNEL" --ramdisk "$RAMDISK" --extra quiet </dev/null >"$out" 2>&1 &
sleep 2
kill -TERM $!
wait $!
[ $? -eq 143 ] || wrong "SIGTERM"
timeout 300 "$ttd" run --kernel "$KERNEL" --ramdisk "$RAMDISK" </dev/null 2>/dev/null | head -c 10 >"$out"
[ "${PIPESTATUS[0]}" -eq 1 ] || wrong "closed output: exit ${PIPESTATUS[0]}"

# A terminal is raw during the run, left with Ctrl-], and as before afterwards.
{ sleep 2; printf '\035'; sleep 1; } | timeout 60 script -qec \
	"stty -g >'$TTD_TMP/before'; '$ttd' run --kernel '$KERNEL' --ramdisk '$RAMDISK'; echo \$? >'$TTD_TMP/rc'; stty -g >'$TTD_TMP/after'" \
	/dev/null >"$out" 2>&1
cmp "$TTD_TMP/before" "$TTD_TMP/after" || wrong "the terminal was not restored"
[ "$(cat "$TTD_TMP/rc")" = 0 ] || wrong "Ctrl-]: exit $(cat "$TTD_TMP/rc")"
exit $bad
