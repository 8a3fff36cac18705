#!/bin/bash
# look.sh - what ttd says about a stopped guest agrees with what the guest
# itself printed just before: processes, mappings, messages, kernel stacks,
# symbols.  FLAVOUR is a kernel of tools/mkguest's, the default one otherwise;
# with ALL set more is compared.
set -u
. "${0%/*}/../lib.sh"
flavour=${FLAVOUR:-amd64}
# Also from the end of a pipe, which is a shell of its own.
wrong() {
	echo "wrong: $*"
	touch "$TTD_TMP/bad"
}
rm -f "$TTD_TMP/bad"
# The guest's last words, then it goes round in a circle until it is stopped.
cat >"$TTD_TMP/run" <<'END'
#!/bin/sh
(exec sleep 1000) &
cat /dev/console >/dev/null &
sh -c 'sleep 555; echo x' &
/stack &
sleep 0.2
echo "==stack $!"
echo "one line" >/dev/kmsg
printf '<5>two\nlines\n' >/dev/kmsg
for p in 1 $!; do
	echo "==maps $p"
	cat /proc/$p/maps
done
if [ -e /ttd/all ]; then
	echo ==kallsyms
	awk 'NR % 50 == 0 || /\[xen/' /proc/kallsyms
fi
echo ==modules
cat /proc/modules
echo ==dmesg
dmesg
echo ==ps
for p in /proc/[0-9]*; do
	read -r line <$p/stat && echo "$line"
