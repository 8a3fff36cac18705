#!/bin/bash
# places.sh - hard places: descriptors that are closed, limits, full disks, folders
# that are gone.  Whatever is missing, ttd says so in one line, ends with the status
# that belongs to it, and leaves nothing behind.
#
# The guest is the hostile one, which is done in a moment.  A small file system needs
# namespaces of its own, which root and most users may make.
set -u
. "${0%/*}/../lib.sh"
build=$TTD_BUILD
kernel=$build/hostile
readlog=$build/ttd-read-log
cd "$TTD_TMP" || exit 1
export TTD_TRACE_DIR=$PWD/t XDG_CACHE_HOME=$PWD/c

evidence() {
	head -c 1000 out
}
# run STATUS PATTERN COMMAND...: that status, and one line of ttd's that matches; "": none.
run() {
	local status=$1 pattern=$2 rc
	shift 2
	case $1 in record) ;; *) set -- timeout 60 "$@" ;; esac
	"$@" </dev/null >out 2>&1
	rc=$?
	[ $rc -eq "$status" ] || wrong "$*: exit $rc instead of $status"
	if [ -z "$pattern" ]; then
		! grep -a '^ttd[a-z-]*: ' out | grep -vq 'recorded\|verified' || wrong "$*: says something"
	else
		[ "$(grep -ac "$pattern" out)" -eq 1 ] || wrong "$*: does not say '$pattern' once"
	fi
	! grep -q 'did not say why' out || wrong "$*: an error without a name"
}
attack=timers
fast="--interval 1000" # a log that soon fills what it is in: exits alone do not
recording='"$ttd" record --kernel "$kernel" --memory 64 --clock virtual --extra "attack=$attack"'
record() {
	eval "timeout 60 $recording"' "$@" </dev/null'
}

# ---- closed descriptors: no file of ours is taken for one of them
record -o a >out 2>&1 || wrong "cannot record"
for closed in '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
	rm -rf t/b
	for what in "$recording -o b" '"$ttd" replay a' '"$ttd" info a' '"$readlog" -f t/a/ttd.log.guest' \
		'"$ttd" bt a --at end' '"$ttd" pack a -o packed --force'; do
		: >out
		(eval "exec >>out 2>&1 $closed; timeout 60 $what")
		rc=$?
		[ $rc -eq 0 ] || [ "${what#*bt}" != "$what" ] && [ $rc -ne 124 ] ||
			wrong "$what $closed: exit $rc"
	done
	"$ttd" replay b --verify >out 2>&1 || wrong "a recording with $closed does not replay"
done

# ---- limits of the shell: what was written before replays, and nobody dies without a word
attack=loop-noise
(ulimit -f 2000; record -o filled $fast) >out 2>&1
rc=$?
[ $rc -eq 1 ] && grep -aq 'cannot write: File too large; what was recorded before replays' out ||
	wrong "a limit of file sizes: exit $rc"
run 0 'replay verified to its last record' "$ttd" replay filled
(ulimit -f 40; record -o ring) >out 2>&1
rc=$?
[ $rc -eq 1 ] && grep -aq 'cannot make the event ring: File too large' out || wrong "no ring: exit $rc"
[ ! -e t/ring ] || wrong "a trace without a ring is left"
[ -z "$(find "$XDG_RUNTIME_DIR" -name '*.ring')" ] || wrong "a ring is left behind"
attack=loop-jump
(ulimit -St 2; record -o timed) >out 2>&1
rc=$?
[ $rc -eq 152 ] && grep -aq 'recorded' out || wrong "a limit of CPU time: exit $rc"
run 0 'verified' "$ttd" replay timed

# ---- names that are folders
for name in . ..; do
	run 2 "'$name' cannot be the name of a trace" record -o "$name"
done
[ "$(ls -A t)" = "$(ls t)" ] || wrong "something hidden in the traces' folder"

# ---- a log's limit: the run ends in order, and the log is complete
attack=loop-noise
record -o big --log-limit 64K >out 2>&1
rc=$?
[ $rc -eq 1 ] && grep -aq 'stopped: the log is as long as --log-limit allows' out || wrong "log limit: exit $rc"
run 0 'replay verified to its end' "$ttd" replay big --verify
[ "$(stat -c %s t/big/ttd.log.guest)" -lt 1000000 ] || wrong "a log of $(stat -c %s t/big/ttd.log.guest) bytes"
attack=hypercalls
record -o go --log-limit 64K --on-full go-on >out 2>&1
rc=$?
[ $rc -eq 1 ] && grep -aq 'survived' out && grep -aq 'nothing after this will replay' out ||
	wrong "log limit, going on: exit $rc"
run 0 'replay verified to its last record' "$ttd" replay go --verify
run 2 'give a size' "$ttd" record --kernel "$kernel" --log-limit 10
cat >domain.cfg <<END
name = "domain"
kernel = "$kernel"
memory = 64
extra = "attack=loop-noise"
log_limit = "64K"
END
run 1 'stopped: the log is as long' "$ttd" create domain.cfg time_travel="ttd_flag=1" -c
run 0 'replay verified to its end' "$ttd" replay domain-0 --verify
"$build/ttd-deviced" -d daemon --log-limit 64K 2>deviced &
daemon=$!
for _ in {1..100}; do [ -S r/ttd/deviced ] && break; sleep 0.05; done
sed -i /log_limit/d domain.cfg
run 1 'stopped: the log is as long' "$ttd" create domain.cfg time_travel="ttd_flag=1" -c
kill $daemon && wait $daemon
run 0 'replay verified to its end' "$ttd" replay ./daemon/domain-0 --verify

