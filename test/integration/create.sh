#!/bin/bash
# create.sh - domains from configuration files: create with its wrong inputs,
# list, console, pause, unpause, shutdown, reboot, destroy, on_*, and the same
# for domains of ttd run and ttd record.
set -u
. "${0%/*}/../lib.sh"
out=$TTD_TMP/out
err=$TTD_TMP/err
cfg=$TTD_TMP/d.cfg

evidence() {
	sed 's/^/  | /' "$out" "$err" | tail -n 12
}
# expect STATUS PATTERN ARGS...: the pattern is in what it says.
expect() {
	local status=$1 pattern=$2 rc
	shift 2
	timeout 120 "$ttd" "$@" >"$out" 2>"$err" </dev/null
	rc=$?
	{ [ $rc -eq "$status" ] && cat "$out" "$err" - <<<" " | grep -q -e "$pattern"; } ||
		wrong "ttd $*: exit $rc, wanted $status and '$pattern'"
}

# Wrong configurations: one line each, before anything is started.
config() {
	printf 'name = "d"\nkernel = "/nonexistent"\n%s\n' "$1" >"$cfg"
}
config 'vcpus = 2'
expect 2 'vcpus: a guest has one virtual CPU' create "$cfg"
config 'memory = 3'
expect 2 'memory: give megabytes' create "$cfg"
config 'memory = [ "a" ]'
expect 2 'memory: is a list' create "$cfg"
config 'type = "hvm"'
expect 2 'paravirtual' create "$cfg"
config 'on_crash = "explode"'
expect 2 'on_crash: give destroy, restart or preserve' create "$cfg"
config 'time_travel = "tt_replay_flag=1"'
expect 2 'needs ttd_flag=1' create "$cfg"
config 'time_travel = [ "ttd_flag=1", "speed=9" ]'
expect 2 'time_travel: knows' create "$cfg"
config 'extra = "open'
expect 2 'd.cfg:3: .*lexical error' create "$cfg"
config ''
expect 1 '/nonexistent: ' create "$cfg"
expect 2 'name: is missing' create "$cfg" name=
expect 2 'give KEY=VALUE' create "$cfg" memory
expect 2 'name a configuration file' create
expect 1 'No such file' create "$TTD_TMP/nope.cfg"
expect 1 'is a folder' create /
config 'cpuid = [ "phy:/dev/x,xvda,w" ]
vif = [ "bridge=br0" ]
memory = 128 # cpus = 9
on_reboot = "rename-restart"'
expect 0 'cpuid: has no effect' create "$cfg" --dry-run
grep -q "vif 'bridge=br0': bridge has no effect" "$err" || wrong "no warning about bridge"
grep -q 'rename-restart here; it is taken as restart' "$err" || wrong "no warning about on_reboot"
grep -q cpus "$err" && wrong "a warning about a comment"
expect 1 'no running domain named d' pause d
expect 1 'no running domain' console ../../etc
expect 2 'name a domain' destroy
expect 2 'one domain at a time' console a b
expect 0 '^\[\]$' list --json

make_guest
cat >"$cfg" <<END
# as xl has it
name    = "d"
kernel  = '$KERNEL'
ramdisk = "$RAMDISK"
memory  = "128"
vcpus   = 1
root    = "/dev/ram0"
extra   = "quiet ttd.run=\"cat /proc/cmdline\""
END
state() {
	"$ttd" list --json | sed -n "s/.*\"name\":\"$1\"[^}]*\"state\":\"\([a-z]*\)\".*/\1/p"
}
until_state() {
	for _ in {1..200}; do
		[ "$(state "$1")" = "$2" ] && return
		sleep 0.05
	done
	wrong "$1 is '$(state "$1")', not '$2'"
}
expect 0 '^root=/dev/ram0 quiet ttd.run=' create "$cfg" -c
expect 3 'd crashed: ' create "$cfg" -c 'extra=quiet ttd.run="echo c >/proc/sysrq-trigger"'
shell='extra=quiet'

