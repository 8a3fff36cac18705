#!/bin/bash
# selftests.sh - Linux's own tests of x86 (64 and 32 bit), hardware breakpoints and
# timers, built from Debian's kernel sources, each version's recorded in a guest with
# that kernel and replayed.
#
# Each must end as the table says: exit status and number of failures told, 0 and 0
# when it is not in there.  Every row has its reason in doc/exactness.md.
# VERSIONS are those to run, CPU is the guest's (as for --cpu); SOURCE=DIR takes an unpacked
# kernel source instead of fetching the package (for one version).
set -u
. "${0%/*}/../lib.sh"
root=$PWD
# VERSION NAME STATUS FAILURES [CPU]: the last, where not all models are so.
expected='
6.1 fsgsbase_64 1 any v2
any iopl_32 137 0
6.12 amx_64 4 0
6.12 lam_64 4 0
6.12 test_shadow_stack_64 1 0
any rtcpie 4 0
any freq-step 1 any
6.12 posix_timers 1 3
'
both='single_step_syscall sysret_ss_attrs syscall_nt test_mremap_vdso check_initial_reg_state
sigreturn iopl ioperm test_vsyscall mov_ss_trap sigtrap_loop syscall_arg_fault
fsgsbase_restore sigaltstack ldt_gdt ptrace_syscall'
only32='entry_from_vm86 test_syscall_vdso unwind_vdso test_FCMOV test_FCOMI test_FISTTP
vdso_restorer'
only64='fsgsbase sysret_rip syscall_numbering corrupt_xstate_header'
new_both='nx_stack'
new_only64='amx lam test_shadow_stack'
# With what keeps them short: a second of virtual time is 4 G instructions, where it is not
# slept through.  Those that set the time come last.
timers='posix_timers
nanosleep
nsleep-lat
mqueue-lat
set-timer-lat
inconsistency-check -c 1 -t 1
threadtest -t 1
raw_skew
rtcpie
valid-adjtimex
adjtick
freq-step
set-tai
set-tz
leap-a-day -i 1'
# Not step_after_suspend_test and alarmtimer-suspend: nothing wakes a guest without an RTC.
breakpoints=breakpoint_test

tools/setup --with gcc-multilib >"$TTD_TMP/setup" 2>&1 || { cat "$TTD_TMP/setup"; exit 1; }