# ---- limits of this process
attack=timers
in_limits() { # ULIMIT... STATUS PATTERN COMMAND...
	(ulimit "$1" "$2" && shift 2 && run "$@" && exit $bad) || bad=1
}
attack=loop-noise
in_limits -f 1500 1 'File too large.*what was recorded' record -o small --log-limit off $fast
[ ! -e r/ttd/*.ring ] || wrong "a ring is left"
run 0 'replay verified to its last record' "$ttd" replay small --verify
attack=timers
in_limits -f 1 1 'File too large' record -o none
[ ! -e t/none ] || wrong "an empty trace is left"
in_limits -f 1 1 'File too large' "$ttd" replay a --log
in_limits -f 1 0 'replay verified' "$ttd" replay a
! ls t/a/*.replay.* 2>/dev/null || wrong "logs of replays are left"

attack=loop-jump
in_limits -St 1 152 'its CPU time is used up' record -o slow
run 0 'replay verified to its end' "$ttd" replay slow
[ ! -e r/ttd/*.ring ] || wrong "a ring is left"
attack=timers

# What confining all threads takes.
in_limits -i 0 1 'no signal can be queued (RLIMIT_SIGPENDING' "$ttd" run --kernel "$kernel" --memory 64
no_proc() {
	mount -t tmpfs none /proc 2>/dev/null || exit 0
	bad=0
	run 1 '/proc is not there' "$ttd" run --kernel "$kernel" --memory 64
	exit $bad
}
export -f no_proc wrong evidence run
export ttd kernel
unshare -m true 2>/dev/null && { unshare -m bash -c no_proc || bad=1; }

# ---- rings of recordings that were killed and never looked at
for i in {1..12}; do
	touch -d "$i hours ago" r/ttd/$i.ring
done
record -o swept >out 2>&1 || wrong "cannot record beside old rings"
[ "$(cd r/ttd && echo *.ring)" = "1.ring 2.ring 3.ring 4.ring 5.ring 6.ring 7.ring 8.ring" ] ||
	{ ls -l r/ttd >out; wrong "old rings are not swept"; }

# ---- --force replaces what has been begun, and nothing else
attack=timers
sum=$(cat t/a/* | sha256sum)
same() {
	[ "$(cat t/a/* | sha256sum)" = "$sum" ] && [ "$(ls -A t/a)" = "$(ls t/a)" ] || wrong "$1: the old trace has changed"
}
run 1 'nothing' "$ttd" record -o a --force --kernel nothing
same 'no kernel'
run 1 '^ttd: .*in use' record -o a --force --vif user,hostfwd=tcp:127.0.0.1:1111-:80 --vif user,hostfwd=tcp:127.0.0.1:1111-:80
same 'a port that is taken'
for n in 8 10 12 14 16 20 30 40 50; do
	(ulimit -n $n; record -o a --force >out 2>&1)
	rc=$?
	[ $rc -eq 0 ] && break
	[ $rc -eq 1 ] && [ "$(wc -l <out)" -eq 1 ] || wrong "with $n descriptors: exit $rc"
	same "with $n descriptors"
done
[ $rc -eq 0 ] || wrong "50 descriptors are not enough"
sum=$(cat t/a/* | sha256sum)
in_limits -v 150000 1 memory record -o a --force
same 'without memory'
record -o a --force >out 2>&1 || wrong "--force"
run 0 'verified to its end' "$ttd" replay a --verify

# ---- a trace that is being recorded is nobody else's; one that goes is missed
attack=loop-noise
record -o live >live.out 2>&1 &
for _ in {1..100}; do [ -s t/live/ttd.log.guest ] && break; sleep 0.05; done
attack=timers
run 1 'is being recorded' record -o live --force
run 1 'is being recorded' "$ttd" rm live
rm -rf t/live
wait $!
rc=$?
cp live.out out
[ $rc -eq 1 ] && grep -q 'it was removed or moved while it was written' out || wrong "a folder that goes: exit $rc"
! grep -q 'recorded' out || wrong "a folder that goes is said to be recorded"

# ---- a full disk
full() {
	mkdir -p disk && mount -t tmpfs -o size=20m none disk 2>/dev/null || exit 77
	head -c 18500K /dev/zero >disk/others
	bad=0
	export TTD_TRACE_DIR=$PWD/disk
	attack=loop-noise
	record -o stop --checkpoint-every off $fast >out 2>&1
	rc=$?
	[ $rc -eq 1 ] && grep -q 'disk is nearly full' out || wrong "nearly full disk: exit $rc"
	run 0 'replay verified to its end' "$ttd" replay stop --verify
	run 1 'make room, or give --log-limit off' record -o more $fast
	[ ! -e disk/more ] || wrong "an empty trace is left"
	rm -rf disk/stop
	# A file system may take a moment to give back what a removed file had.
	for _ in {1..50}; do
		[ "$(stat -f -c %a disk)" -lt 400 ] || break
		sleep 0.1
	done
	head -c 1000K /dev/zero >>disk/others
	record -o stop --log-limit off $fast >out 2>&1
	rc=$?
	[ $rc -eq 1 ] && grep -q 'No space left on device; what was recorded' out || wrong "full disk: exit $rc"
	run 0 'replay verified to its last record' "$ttd" replay stop --verify
	head -c 1M /dev/zero >>disk/zeros 2>/dev/null
	before=$(ls -A disk disk/stop)
	run 0 'replay verified' "$ttd" replay stop
	run 1 'No space left\|nearly full' "$ttd" replay stop --log
	[ "$(ls -A disk disk/stop)" = "$before" ] || wrong "a replay on a full disk left files"
	exit $bad
}
export -f full wrong evidence run record
export ttd kernel recording build attack fast
for way in -m -rm none; do
	unshare $way true 2>/dev/null && break
done
if [ $way != none ]; then
	unshare $way bash -c full || [ $? -eq 77 ] || bad=1
fi

exit $bad
