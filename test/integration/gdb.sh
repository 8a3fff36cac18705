#!/bin/bash
# gdb.sh - recordings under gdb, forwards and backwards: the same registers at each
# place both ways, from a crash back to its cause, and nothing that a client does
# changes the recording.  SEED decides about random places.
set -u
. "${0%/*}/../lib.sh"
here=test/gdb
export SEED=${SEED:-$$} PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1
echo "SEED=$SEED"
command -v gdb >/dev/null || { echo "there is no gdb"; exit 77; }
gdb -nx -batch -ex 'python import socket' >/dev/null 2>&1 || { echo "gdb has no python"; exit 77; }
export VICTIM=$TTD_TMP/victim
gcc -O1 -g -static -no-pie -fno-pie -fcf-protection=none -o "$VICTIM" $here/victim.c ||
	{ echo "cannot build the program"; exit 1; }
make_guest --add "$VICTIM:/bin/victim"
server=

cleanup() {
	[ -z "$server" ] || kill "$server" 2>/dev/null
}

record() { # NAME COMMAND
	timeout 300 "$ttd" record -o "$TTD_TRACE_DIR/$1" --kernel "$KERNEL" --ramdisk "$RAMDISK" \
		--memory 128 --extra "quiet ttd.run=\"$2\"" </dev/null >"$TTD_TMP/$1.out" 2>&1 ||
		wrong "recording $1: $(tail -n 1 "$TTD_TMP/$1.out")"
}
serve() { # TRACE OPTION...
	rm -f "$TTD_TMP/server.err"
	: >"$TTD_TMP/server.err"
	"$ttd" replay "$@" --gdb=0 2>>"$TTD_TMP/server.err" &
	server=$!
	for _ in {1..300}; do
		PORT=$(sed -n 's/.*localhost:\([0-9]*\).*/\1/p' "$TTD_TMP/server.err")
		[ -n "$PORT" ] && break
		sleep 0.1
	done
	export PORT
	grep -q '^Seccomp:[[:space:]]*2' "/proc/$server/status" || wrong "a session runs unconfined"
}
finish() { # STATUS
	local rc
	[ "$1" -eq 0 ] && [ $bad -eq 0 ] || kill -INT "$server"
	wait "$server"
	rc=$?
	server=
	[ $rc -eq "$1" ] || wrong "the server's exit status is $rc: $(cat "$TTD_TMP/server.err")"
}
run() { # SCRIPT
	timeout 300 gdb -nx -q -batch -x "$here/$1" >"$TTD_TMP/$1.out" 2>&1
	local rc=$?
	grep -E '^TIME|: fine$|forward and back$|median' "$TTD_TMP/$1.out"
	[ $rc -eq 0 ] && ! grep -qE '^Traceback|Error|Assert' "$TTD_TMP/$1.out" ||
		wrong "$1: $(tail -n 15 "$TTD_TMP/$1.out")"
}
symbol() {
	nm "$VICTIM" | sed -n "s/ [a-zA-Z] $1\$//p"
}
end_of() {
	sed -n 's/.*: \([0-9]*\) instructions.*/\1/p' "$TTD_TMP/$1.out"
}
digest() {
	md5sum <"$TTD_TRACE_DIR/$1/ttd.log.guest"
}

# ---- every kind of step ----
record steps "victim steps"
log=$(digest steps)
serve steps
BEGIN=$(symbol steps_begin) CHANGING=$(symbol changing_code) END=$(end_of steps)
export BEGIN CHANGING END
# The first of each kind of event after the program has begun.
PLACES=$("$TTD_BUILD/ttd-read-log" -f "$TTD_TRACE_DIR/steps/ttd.log.guest" -i |
	sed -n 's/.*icount:\([0-9]*\), [A-Z_()0-9]*,info:\([a-z0-9_]*\).*/\1 \2/p' |
	awk -v from=$((END - 2200000)) -v to=$((END - 1000)) '$1 > from && $1 < to && !seen[$2]++ && $2 != "poweroff" { print $2 "@" $1 }' |
	tr '\n' ' ')
export PLACES
run steps.py
run thousand.gdb
finish 130
[ "$(digest steps)" = "$log" ] || wrong "the log has changed"

