#!/bin/bash
# stressng.sh - every stressor of stress-ng, class by class, in a whole Debian on a disk
# and a network: each checks itself (--verify), the recording of a class is replayed, and
# both end in the same place.
#
# A stressor must exit with 0, or with what the table says.  One that is in several classes
# runs in the first of them.  CLASSES are those to run (default all), TIME is the seconds
# that each stressor has (1), ONLY names stressors to run instead, as a class of their own;
# the recordings of classes that went wrong are copied to KEEP.
set -u
. "${0%/*}/../lib.sh"
all="pipe interrupt device network scheduler cpu-cache security io memory vm filesystem cpu os gpu"
classes=${CLASSES:-$all}
seconds=${TIME:-1}
# NAME STATUS REASON.  Of stress-ng's statuses 1 is that it was not asked enough, 2 is a failure,
# 3 is that something is missing, 4 is that the stressor is not for this machine.  7 is that all
# went well, but a process was ended while it counted a round: it may happen to any.
expected='
bind-mount 1 it may hang a machine: runs with --pathological only
mlockmany 1 so
oom-pipe 1 so
smi 1 so
sysinval 1 so
watchdog 1 so
binderfs 3 the kernel has no such file system
efivar 3 there is no EFI
pci 3 there is no PCI
quota 3 no quotas on the disk
ipsec-mb 2 its library fills in no functions where the CPU has no AES: a call of address 0
io-uring 2 it takes ENOENT of an IORING_OP_STATX for a failure: the same on a real CPU
'
guest=$(tools/mkguest debian --print --packages stress-ng) || {
	echo "no image of Debian can be made here"
	exit 77
}
eval "$guest"
total=0
end_of() {
	grep -o '"\(end\|icount\|brctr\|mem_digest\)":"\?[0-9a-z]*' "$1"
}

# What the guest runs: "run CLASS SECONDS ONLY CLASS...", the last those that come before.
mkdir -p "$TTD_TMP/files"
cat >"$TTD_TMP/files/run" <<'END'
names() { stress-ng --class "$1?" 2>&1 | sed 's/.* stressors: //' | tr ' ' '\n' | grep . | sort; }
mkdir -p /var/tmp/ng
cd /var/tmp/ng
class=$1 seconds=$2 only=$3
shift 3
if [ "$only" ]; then
	tr , '\n' <<<"$only" >/run/list
else
	names "$class" | grep -vxFf <(echo none; for c; do names "$c"; done) >/run/list
fi
for s in $(cat /run/list); do
	timeout -k 5 120 stress-ng "--$s" 1 -t "$seconds" --verify --temp-path /var/tmp/ng >/run/out 2>&1
	rc=$?
	[ $rc -eq 0 ] || grep -E 'fail|error|skip|unsupp|not |terminated' /run/out | head -n 6
	echo "RESULT $s $rc $(grep -qi skipp /run/out && echo skipped)"
done
echo "ALL $(wc -l </run/list)"
END
tar -C "$TTD_TMP/files" -cf "$TTD_TMP/files.tar" .

# judge CLASS: what its stressors said on the console.
judge() {
	local name rc want n=0 told
	tr -d '\r\0' <"$TTD_TMP/raw" >"$TTD_TMP/out"
	while read -r _ name rc _; do
		n=$((n + 1))
		want=$(awk -v n="$name" '$1 == n { print $2 }' <<<"$expected")
		[ "$rc" = "${want:-0}" ] || [ "$rc" = 7 ] || {
			wrong "$name: exit $rc instead of ${want:-0}"
			awk -v n="$name" '/^RESULT / { if ($2 == n) printf "%s", said; said = ""; next }
				{ said = said "    " $0 "\n" }' "$TTD_TMP/out"
		}
	done < <(grep '^RESULT ' "$TTD_TMP/out")
	told=$(sed -n 's/^ALL //p' "$TTD_TMP/out")
	[ "$n" = "$told" ] || wrong "$1: $n stressors told a result, of ${told:-none}"
	grep -v '^stress-ng:' "$TTD_TMP/out" |
		grep -nE 'Oops|WARNING:|BUG:|Call Trace|stalled|soft lockup|LOCKUP' && wrong "$1: the kernel complains"
	total=$((total + n))
	echo "done: $1: $n stressors, skipped:$(sed -n 's/^RESULT \(.*\) 0 skipped/ \1/p' "$TTD_TMP/out" | tr -d '\n'), $(grep -o '"icount":[0-9]*' "$TTD_TMP/rec" | tail -n 1)"
}

# class NAME EARLIER...
class() {
	local name=$1 before=$bad
	bad=0
	timeout 3000 "$ttd" record --force -o ng --kernel "$KERNEL" --ramdisk "$RAMDISK" --memory 768 --json \
		--disk "$IMAGE,raw,xvda,w" --disk "$TTD_TMP/files.tar,raw,xvdb,r" --vif user \
		--extra "root=/dev/xvda quiet systemd.show_status=false ttd.run=\"mkdir /run/load; \
tar -xf /dev/xvdb -C /run/load; bash /run/load/run $name $seconds '${ONLY:-}' ${*:2}\"" \
		</dev/null >"$TTD_TMP/raw" 2>"$TTD_TMP/rec" || wrong "$name: record: exit $?: $(tail -n 1 "$TTD_TMP/rec")"
	judge "$name"
	timeout 6000 "$ttd" replay ng --verify --json </dev/null >"$TTD_TMP/again" 2>"$TTD_TMP/rep" ||
		wrong "$name: replay: exit $?: $(cat "$TTD_TMP/rep")"
	cmp -s <(end_of "$TTD_TMP/rec") <(end_of "$TTD_TMP/rep") || wrong "$name: another end"
	[ $bad -eq 0 ] || [ -z "${KEEP:-}" ] || cp -r "$TTD_TRACE_DIR/ng" "$KEEP/ng-$name"
	bad=$((bad | before))
}

[ -z "${ONLY:-}" ] || classes=only
for c in $classes; do
	# shellcheck disable=SC2046 # words
	class "$c" $(sed "s/\(^\| \)$c\( .*\|\$\)//" <<<"$all")
done
echo "$total stressors ran"
exit $bad
