#!/bin/bash
# look.sh - what ttd says about a stopped guest agrees with what the guest
# itself printed just before: processes, mappings, messages, kernel stacks,
# symbols.  FLAVOUR is a kernel of tools/mkguest's, the default one otherwise.
set -u
ttd=$TTD_BUILD/ttd
flavour=${FLAVOUR:-amd64}
export TTD_TRACE_DIR=$TTD_TMP/traces
bad=0
wrong() {
	echo "wrong: $*"
	bad=1
}
# The guest's last words, then it goes round in a circle until it is stopped.
cat >"$TTD_TMP/run" <<'END'
#!/bin/sh
(exec sleep 1000) &
cat /dev/console >/dev/null &
sh -c 'sleep 555; echo x' &
sleep 0.2
echo "one line" >/dev/kmsg
printf '<3>two\nlines\n' >/dev/kmsg
echo ==stacks
for p in /proc/[0-9]*; do
	echo "= ${p#/proc/}"
	[ ${p#/proc/} = $$ ] || cat $p/stack
done
for p in 1 $!; do
	echo "==maps $p"
	cat /proc/$p/maps
done
if [ -e /ttd/all ]; then
	echo ==kallsyms
	cat /proc/kallsyms
fi
echo ==modules
cat /proc/modules
echo ==dmesg
dmesg
echo ==ps
for p in /proc/[0-9]*; do
	read -r line <$p/stat && echo "$line"
done
echo ==end
while :; do :; done
END
chmod +x "$TTD_TMP/run"
guest=$(tools/mkguest --print --flavour "$flavour" --run "$TTD_TMP/run") ||
	{ echo "no kernel package to be had"; exit 77; }
eval "$guest"
timeout 300 "$ttd" record -o look --kernel "$KERNEL" --ramdisk "$RAMDISK" --clock virtual \
	--extra quiet --stop-at 4000000000 </dev/null >"$TTD_TMP/console" 2>"$TTD_TMP/err" ||
	wrong "record: $(cat "$TTD_TMP/err")"
tr -d '\r' <"$TTD_TMP/console" >"$TTD_TMP/out"
grep -q '^==end' "$TTD_TMP/out" || wrong "the guest did not come to its end"
# section NAME: what the guest printed under that heading.
section() {
	sed -n "/^==$1\$/,/^==/p" "$TTD_TMP/out" | sed '1d;$d'
}
# same WHAT: stdin is the guest's, $TTD_TMP/ours is ours.
same() {
	diff - "$TTD_TMP/ours" >"$TTD_TMP/diff" && [ -s "$TTD_TMP/ours" ] ||
		{ wrong "$1 differ"; head -n 20 "$TTD_TMP/diff"; }
}

# Processes: pid, name, state, parent, start (in hundredths), size, resident pages.
"$ttd" ps look --json >"$TTD_TMP/json" 2>"$TTD_TMP/err" || wrong "ps: $(cat "$TTD_TMP/err")"
sed 's/^\[{//; s/},{/\n/g' "$TTD_TMP/json" | sed -n 's/.*"tid":\([0-9]*\),"ppid":\([0-9]*\).*"state":"\(.\)","current":\([a-z]*\).*"vsz":\([0-9]*\),"rss":\([0-9]*\).*"start_ns":\([0-9]*\),.*"comm":"\([^"]*\)".*/\1 \8 \3 \2 \7 \5 \6 \4/p' |
	sed 's/ kworker[^ ]*/ kworker/' |
	awk '{ print $1, $2, $3, $4, int($5 / 10000000), $6, $8 == "true" ? "-" : $7 / 4096 }' >"$TTD_TMP/ours"
section ps | sed 's/(kworker[^)]*)/(kworker)/; s/[()]//g' |
	awk '{ print $1, $2, $3, $4, $22, $23, $3 == "R" ? "-" : $24 }' | sort -n | same "processes"
"$ttd" ps look | grep -q '^> .* /bin/sh /ttd/run$' || wrong "ps: the running process"
"$ttd" ps look | grep -q ' \[kthreadd\]$' || wrong "ps: a thread of the kernel"

# Mappings of two processes, byte by byte.
for pid in $(sed -n 's/^==maps //p' "$TTD_TMP/out"); do
	"$ttd" maps "$pid" look >"$TTD_TMP/ours"
	section "maps $pid" | same "mappings of $pid"
done

# Messages, byte by byte.
"$ttd" dmesg look >"$TTD_TMP/ours"
section dmesg | same "messages"
grep -q '\] lines$' "$TTD_TMP/ours" || wrong "dmesg: a message of two lines"
"$ttd" dmesg look --json | grep -q '"level":3,"text":"two\\u000alines"' || wrong "dmesg --json"

# Memory and registers.
"$ttd" mem linux_banner 13 look | grep -q '|Linux version|$' || wrong "mem: by symbol"
"$ttd" mem 0x400000 4 look --pid 1 --json | grep -q '"bytes":"7f454c46"}' || wrong "mem --pid"
"$ttd" regs look --json >"$TTD_TMP/json"
grep -q '"icount":4000000000,.*"mode":"user","rip":"0x[0-9a-f]*",.*"comm":"run"}' "$TTD_TMP/json" ||
	wrong "regs: $(cat "$TTD_TMP/json")"

# Early positions: memory and symbols are there before any process is.
"$ttd" regs look --at 1 | grep -q '^rip .* startup_xen+0x' || wrong "regs at the first instruction"
"$ttd" ps look --at 1 >/dev/null 2>&1
rc=$?
[ $rc -le 1 ] || wrong "ps at the first instruction: exit $rc"

# What users may get wrong: one line, exit status 2.
for args in "maps look" "maps 99999 look" "mem" "mem nothing look" "mem 0 x look" \
	"mem 0x0 4 look --pid 99999" "ps look look" "regs look --at x"; do
	case $args in *--at*) ;; *) args="$args --at 600000000" ;; esac
	# shellcheck disable=SC2086
	"$ttd" $args >"$TTD_TMP/ours" 2>"$TTD_TMP/err"
	rc=$?
	[ $rc -eq 2 ] && [ "$(wc -l <"$TTD_TMP/err")" -eq 1 ] || wrong "$args: exit $rc"
done
exit $bad
