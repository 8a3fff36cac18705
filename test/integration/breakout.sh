#!/bin/bash
# breakout.sh - what a guest that has become its process could do, for each command that
# runs one or reads a stranger's trace: nothing of what test/breakout tries.  A home folder,
# a session bus and other domains' sockets are stand-ins; the log lies among the user's files.
set -u
. "${0%/*}/../lib.sh"
grep -q '^Seccomp:' /proc/self/status || { echo "this kernel has no seccomp"; exit 77; }
if ! "$TTD_BUILD/breakout" -l; then
	echo "this kernel has no Landlock"
	exit 77
fi
export HOME=$TTD_TMP/home XDG_RUNTIME_DIR=$TTD_TMP/r TTD_TRACE_DIR=$TTD_TMP/home/traces
export XDG_CACHE_HOME=$TTD_TMP/home/.cache
runtime=$XDG_RUNTIME_DIR/ttd
mkdir -p -m 700 "$HOME/.ssh" "$XDG_RUNTIME_DIR" "$runtime"
echo secret >"$HOME/.ssh/id_rsa"
echo 'PS1=x' >"$HOME/.bashrc"
echo notes >"$HOME/notes.txt"
echo ring >"$runtime/00112233445566778899aabbccddeeff.ring"
echo socket >"$runtime/other.domain"
cp -r "$HOME/.ssh" "$HOME/.bashrc" "$HOME/notes.txt" "$TTD_TMP"
deviced=
cleanup() {
	[ -z "$deviced" ] || kill "$deviced" 2>/dev/null
}

# try OPTIONS FOLDER COMMAND...
try() {
	local options=$1 folder=$2
	shift 2
	echo "== ${*/#$TTD_BUILD\//}"
	# shellcheck disable=SC2086
	timeout 60 "$TTD_BUILD/breakout" $options "$HOME" "$folder" "$runtime" "$@" ||
		wrong "$* (exit $?)"
}
kernel=(--kernel "$TTD_BUILD/hostile" --memory 64)
loop=("${kernel[@]}" --extra attack=loop-jump)

# ---- recordings to look at ----
"$ttd" record -o short "${kernel[@]}" --extra attack=garbage-user </dev/null \
	>"$TTD_TMP/out" 2>&1 || wrong "recording: $(tail -n 1 "$TTD_TMP/out")"
# As the README's example has it: a log in the home folder, with the user's files around it.
cp "$TTD_TRACE_DIR/short/ttd.log.guest" "$HOME/ttd.log.guest"
truncate -s 1M "$TTD_TMP/disk"
# One that is looked at in the folder of all traces, and a pack of it.
"$ttd" replay short --log >"$TTD_TMP/out" 2>&1 || wrong "replay: $(tail -n 1 "$TTD_TMP/out")"
"$ttd" pack short -o "$HOME/short.ttd" 2>"$TTD_TMP/out" || wrong "pack: $(cat "$TTD_TMP/out")"
mkdir -p -m 700 "$HOME/into"
"$ttd" record -o disk --disk "$TTD_TMP/disk,raw,xvda,rw" "${kernel[@]}" \
	--extra attack=garbage-user </dev/null >"$TTD_TMP/out" 2>&1 ||
	wrong "recording with a disk: $(tail -n 1 "$TTD_TMP/out")"
log=$HOME/ttd.log.guest

# ---- a guest runs ----
try "" "$HOME" "$ttd" run "${loop[@]}"
try -n "$HOME" "$ttd" run --vif user "${loop[@]}"
try "" "$HOME" "$ttd" run --vif user,restrict=1,hostfwd=tcp:127.0.0.1:$((20000 + RANDOM % 10000))-:80 \
	"${loop[@]}"
try "" "$TTD_TRACE_DIR/short" "$ttd" record "${loop[@]}"
try "" "$HOME" "$ttd" record -o "$HOME" --force "${loop[@]}"
cp "$TTD_TRACE_DIR/short/ttd.log.guest" "$log"
cat >"$TTD_TMP/g.cfg" <<-END
	name = "g"
	kernel = "$TTD_BUILD/hostile"
	memory = 64
	extra = "attack=loop-jump"
END
try -c "$HOME" "$ttd" create "$TTD_TMP/g.cfg"

