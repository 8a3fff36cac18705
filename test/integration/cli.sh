#!/bin/bash
# cli.sh - what users type: help, wrong options and wrong values.  Wrong input
# gives one line and exit status 2.
set -u
. "${0%/*}/../lib.sh"
# expect STATUS PATTERN ARGS...: the status, and one line that matches.
expect() {
	local status=$1 pattern=$2 out rc
	shift 2
	out=$(timeout 60 "$ttd" "$@" 2>&1 </dev/null)
	rc=$?
	if [ $rc -ne "$status" ] || ! grep -q -- "$pattern" <<<"$out" ||
		[ "$(wc -l <<<"$out")" -ne 1 ]; then
		echo "ttd $*: exit $rc, wanted $status and '$pattern'; got: $out"
		bad=1
	fi
}
expect 0 '^ttd [0-9]' --version
expect 2 "unknown option '--foo'" --foo
expect 2 "unknown command 'foo'" foo
expect 2 "unknown option '--foo'" run --foo
expect 2 "unknown option '-x'" run -x
expect 2 'maxmem 128 is less than --memory 256' run --kernel /dev/null --maxmem 128
expect 2 '--maxmem .*megabytes' run --kernel /dev/null --maxmem 1G
expect 2 'give a domain and megabytes' mem-set nobody
expect 2 'give a domain and megabytes' mem-set nobody 1G
expect 2 'needs a value' run --memory
expect 2 'takes no value' run --stats=3 --kernel /dev/null
expect 2 'no kernel' run
expect 2 "'extra' is not an option" run --kernel /dev/null extra
for m in 0 3 1000000000 18446744073709551616 abc '' -1 256M ' 256'; do
	expect 2 '--memory .*megabytes' run --kernel /dev/null --memory "$m"
done
expect 2 '--clock .*host or virtual' run --kernel /dev/null --clock fast
expect 2 '--on-reboot .*restart or exit' run --kernel /dev/null --on-reboot x
expect 2 '--stop-at' run --kernel /dev/null --stop-at 0
expect 2 '--name' run --kernel /dev/null --name ../x
expect 2 "unknown option '-x'" replay -x
expect 2 "unknown option '--foo'" record --foo
expect 2 "one trace at a time" replay a b
expect 2 '--speed .*number' replay --speed fast
expect 2 '--on-full .*stop or go-on' record --kernel /dev/null --on-full x
expect 2 '--interval' record --kernel /dev/null --interval 5
expect 2 'name a trace' rm
expect 2 "unknown command 'nope'" help nope
expect 1 '/nonexistent/kernel' run --kernel /nonexistent/kernel
expect 1 '/nonexistent/kernel' record --kernel /nonexistent/kernel
expect 1 'there is no trace' replay
expect 1 'trace .*/nope: ' replay nope
expect 1 'trace .*/nope: ' rm nope
mkdir "$TTD_TMP/none"
expect 1 'none/: is no trace: it holds no log' info "$TTD_TMP/none/"
expect 1 'none: is no trace: it holds no log' replay "$TTD_TMP/none"
expect 1 'layers.mk' run --kernel layers.mk
expect 1 'ttd: ' run --kernel /dev/null
# The command line that the kernel gets: what is given is added to the console, or all of it.
expect 2 '--cmdline is the whole command line' run --kernel /dev/null --cmdline a --extra b
for how in extra cmdline; do
	"$ttd" record -o whole-$how --name 'a~b' --kernel "$TTD_BUILD/hostile" --memory 64 \
		--$how 'attack=timers' </dev/null >"$TTD_TMP/out" 2>&1 || { cat "$TTD_TMP/out"; bad=1; }
done
"$ttd" info whole-cmdline --json | grep -q '"cmdline":"attack=timers"' || { echo "--cmdline adds something"; bad=1; }
"$ttd" info whole-extra --json | grep -q '"cmdline":"console=hvc0 attack=timers"' || { echo "--extra"; bad=1; }
"$ttd" info whole-extra --json | grep -q '"domain":"a~b"' || { echo "a name with ~"; bad=1; }
for c in run record replay ls info rm diff report help; do
	"$ttd" help $c | grep -q "^usage: ttd $c" || { echo "ttd help $c"; bad=1; }
	"$ttd" $c --help | grep -q "^usage: ttd $c" || { echo "ttd $c --help"; bad=1; }
done
"$ttd" run --help >/dev/full 2>/dev/null && { echo "a full disk went unnoticed"; bad=1; }
exit $bad