# A shell at the console: typed to, detached from, paused, and seen in the list.
expect 0 'ttd console d' create "$cfg" -p "$shell"
[ "$(state d)" = paused ] || wrong "-p: '$(state d)'"
expect 2 'a domain named d runs already' create "$cfg"
expect 0 '^d  *[0-9]*  *128 run  *paused' list
expect 0 '' unpause d
until_state d blocked
printf 'echo one$((1+1))\n' | timeout 5 "$ttd" console d >"$out" 2>"$err"
grep -q one2 "$out" || wrong "the console does not answer"
timeout 1 "$ttd" console d </dev/null >"$out" 2>"$err"
grep -q one2 "$out" || wrong "a console does not begin with what was printed"
expect 0 '' pause d
[ "$(state d)" = paused ] || wrong "pause: '$(state d)'"
expect 0 '' unpause d
until_state d blocked
expect 0 '' shutdown -w d
[ -z "$(state d)" ] || wrong "shut down, but still '$(state d)'"
[ -e "$XDG_RUNTIME_DIR/ttd/d.domain" ] && wrong "the socket of a domain that ended is there"

# A replay's kernel has been moved: its options are those of ttd replay.
cp "$KERNEL" "$TTD_TMP/vmlinuz"
again='time_travel="ttd_flag=1, tt_replay_flag=1, trace=moved"'
expect 0 '' create "$cfg" -c "kernel=$TTD_TMP/vmlinuz" 'time_travel="ttd_flag=1, trace=moved"'
mv "$TTD_TMP/vmlinuz" "$TTD_TMP/elsewhere"
expect 1 'kernel .*vmlinuz: No such file' create "$cfg" -c "$again"
expect 0 'verified to its end' create "$cfg" -c "$again" --kernel "$TTD_TMP/elsewhere"
expect 1 'elsewhere2' create "$cfg" -c "$again" --kernel "$TTD_TMP/elsewhere2"
expect 2 'is for a replay' create "$cfg" --kernel "$TTD_TMP/elsewhere"

# What stays when it ends, and what starts again.
expect 0 '' create "$cfg" on_poweroff=preserve
until_state d shutdown
expect 1 'd is not running' shutdown d
expect 0 '' destroy d
[ -z "$(state d)" ] || wrong "destroyed, but still '$(state d)'"
expect 0 '' create "$cfg" on_crash=preserve 'extra=quiet ttd.run="echo c >/proc/sysrq-trigger"'
until_state d crashed
expect 0 '' destroy d
expect 0 '' create "$cfg" "$shell"
until_state d blocked
expect 0 '' reboot d
for _ in {1..300}; do grep -q 'starts again' "$XDG_RUNTIME_DIR/ttd/d.log" && break; sleep 0.05; done
grep -q 'starts again' "$XDG_RUNTIME_DIR/ttd/d.log" || wrong "a reboot does not start it again"
until_state d blocked

# A process that was killed leaves a socket; it is swept away.
kill -9 "$("$ttd" list --json | sed -n 's/.*"pid":\([0-9]*\).*/\1/p')"
sleep 0.2
expect 1 'no running domain named d' destroy d
[ -e "$XDG_RUNTIME_DIR/ttd/d.domain" ] && wrong "a dead domain's socket stays"

# ttd run and ttd record are in the list too, and two of one name get along.
run() {
	"$ttd" "$@" --kernel "$KERNEL" --ramdisk "$RAMDISK" --extra quiet </dev/null >/dev/null 2>&1 &
}
run run --name two
run record --name two
for _ in {1..200}; do [ "$("$ttd" list | grep -c '^two')" = 2 ] && break; sleep 0.05; done
expect 0 '^two-[0-9]*  *[0-9]* ' list
for n in $("$ttd" list | sed -n 's/^\(two[^ ]*\).*/\1/p'); do
	expect 0 '' destroy "$n"
done
wait
expect 0 'stopped' info two-0

# The folder of sockets is one's own or is not used.
chmod 755 "$XDG_RUNTIME_DIR/ttd"
expect 1 'mode 0700' list
exit $bad
