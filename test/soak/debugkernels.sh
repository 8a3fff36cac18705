#!/bin/bash
# debugkernels.sh - kernels that watch themselves (test/kernel): locks and memory
# (lockdep, PROVE_LOCKING, UBSAN, kmemleak, KFENCE, DEBUG_PAGEALLOC, LOCK_STAT,
# DEBUG_OBJECTS), which boots, finds nothing wrong, is recorded and replays equal; races
# (KCSAN), which crashes early by itself.  They have no BTF, so that looking inside goes by
# DWARF, or by what is known without; and one with KASAN says why it cannot start.  Building
# each takes minutes (20 on one CPU); KERNELS are those to try.
set -u
. "${0%/*}/../lib.sh"
for p in linux-source-6.1 bc bison flex libelf-dev; do
	tools/setup --with $p || exit 1
done
eval "$(tools/mkguest --print)"

# boot NAME: built, recorded, without a complaint of the kernel's, replayed and verified.
boot() {
	dir=$(test/kernel/build "$1") || exit 1
	"$ttd" record -o "$1" --kernel "$dir/bzImage" --ramdisk "$RAMDISK" --memory 512 \
		--extra 'ttd.run="cat /proc/version; for i in 1 2 3; do ps | wc -l; done; echo c2 done"' \
		</dev/null >"$TTD_TMP/console" 2>"$TTD_TMP/err" || wrong "$1: exit $?: $(cat "$TTD_TMP/err")"
	grep -q 'c2 done' "$TTD_TMP/console" || wrong "$1: it did not come to its shell"
	grep -nE 'Oops|WARNING:|\bBUG:|UBSAN:|Call Trace|stalled|lockup|[1-9][0-9]* of .* testcases failed' \
		"$TTD_TMP/console" && wrong "$1: the kernel complains"
	"$ttd" replay "$1" </dev/null >"$TTD_TMP/replayed" 2>"$TTD_TMP/err" && grep -q "verified to its end" "$TTD_TMP/err" ||
		wrong "$1: $(cat "$TTD_TMP/err")"
	cmp -s "$TTD_TMP/console" "$TTD_TMP/replayed" || wrong "$1: another console"
}

# By DWARF everything is as with BTF; without, the stack still is, by ORC.
locks() {
	boot locks
	"$ttd" ps locks --symbols "$dir/vmlinux" | grep -q '\[kthreadd\]' || wrong "no processes by DWARF"
	"$ttd" dmesg locks --symbols "$dir/vmlinux" | grep -q 'Linux version' || wrong "no messages by DWARF"
	"$ttd" bt locks --at 50% >"$TTD_TMP/bt" || wrong "no stack without types"
	"$ttd" bt locks --at 50% --symbols "$dir/vmlinux" | sed 's/ at [^ ]*$//' >"$TTD_TMP/bt.dwarf"
	awk '$2 >= "0xffff8"' "$TTD_TMP/bt" | cmp -s - <(awk '$2 >= "0xffff8"' "$TTD_TMP/bt.dwarf") ||
		{ wrong "another stack without types"; diff "$TTD_TMP/bt" "$TTD_TMP/bt.dwarf"; }
	grep -q '(?)' "$TTD_TMP/bt" && wrong "a guess in a stack by ORC"
	"$ttd" ps locks 2>&1 | grep -q 'no BTF.*--symbols' || wrong "no word of --symbols"
}

# It does not get far, on any Xen: 6.1's load_percpu_segment() loads gs with 0, which clears
# its base, and then calls xen_write_msr(), which KCSAN makes read a variable of the CPU's.
races() {
	dir=$(test/kernel/build races) || exit 1
	"$ttd" record -o races --kernel "$dir/bzImage" --ramdisk "$RAMDISK" --memory 512 \
		</dev/null >"$TTD_TMP/console" 2>"$TTD_TMP/err"
	[ $? -eq 3 ] && grep -q 'guest crashed: exception 14 at rip' "$TTD_TMP/err" ||
		wrong "races: $(cat "$TTD_TMP/err")"
	"$ttd" replay races --verify </dev/null >"$TTD_TMP/replayed" 2>"$TTD_TMP/err"
	grep -q 'verified to its end' "$TTD_TMP/err" || wrong "races: $(cat "$TTD_TMP/err")"
	"$ttd" bt races --at end >"$TTD_TMP/bt" && grep -q 'xen_write_msr.*frame pointer' "$TTD_TMP/bt" ||
		wrong "no stack by frame pointers: $(cat "$TTD_TMP/bt")"
}

kasan() {
	dir=$(test/kernel/build kasan) || exit 1
	"$ttd" run --kernel "$dir/bzImage" --ramdisk "$RAMDISK" </dev/null >"$TTD_TMP/console" 2>"$TTD_TMP/err"
	[ $? -eq 3 ] && grep -q 'a kernel with KASAN has no entry for PV guests' "$TTD_TMP/err" ||
		wrong "KASAN: $(cat "$TTD_TMP/err")"
}

for k in ${KERNELS:-locks races kasan}; do
	"$k"
	echo "done: $k"
done
exit $bad
