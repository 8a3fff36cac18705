#!/bin/bash
# names.sh - what a trace or a guest calls something reaches no terminal as it is,
# and a stranger's trace goes nowhere by itself: every command is asked about a trace whose
# command line, folder and files are hostile.
set -u
. "${0%/*}/../lib.sh"
export HOME=$TTD_TMP/home
unset XDG_STATE_HOME XDG_CACHE_HOME XDG_DATA_HOME
mkdir "$HOME"
evidence() {
	head -n 5 "$TTD_TMP/out" | cat -v
}
evil=$'\e]0;title\a\e[2J\x9b31m\xff\xc2\x9b\xe2\x80\xae"\\\x7f'
"$ttd" record -o one --kernel "$TTD_BUILD/hostile" --clock virtual --name evil --interval 250000 \
	--extra "attack=fpu $evil" </dev/null >"$TTD_TMP/out" 2>&1 ||
	wrong "it cannot be recorded"
cp -r "$TTD_TRACE_DIR/one" "$TTD_TRACE_DIR/two
$evil"
"$ttd" replay one --log </dev/null >"$TTD_TMP/out" 2>&1 || wrong "it does not replay"
"$ttd" pack one -o "$TTD_TMP/one.ttd" >"$TTD_TMP/out" 2>&1 || wrong "it cannot be packed"

# clean WORD...: no byte of its output, or of its messages, is one that a terminal obeys.
clean() {
	"$@" </dev/null >"$TTD_TMP/out" 2>&1
	LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]' "$TTD_TMP/out" && wrong "$*: control characters"
	iconv -f UTF-8 -t UTF-16 "$TTD_TMP/out" >/dev/null 2>&1 || wrong "$*: it is not UTF-8"
	grep -qP '[\x{80}-\x{9f}\x{202a}-\x{202e}\x{2066}-\x{2069}]' "$TTD_TMP/out" &&
		wrong "$*: characters that a terminal obeys"
}
clean "$ttd" info one
grep -q 'cmdline .*\\x1b\]0;title\\x07\\x1b' "$TTD_TMP/out" || wrong "the command line is not shown"
for how in "" --json; do
	clean "$ttd" info one $how
	clean "$ttd" info "$TTD_TMP/one.ttd" $how
	clean "$ttd" replay one --at 50% --no-checkpoints $how --digest
	for c in ps dmesg bt regs "mem rip" "maps 1" "last-write rsp"; do
		# shellcheck disable=SC2086
		clean "$ttd" $c one $how
	done
	clean "$TTD_BUILD/ttd-read-log" -f "$TTD_TRACE_DIR/one" -i -v $how
	clean "$TTD_BUILD/ttd-read-log" -f "$TTD_TRACE_DIR/one" -c $how
	clean "$ttd" list $how
done
clean "$ttd" info "./$evil"
clean "$ttd" diff one
clean "$ttd" report one -o "$TTD_TMP/r.tar.zst" --kernel --binary
clean "$ttd" ls
[ "$(wc -l <"$TTD_TMP/out")" -eq 3 ] || wrong "ls: a name makes lines of its own"
for o in . .. .x latest "$evil"; do
	clean "$ttd" record -o "$o" --kernel "$TTD_BUILD/hostile"
	grep -q "cannot be the name of a trace" "$TTD_TMP/out" || wrong "record -o $o"
done
clean "$ttd" ps one --at nowhere
grep -q 'PID' "$TTD_TMP/out" && wrong "a table's head without a table"

# On another host: what lies beside the log is used, the rest has to be named.
cp "$TTD_BUILD/hostile" "$TTD_TMP/kernel"
HOME=$TTD_TMP/other
mkdir "$HOME"
for c in "replay one" "pack one -o $TTD_TMP/x.ttd" "regs one"; do
	# shellcheck disable=SC2086
	"$ttd" $c </dev/null >"$TTD_TMP/out" 2>&1 && wrong "$c: without a seal"
	grep -q 'does not carry your seal.*--kernel PATH' "$TTD_TMP/out" || wrong "$c: what it says"
	# shellcheck disable=SC2086
	"$ttd" $c --kernel "$TTD_TMP/kernel" </dev/null >"$TTD_TMP/out" 2>&1 || wrong "$c --kernel"
done
[ -e "$HOME/.local" ] && wrong "a key is made by looking"
"$ttd" replay "$TTD_TMP/one.ttd" </dev/null >"$TTD_TMP/out" 2>&1 || wrong "a packed trace does not replay"
cp "$TTD_TMP/kernel" "$TTD_TRACE_DIR/one/kernel"
"$ttd" replay one </dev/null >"$TTD_TMP/out" 2>&1 || wrong "not with the kernel beside"

# A FIFO, and a file that takes long to read: SIGTERM ends it.
rm "$TTD_TRACE_DIR/one/kernel"
mkfifo "$TTD_TRACE_DIR/one/kernel"
timeout 20 "$ttd" info one </dev/null >"$TTD_TMP/out" 2>&1 || wrong "info waits for a FIFO"
exit $bad