# fetch VERSION: the tests' source, and the kernel where mkguest does not have it.
fetch() {
	local dir=$TTD_TMP/$1 image
	mkdir -p "$dir"
	source=${SOURCE:-$dir/linux-source-$1}
	kernel=()
	(
		cd "$dir" || exit 1
		if [ ! -d "$source" ]; then
			apt-get download "linux-source-$1" || exit 1
			dpkg-deb --fsys-tarfile "linux-source-$1"_*.deb | tar xO "./usr/src/linux-source-$1.tar.xz" |
				tar xJ --wildcards "linux-source-$1/tools/testing/selftests/*" \
					"linux-source-$1/arch/x86/include/asm/desc_defs.h" || exit 1
		fi
		if [ "$1" != 6.1 ] && ! compgen -G 'boot/vmlinuz-*'; then
			image=$(apt-cache depends --important "linux-image-$1-amd64" |
				sed -n 's/^ *|\{0,1\}Depends: *\(linux-image-[0-9][^ ]*\).*/\1/p' | head -n 1)
			apt-get download "$image" || exit 1
			dpkg-deb --fsys-tarfile "$image"_*.deb | tar x --wildcards './boot/vmlinuz-*' || exit 1
		fi
		rm -f ./*.deb
	) >"$TTD_TMP/fetch" 2>&1 || {
		tail -n 3 "$TTD_TMP/fetch"
		wrong "no source or kernel of Linux $1 to be had"
		return 1
	}
	[ "$1" = 6.1 ] || kernel=(--kernel "$(compgen -G "$dir/boot/vmlinuz-*")")
}

# compile BITS NAME: as the tests' own Makefile does, but static.
compile() {
	local more=()
	case $2_$1 in
	check_initial_reg_state_*) more=(-Wl,-ereal_start) ;;
	sysret_ss_attrs_64) more=(thunks.S) ;;
	syscall_arg_fault_32 | ptrace_syscall_32) more=(raw_syscall_helper_32.S) ;;
	test_syscall_vdso_32) more=(thunks_32.S) ;;
	nx_stack_*) more=(-Wl,-z,noexecstack) ;;
	fsgsbase_restore_* | sysret_rip_*) [ ! -e "clang_helpers_$1.S" ] || more=("clang_helpers_$1.S") ;;
	esac
	gcc "-m$1" -O2 -std=gnu99 -pthread -w -no-pie -static -DCAN_BUILD_32 "-DCAN_BUILD_$1" \
		-o "$to/$2_$1" "$2.c" "${more[@]}" -lrt -ldl -lm 2>>"$TTD_TMP/cc" ||
		wrong "$2 does not compile for $1 bit"
	echo "$2_$1" >>"$to/list"
}
compile_all() {
	local t more_both= more64=
	rm -rf "$to" && mkdir -p "$to"
	[ "$1" = 6.1 ] || { more_both=$new_both; more64=$new_only64; }
	cd "$source/tools/testing/selftests/x86" || exit 1
	for t in $both $more_both $only64 $more64; do compile 64 "$t"; done
	for t in $both $more_both $only32; do compile 32 "$t"; done
	cd ../breakpoints || exit 1
	while read -r t _; do
		gcc -w -static -I.. -o "$to/$t" "$t.c" || wrong "$t does not compile"
	done <<<"$breakpoints"
	cd ../timers || exit 1
	while read -r t _; do
		gcc -O2 -w -static -pthread -DKTEST -I.. -Wl,-z,muldefs -o "$to/$t" "$t.c" -lrt -lm ||
			wrong "$t does not compile"
	done <<<"$timers"
	printf '%s\n' "$breakpoints" "$timers" >>"$to/list"
	cd "$root" || exit 1
}

cat >"$TTD_TMP/script" <<'END'
#!/bin/sh
cd /ttd/tests || exit 1
while read -r t args; do
	timeout 300 "./$t" $args </dev/null >/tmp/out 2>&1
	echo "RESULT $t $? $(grep -cE 'FAIL|not ok' /tmp/out)"
	grep -E 'FAIL|not ok' /tmp/out | head -n 5
done <list
END

judge() {
	local n=0 name rc fails want model
	model=$("$ttd" info tests | sed -n 's/^guest_cpu *\([a-z0-9]*\).*/\1/p')
	while read -r _ name rc fails; do
		n=$((n + 1))
		want=$(awk -v v="$1" -v n="$name" -v cpu="$model" '($1 == v || $1 == "any") && $2 == n &&
			(NF < 5 || $5 == cpu) { print $3, $4; exit }' <<<"$expected")
		read -r want_rc want_fails <<<"${want:-0 0}"
		[ "$want_fails" != any ] || want_fails=$fails
		[ "$rc $fails" = "$want_rc $want_fails" ] || {
			wrong "$1: $name: exit $rc, $fails failures, instead of $want_rc and $want_fails"
			sed -n "/^RESULT $name /,/^RESULT/p" "$TTD_TMP/out" | grep -v ^RESULT | head -n 5
		}
	done < <(grep '^RESULT ' "$TTD_TMP/out")
	[ $n -eq "$(wc -l <"$to/list")" ] || wrong "$1: $n tests told a result, of $(wc -l <"$to/list")"
	echo "done: $1, $model: $n self-tests"
}

cleanup() {
	rm -f "${RAMDISK:-}"
}
for version in ${VERSIONS:-6.1 6.12}; do
	fetch "$version" || continue
	to=$TTD_TMP/tests
	compile_all "$version"
	try_guest "${kernel[@]}" --run "$TTD_TMP/script" --add "$to:/ttd/tests" || exit 1
	timeout 2400 "$ttd" record --force -o tests --kernel "$KERNEL" --ramdisk "$RAMDISK" --clock virtual \
		${CPU:+--cpu "$CPU"} --extra quiet </dev/null >"$TTD_TMP/raw" 2>"$TTD_TMP/err" || wrong "record: $(cat "$TTD_TMP/err")"
	tr -d '\r\0' <"$TTD_TMP/raw" >"$TTD_TMP/out"
	timeout 2400 "$ttd" replay --verify tests </dev/null >"$TTD_TMP/again" 2>&1 ||
		wrong "replay: $(tail -n 3 "$TTD_TMP/again")"
	judge "$version"
	rm -f "$RAMDISK"
done
[ $bad -ne 0 ] || echo "all self-tests as expected, recorded and replayed"
exit $bad