# ---- from the crash to its cause, and what a client may do ----
record bug "LATER=500000000 victim bug"
log=$(digest bug)
END=$(end_of bug) USE=$(symbol use) RECORD=$(symbol record)
export USE RECORD
serve bug
run bug.gdb
out=$TTD_TMP/bug.gdb.out
sed -n '/^AT the crash/,/^AT the store/p' "$out" | grep -q '^Old value = (unsigned int \*) 0x656d616e20676e69' ||
	wrong "bug.gdb: the pointer is not what the bug makes of it"
sed -n '/^AT the store/,$p' "$out" | grep -q '^#1 .* in bug ' || wrong "bug.gdb: the store is not in set_name of bug"
grep -q '^\$[0-9]* = 15$' "$out" || wrong "bug.gdb: not the last byte of the name"
sed -n '/^AT the call/,/^AFTER/p' "$out" | grep -q 'set_name("overflowing name", 16)' ||
	wrong "bug.gdb: reverse-finish does not lead to the call"
sed -n '/^IN it again/,$p' "$out" | grep -q '^#0 .*set_name' || wrong "bug.gdb: reverse-step does not lead into set_name"
grep -q 'No more reverse-execution history' "$out" || wrong "bug.gdb: no beginning"
run control.py
finish 0
grep -q 'Segmentation fault' "$TTD_TMP/bug.out" || wrong "the program did not crash"
[ "$(digest bug)" = "$log" ] || wrong "the log has changed"
"$ttd" replay bug --verify 2>"$TTD_TMP/verify.err" || wrong "it does not replay any more: $(cat "$TTD_TMP/verify.err")"

# ---- a socket in the file system, which goes when the server does ----
socket=$TTD_TMP/socket
serve_path() {
	: >"$TTD_TMP/server.err" # the last one's says that it waits
	"$ttd" replay bug --gdb="$socket" 2>"$TTD_TMP/server.err" &
	server=$!
	for _ in {1..300}; do
		grep -q "target remote $socket" "$TTD_TMP/server.err" && break
		sleep 0.1
	done
}
gone() {
	for _ in {1..100}; do
		[ -e "$socket" ] || return
		sleep 0.1
	done
	wrong "the socket is left: $*"
}
serve_path
[ "$(stat -c %a:%F "$socket")" = 600:socket ] || wrong "the socket: $(ls -l "$socket")"
timeout 60 "$ttd" replay bug --gdb="$socket" 2>"$TTD_TMP/second.err" && wrong "two servers on a socket"
grep -q 'in use' "$TTD_TMP/second.err" || wrong "a second server: $(cat "$TTD_TMP/second.err")"
timeout 100 gdb -nx -q -batch -ex "target remote $socket" -ex 'monitor when' -ex 'kill' >"$TTD_TMP/path.out" 2>&1
grep -q '^icount 0 ' "$TTD_TMP/path.out" || wrong "by a path: $(cat "$TTD_TMP/path.out")"
finish 0
gone "after kill in gdb"
serve_path
kill -9 "$server"
wait "$server" 2>/dev/null
gone "after kill -9"
# Its whole session goes at once, as when a terminal is closed.
serve_path
read -ra children <"/proc/$server/task/$server/children"
kill -HUP "${children[@]}" || wrong "no process beside the server"
kill -9 "$server"
wait "$server" 2>/dev/null
gone "after a hangup"

# ---- leaving the recording while a disk's request is in flight ----
truncate -s 8M "$TTD_TMP/disk"
timeout 300 "$ttd" record -o "$TTD_TRACE_DIR/disk" --kernel "$KERNEL" --ramdisk "$RAMDISK" \
	--memory 128 --disk "$TTD_TMP/disk,raw,xvda,rw" --extra "quiet ttd.run=\"for m in /lib/ttd/root/*.ko; do insmod \$m; done; md5sum </dev/xvda; echo x | dd of=/dev/xvda conv=fsync; echo done\"" \
	</dev/null >"$TTD_TMP/disk.out" 2>&1 || wrong "recording disk: $(tail -n 1 "$TTD_TMP/disk.out")"
EVENT=$("$TTD_BUILD/ttd-read-log" -f "$TTD_TRACE_DIR/disk/ttd.log.guest" -i -t input |
	grep 'info:block' | sed -n 's/.*icount:\([0-9]*\).*/\1/p' | sed -n '9p')
export EVENT
serve disk
timeout 100 gdb -nx -q -batch -x $here/fork.py >"$TTD_TMP/fork.out" 2>&1
grep -q '^fork.py: fine' "$TTD_TMP/fork.out" || wrong "fork.py: $(tail -n 5 "$TTD_TMP/fork.out")"
finish 0