done
echo ==stacks
for p in /proc/[0-9]*; do
	read -r name <$p/comm
	case $name in
	rcu_* | kworker*) ;; # they will have run until this is at its end
	*) [ ${p#/proc/} = $$ ] || { echo "= ${p#/proc/}"; cat $p/stack; } ;;
	esac
done
echo ==end
while :; do :; done
END
chmod +x "$TTD_TMP/run"
gcc -O2 -g -static -fomit-frame-pointer -o "$TTD_TMP/stack" test/guest/stack.c || wrong "gcc"
strip -o "$TTD_TMP/stripped" "$TTD_TMP/stack"
stop=4400000000
all=()
if [ -n "${ALL:-}" ]; then
	stop=12000000000
	touch "$TTD_TMP/all"
	all=(--add "$TTD_TMP/all:/ttd/all")
fi
make_guest --flavour "$flavour" --run "$TTD_TMP/run" \
	--add "$TTD_TMP/stripped:/stack" "${all[@]}"
timeout 300 "$ttd" record -o look --kernel "$KERNEL" --ramdisk "$RAMDISK" --clock virtual \
	--extra quiet --stop-at $stop </dev/null >"$TTD_TMP/console" 2>"$TTD_TMP/err" ||
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
"$ttd" ps look --at 50% >"$TTD_TMP/ours"
[ "$(grep -c '^>' "$TTD_TMP/ours")" -eq 1 ] || wrong "ps: the running process"
grep -q ' \[kthreadd\]$' "$TTD_TMP/ours" || wrong "ps: a thread of the kernel"

# Mappings of two processes, byte by byte.
pids=$(sed -n 's/^==maps //p' "$TTD_TMP/out")
[ -n "${ALL:-}" ] || pids=1
for pid in $pids; do
	"$ttd" maps "$pid" look >"$TTD_TMP/ours"
	section "maps $pid" | same "mappings of $pid"
done

# Messages, byte by byte.
"$ttd" dmesg look >"$TTD_TMP/ours"
section dmesg | same "messages"
grep -q '\] lines$' "$TTD_TMP/ours" || wrong "dmesg: a message of two lines"
"$ttd" dmesg look --json --at 100000000 | grep -q '"level":5,"text":"Linux version ' || wrong "dmesg --json"

# Symbols, as gdb and nm read them; where the modules are.
"$ttd" symbols look -o "$TTD_TMP/symbols" || wrong "symbols"
nm "$TTD_TMP/symbols" >"$TTD_TMP/nm" 2>"$TTD_TMP/err" && [ ! -s "$TTD_TMP/err" ] || wrong "nm"
section modules | sed 's/^\([^ ]*\) .* 0x\([0-9a-f]*\).*/\2 .module.\1/' | sort >"$TTD_TMP/modules"
objdump -h "$TTD_TMP/symbols" | awk '$2 ~ /^[.]module/ { print $4, $2 }' | sort >"$TTD_TMP/ours"
same "modules" <"$TTD_TMP/modules"
if [ -n "${ALL:-}" ]; then
	section kallsyms | awk '$1 >= "8" { print $1, $3 }' | sort -u >"$TTD_TMP/kallsyms"
	awk '$1 >= "8" { print $1, $3 }' "$TTD_TMP/nm" | sort -u | comm -12 - "$TTD_TMP/kallsyms" \
		>"$TTD_TMP/ours"
	same "symbols" <"$TTD_TMP/kallsyms"
	[ "$(grep -c . "$TTD_TMP/ours")" -gt 1500 ] || wrong "only a few symbols"
fi
if command -v gdb >/dev/null; then
	gdb -nx -batch -ex 'info symbol do_exit' -ex 'break do_exit' -ex 'x/2i do_exit' \
		-ex 'info symbol xennet_close' "$TTD_TMP/symbols" >"$TTD_TMP/ours" 2>&1
	grep -q '^do_exit in section .text' "$TTD_TMP/ours" &&
		grep -q "^Breakpoint 1 at 0x$(sed -n 's/ . do_exit$//p' "$TTD_TMP/nm")\$" "$TTD_TMP/ours" &&
		grep -q '<do_exit+[0-9]*>:.*push' "$TTD_TMP/ours" &&
		grep -q '^xennet_close in section .module.xen_netfront' "$TTD_TMP/ours" ||
		{ wrong "gdb"; cat "$TTD_TMP/ours"; }
fi

# A core file: the same registers and memory, and the kernel's own description of itself.
"$ttd" dump-core look -o "$TTD_TMP/core" || wrong "dump-core"
readelf -ln "$TTD_TMP/core" >"$TTD_TMP/ours" 2>"$TTD_TMP/err" && [ ! -s "$TTD_TMP/err" ] || wrong "readelf"
grep -q 'NT_PRSTATUS' "$TTD_TMP/ours" && grep -q '^  VMCOREINFO' "$TTD_TMP/ours" || wrong "the core's notes"
grep -aq '^SYMBOL(swapper_pg_dir)=' "$TTD_TMP/core" || wrong "the core's VMCOREINFO"
if command -v gdb >/dev/null; then
	va=$(sed -n 's/^\([0-9a-f]*\) . linux_banner$/0x\1/p' "$TTD_TMP/nm")
	gdb -nx -batch -ex 'info registers rip' -ex "x/32xb $va" "$TTD_TMP/symbols" "$TTD_TMP/core" \
		2>/dev/null | sed -n 's/^rip  *\(0x[0-9a-f]*\).*/\1/p; s/.*>:\t//p' |
		tr '\t' ' ' >"$TTD_TMP/ours"
	"$ttd" regs look --json | sed -n 's/.*"rip":"\(0x[0-9a-f]*\)".*/\1/p' >"$TTD_TMP/bytes"
	"$ttd" mem "$va" 32 look | sed 's/  |.*//; s/^[0-9a-f]*  *//; s/  */ 0x/g; s/^/0x/' |
		xargs -n 8 >>"$TTD_TMP/bytes"
	same "memory in the core" <"$TTD_TMP/bytes"
fi

# Stacks of the kernel, of every task but the one that runs: like /proc/PID/stack,
# which leaves out the scheduler's functions.
"$ttd" bt look --all --binary "$TTD_TMP/stack" >"$TTD_TMP/bt" 2>"$TTD_TMP/err" ||
	wrong "bt: $(cat "$TTD_TMP/err")"
from=$(sed -n 's/ . __sched_text_start$//p' "$TTD_TMP/nm")
to=$(sed -n 's/ . __sched_text_end$//p' "$TTD_TMP/nm")
awk -v from="0x$from" -v to="0x$to" '
	/^> / { skip = 1 }
	/^  [0-9]+ \(/ { skip = /\((rcu_|kworker)/; if (!skip) print "= " $1 }
	/^#/ && !skip && $2 >= "0xffff8" && ($2 < from || $2 >= to) { print "[<0>] " $3 ($4 ~ /^\[/ ? " " $4 : "") }
	' "$TTD_TMP/bt" >"$TTD_TMP/ours"
running=$(sed -n 's/^> \([0-9]*\) .*/\1/p' "$TTD_TMP/bt")
section stacks | awk -v not="$running" '
	/^=/ { if (n != "") all[n] = text; n = $2; text = "" }
	!/^=/ { text = text $0 "\n" }
	END { all[n] = text; for (n in all) if (n != not) print n "\t" all[n] }' RS='\n' |
	awk '/\t/ { split($0, a, "\t"); print "= " a[1]; if (a[2] != "") print a[2]; next } /./' >"$TTD_TMP/stacks"
# The guest's list is in the order of names, ours in that of numbers.
tasks() {
	awk '/^=/ { n = $2 } { print n "\t" NR "\t" $0 }' "$1" | sort -s -n -k1,1 | cut -f3-
}
tasks "$TTD_TMP/ours" >"$TTD_TMP/a"
mv "$TTD_TMP/a" "$TTD_TMP/ours"
tasks "$TTD_TMP/stacks" | same "stacks of the kernel"
grep -q '^= 1$' "$TTD_TMP/ours" || wrong "bt: no process 1"

# A program's stack through a signal handler on a stack of its own: the return
# addresses that it saw itself, from the inside out.
pid=$(sed -n 's/^==stack //p' "$TTD_TMP/out")
sed -n "/^  $pid (stack)/,/^\$/p" "$TTD_TMP/bt" >"$TTD_TMP/stack.bt"
sed -n 's/^caller 0x//p' "$TTD_TMP/out" | tac >"$TTD_TMP/callers"
grep -o '^#[0-9]* *0x[0-9a-f]*' "$TTD_TMP/stack.bt" | sed 's/.*0x0*//' |
	grep -F -x -f "$TTD_TMP/callers" >"$TTD_TMP/ours"
same "return addresses of the program" <"$TTD_TMP/callers"
grep -q '(?)' "$TTD_TMP/stack.bt" && wrong "bt: guesses where tables are"
[ "$(grep -c ' recursive+0x[0-9a-f]*/0x[0-9a-f]* in /stack at .*stack.c:[0-9]*$' "$TTD_TMP/stack.bt")" -eq 4 ] &&
	grep -q ' innermost+0x.* in /stack at .*stack.c:[0-9]*$' "$TTD_TMP/stack.bt" ||
	{ wrong "bt: names and lines"; cat "$TTD_TMP/stack.bt"; }
"$ttd" bt look --json --at 100000000 >"$TTD_TMP/json"
grep -q '^\[{"ip":"0xffff.*"how":"here","mode":"kernel","symbol":.*"how":"table".*"startup_xen"' \
	"$TTD_TMP/json" || wrong "bt --json"

# Memory and registers.
"$ttd" mem linux_banner 13 look --at 1 | grep -q '|Linux version|$' || wrong "mem: by symbol"
"$ttd" mem 0x400000 4 look --pid 1 --json | grep -q '"bytes":"7f454c46"}' || wrong "mem --pid"
"$ttd" regs look --at 100000000 --json >"$TTD_TMP/json"
grep -q '"icount":100000000,.*"mode":"kernel","rip":"0x[0-9a-f]*",.*"comm":"swapper"}' "$TTD_TMP/json" ||
	wrong "regs: $(cat "$TTD_TMP/json")"

# Early positions: memory and symbols are there before any process is.
"$ttd" regs look --at 1 | grep -q '^rip .* startup_xen+0x' || wrong "regs at the first instruction"
"$ttd" ps look --at 1 >/dev/null 2>&1
rc=$?
[ $rc -le 1 ] || wrong "ps at the first instruction: exit $rc"

# What users may get wrong: one line, exit status 2.
for args in "maps look" "maps 99999 look" "mem" "mem nothing look" "mem 0 x look" \
	"mem 0x0 4 look --pid 99999" "ps look look" "bt look --pid 0" "bt look --pid 99999" "symbols look" "dump-core look" \
	"bt look --symbols $TTD_TMP/stack" "regs look --at x"; do
	case $args in *--at*) ;; *) args="$args --at 1000000" ;; esac
	# shellcheck disable=SC2086
	"$ttd" $args >"$TTD_TMP/ours" 2>"$TTD_TMP/err"
	rc=$?
	[ $rc -eq 2 ] && [ "$(wc -l <"$TTD_TMP/err")" -eq 1 ] || wrong "$args: exit $rc"
done
[ ! -e "$TTD_TMP/bad" ]