# ---- a recording is run again ----
try "" "$HOME" "$ttd" replay "$log"
try "" "$HOME" "$ttd" replay "$log" --log
try "" "$HOME" "$ttd" replay "$log" --at 50%
TTD_GDB=/bin/true try "" "$HOME" "$ttd" replay "$log" --gdb
try "" "$HOME" "$ttd" replay "$log" --gdb=0
try -f "$HOME" "$ttd" last-write 0xffffffff81000000 "$log"
try "" "$HOME" "$ttd" regs "$log"
try "" "$HOME" "$ttd" bt "$log"
try "" "$HOME" "$ttd" symbols -o "$HOME/symbols" "$log"
try "" "$HOME" "$ttd" dump-core -o "$HOME/core" "$log"
try "" "$HOME" "$ttd" pcap -o "$HOME/x.pcapng" "$log"
try "" "$HOME" "$ttd" replay disk
# A stranger's folder, with links to what he would like to be read along.
for x in replay disk; do
	mkdir "$HOME/evil-$x"
	cp "$TTD_TRACE_DIR/disk"/ttd.log.* "$HOME/evil-$x"
done
for f in checkpoints xvda.overlay xvda.overlay.commit; do
	ln -sf .. "$HOME/evil-replay/ttd.log.guest.$f"
done
ln -sf .. "$HOME/evil-disk/ttd.log.guest.xvda.overlay.commit"
for x in replay regs info commit; do
	try "" "$HOME/evil-replay" "$ttd" $x "$HOME/evil-replay/"
done
try "" "$HOME/evil-replay" "$ttd" export "$HOME/evil-replay/" xvda "$HOME/evil.img"
try "" "$HOME/evil-disk" "$ttd" commit "$HOME/evil-disk/"
# Neither is its log one.
mv "$HOME/evil-replay/ttd.log.guest" "$HOME/evil-replay/ttd.log.guest.replay.0"
ln -s ../.bashrc "$HOME/evil-replay/ttd.log.guest"
"$ttd" info "$HOME/evil-replay/" >"$TTD_TMP/out" 2>&1
grep -q 'holds no log' "$TTD_TMP/out" || wrong "a link is taken for a log: $(cat "$TTD_TMP/out")"
# The child that unpacks a kernel, before there is any machine.
gzip -c "$TTD_BUILD/hostile" >"$TTD_TMP/packed"
rm -rf "$XDG_CACHE_HOME/ttd/kernels"
try -c "$HOME" "$ttd" run --kernel "$TTD_TMP/packed" --memory 64 --extra attack=loop-jump

try "" "$HOME" "$TTD_BUILD/ttd-read-log" -f "$log" -i

# ---- a trace is read, and nothing runs ----
for x in ps dmesg info diff; do
	try "" "$HOME" "$ttd" "$x" "$log"
done
try "" "$HOME" "$ttd" ls
try "" "$HOME" "$ttd" report -o "$HOME/x.report" --force "$log"
try "" "$HOME" "$ttd" unpack -C "$HOME/into" "$HOME/short.ttd"
try "" "$HOME" "$ttd" export disk xvda "$HOME/x.img" --force
try "" "$HOME" "$ttd" commit disk
# The children that look first: at META, and at what a pack holds.
try -c "$HOME" "$ttd" info "$log"
rm -rf "$XDG_CACHE_HOME/ttd/packs"
try -c "$HOME" "$ttd" diff "$HOME/short.ttd"
mkdir "$HOME/packs"
try -c "$HOME" "$ttd" pack disk -o "$HOME/packs/disk.ttd" --force

# ---- with the daemon, which is tried as well ----
try "" "$HOME" "$ttd-deviced" -f "$HOME/ttd.log.d"
try "" "$HOME" "$ttd-deviced" -d "$HOME/logs"
"$ttd-deviced" -d "$HOME/logs" 2>"$TTD_TMP/said" &
deviced=$!
for _ in {1..200}; do
	grep -q listening "$TTD_TMP/said" && break
	sleep 0.05
done
try -c "$HOME" "$ttd" create "$TTD_TMP/g.cfg" 'time_travel="ttd_flag=1"'

# What the attempts were about is as it was.
for f in .ssh/id_rsa .bashrc notes.txt; do
	cmp "$TTD_TMP/$f" "$HOME/$f" || wrong "$f has changed"
done
[ "$(cat "$runtime/other.domain")" = socket ] || wrong "the other domain's socket"
exit $bad