# ---- a gdb that is started, with the kernel's symbols ----
cat >"$TTD_TMP/gdb" <<END
#!/bin/sh
exec gdb -nx -batch "\$@" -ex 'monitor when' -ex 'info symbol \$rip' -ex 'print \$icount' \
	-ex 'stepi 3' -ex 'reverse-stepi 3' -ex 'print \$icount' -ex 'gcore' -ex 'generate-core-file /dev/null' -ex 'detach'
END
chmod +x "$TTD_TMP/gdb"
TTD_GDB=$TTD_TMP/gdb timeout 100 "$ttd" replay bug --gdb --at 1234567890 >"$TTD_TMP/own.out" 2>&1 ||
	wrong "ttd replay --gdb: $(cat "$TTD_TMP/own.out")"
[ "$(grep -c '= 1234567890$' "$TTD_TMP/own.out")" -eq 2 ] || wrong "the started gdb: $(cat "$TTD_TMP/own.out")"
[ "$(grep -c '^A core file is of a process' "$TTD_TMP/own.out")" -eq 2 ] || wrong "gcore: $(cat "$TTD_TMP/own.out")"
grep -q ' in section ' "$TTD_TMP/own.out" || wrong "the started gdb has no symbols: $(cat "$TTD_TMP/own.out")"
# What a session that a guest has taken over would ask the started gdb for: its files.
echo mine >"$TTD_TMP/mine"
cat >"$TTD_TMP/gdb" <<END
#!/bin/sh
for a; do target=\${a#target remote }; done
dir=\${target%/socket}
rm "\$dir/stub"
STUB=\$dir/stub MINE=$TTD_TMP/mine gdb -nx -q -batch -x $here/fileio.py &
for i in 1 2 3 4 5 6 7 8 9; do
	[ -S "\$dir/stub" ] || sleep 1
done
exec gdb -nx -batch -ex 'set architecture i386:x86-64' "\$@" -ex continue
END
TTD_GDB=$TTD_TMP/gdb timeout 100 "$ttd" replay bug --gdb >"$TTD_TMP/fileio.out" 2>&1
[ "$(cat "$TTD_TMP/mine")" = mine ] || wrong "gdb writes files for its target: $(cat "$TTD_TMP/fileio.out")"
grep -q 'asks gdb for files of yours' "$TTD_TMP/fileio.out" || wrong "the relay: $(cat "$TTD_TMP/fileio.out")"
# ---- the kernel's own bug: from the oops to the store ----
mkdir "$TTD_TMP/ramdisk"
(cd "$TTD_TMP/ramdisk" && zcat "$RAMDISK" | cpio -id --quiet '*mbcache.ko')
like=$(find "$TTD_TMP/ramdisk" -name '*mbcache.ko')
$here/kmod $here/kbug.c "$like" "$TTD_TMP/kbug.ko" || wrong "the module cannot be built"
guest=$(tools/mkguest --print --add "$TTD_TMP/kbug.ko:/kbug.ko" 2>/dev/null) && eval "$guest"
record kbug "insmod /kbug.ko"
cat >"$TTD_TMP/gdb" <<END
#!/bin/sh
exec gdb -nx -batch "\$@" -x $here/oops.gdb
END
out=$TTD_TMP/oops.out
TTD_GDB=$TTD_TMP/gdb timeout 100 "$ttd" replay kbug --gdb --at panic >"$out" 2>&1
grep '^TIME' "$out"
sed -n '/^AT the fault/,/^AT the store/p' "$out" | grep -q '^kbug_use + ' || wrong "oops: no fault in kbug_use: $(cat "$out")"
sed -n '/^AT the store/,$p' "$out" | grep -q '^kbug_set_name + ' || wrong "oops: no store in kbug_set_name: $(cat "$out")"
grep -q '^Old value = 7308604895910129257$' "$out" || wrong "oops: not the spoilt pointer: $(cat "$out")"

TTD_GDB=/nonexistent/gdb "$ttd" replay bug --gdb >"$TTD_TMP/none.out" 2>&1
[ $? -eq 1 ] && grep -q 'install gdb' "$TTD_TMP/none.out" || wrong "no gdb: $(cat "$TTD_TMP/none.out")"
"$ttd" replay bug --gdb=70000 2>"$TTD_TMP/port.err"
[ $? -eq 2 ] || wrong "a bad port: $(cat "$TTD_TMP/port.err")"

[ $bad -eq 0 ] && echo "gdb.sh: fine"
exit $bad
