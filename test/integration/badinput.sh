#!/bin/bash
# badinput.sh - files and values that cannot work: one line that names the file
# or the option, exit status 1 or 2, whatever is wrong with them.
set -u
. "${0%/*}/../lib.sh"
cd "$TTD_TMP" || exit 1
kernel=$TTD_BUILD/hostile
vmlinuz=
guest=$(cd "$OLDPWD" && tools/mkguest --print 2>/dev/null) && eval "$guest" && vmlinuz=$KERNEL

# expect STATUS PATTERN OPTION...: that status and one line that matches.
expect() {
	local status=$1 pattern=$2 rc
	shift 2
	timeout 60 "$ttd" run "$@" </dev/null >out 2>&1
	rc=$?
	if [ $rc -ne "$status" ] || ! grep -q -e "$pattern" out || [ "$(wc -l <out)" -ne 1 ] ||
		! grep -q '^ttd: ' out || [ "$(wc -c <out)" -gt 500 ]; then
		echo "ttd run $*: exit $rc, wanted $status and '$pattern'; got:"
		head -c 1000 out
		bad=1
	fi
}
# cut FILE LENGTH: its beginning, as "cut".
cut() {
	head -c "$2" "$1" >cut
}
# patch FILE OFFSET BYTES...: a copy with other bytes (octal), as "patched".
patch() {
	cp "$1" patched
	printf "$3" | dd of=patched bs=1 seek="$2" conv=notrunc 2>/dev/null
}
le32() {
	od -An -tu4 -j"$2" -N4 "$1" | tr -d ' '
}

mkdir dir
: >empty
printf x >one
head -c 100000 /dev/zero >zeros
head -c 100000 /dev/urandom >noise
cp zeros secret
chmod 0 secret
mkfifo fifo
ln -s loop loop

# ---- kernels that are no files
expect 1 'kernel nothing: No such file' --kernel nothing
expect 1 'kernel dir' --kernel dir
expect 1 'kernel empty' --kernel empty
expect 1 'kernel one' --kernel one
expect 1 'kernel zeros' --kernel zeros
expect 1 'kernel noise' --kernel noise
expect 1 'kernel fifo: is not a regular file' --kernel fifo
expect 1 'kernel loop' --kernel loop
expect 1 'kernel /dev/zero' --kernel /dev/zero
expect 1 'kernel /dev/null' --kernel /dev/null
expect 1 "kernel $(printf 'n%.0s' {1..300})" --kernel "$(printf 'n%.0s' {1..300})"
[ "$(id -u)" -eq 0 ] || expect 1 'kernel secret: Permission denied' --kernel secret

# ---- ELF kernels, cut and spoilt
expect 1 'has neither Xen notes nor a section __xen_guest' --kernel /bin/true
size=$(stat -c %s "$kernel")
for n in 1 4 16 63 64 65 119 120 400 500 543 4095 4096 5000 20000; do
	[ "$n" -lt "$size" ] || continue
	cut "$kernel" "$n"
	expect 1 'kernel cut: ' --kernel cut
done
patch "$kernel" 4 '\001'
expect 1 'kernel patched: is not for 64-bit x86' --kernel patched
patch "$kernel" 16 '\001'
expect 1 'kernel patched: is an ELF file but not an executable' --kernel patched
patch "$kernel" 18 '\267'
expect 1 'kernel patched: is not for 64-bit x86' --kernel patched
patch "$kernel" 32 '\377\377\377\377\377\377\377\377'
expect 1 'kernel patched: truncated' --kernel patched
patch "$kernel" 56 '\377\377'
expect 1 'kernel patched: ' --kernel patched
for field in 8 16 24 32 40; do # of the first program header
	patch "$kernel" $((64 + field)) '\377\377\377\377\377\377\377\177'
	timeout 60 "$ttd" run --kernel patched --extra attack=jumps </dev/null >out 2>&1
	rc=$?
	# The virtual address is not looked at; all else must be refused.
	[ $rc -eq 1 ] && [ "$(wc -l <out)" -eq 1 ] || [ $field -eq 16 ] ||
		{ echo "program header field $field: exit $rc"; head -3 out; bad=1; }
done

# ---- bzImages
if [ -n "$vmlinuz" ]; then
	setup=$((($(od -An -tu1 -j497 -N1 "$vmlinuz") + 1) * 512))
	payload=$((setup + $(le32 "$vmlinuz" 584)))
	length=$(le32 "$vmlinuz" 588)
	for n in 1 511 512 514 600 1024 "$setup" $((setup + 100)) "$payload" $((payload + 1)) \
		$((payload + 6)) $((payload + 100000)) $((payload + length / 2)) \
		$((payload + length - 5)) $((payload + length - 1)); do
		cut "$vmlinuz" "$n"
		expect 1 'kernel cut: ' --kernel cut
	done
	for at in 6 20 100 1000 100000 1000000 $((length / 2)) $((length - 20)); do
		patch "$vmlinuz" $((payload + at)) '\125\252\377\000\021\042'
		expect 1 'kernel patched: .*damaged' --kernel patched
	done
	# Too little memory is not said to be damage.
	case $sanitizer in
	address | fuzz) ;;
	*)
		for kb in 200000 250000 300000 350000 400000 410000; do
			(ulimit -v $kb; export XDG_CACHE_HOME=$PWD/none
			expect 1 memory --kernel "$vmlinuz" --memory 128
			! grep damaged out || exit 1; exit $bad) || bad=1
		done
		;;
	esac
	patch "$vmlinuz" "$payload" 'garbage!'
	expect 1 'kernel patched: unknown payload compression' --kernel patched
	patch "$vmlinuz" 584 '\377\377\377\177'
	expect 1 'kernel patched: truncated' --kernel patched
	patch "$vmlinuz" 588 '\377\377\377\377'
	expect 1 'kernel patched: truncated' --kernel patched
	patch "$vmlinuz" 588 '\000\000\000\000'
	expect 1 'kernel patched: ' --kernel patched
	patch "$vmlinuz" 588 '\004\000\000\000'
	expect 1 'kernel patched: ' --kernel patched
	patch "$vmlinuz" 497 '\377'
	expect 1 'kernel patched: ' --kernel patched
	patch "$vmlinuz" 518 '\001\002'
	expect 1 'kernel patched: boot protocol' --kernel patched
	patch "$vmlinuz" $((payload + length - 4)) '\377\377\377\377' # the size it says
	expect 1 'kernel patched: unpacks to' --kernel patched
fi

# A bzImage's other compressions, made around a small kernel and then damaged.
bzimage() { # FILE PAYLOAD
	local n
	n=$(stat -c %s "$2")
	{
		head -c 1024 /dev/zero
		cat "$2"
	} >"$1"
	le() { printf "\\$(printf %o $(($1 & 255)))\\$(printf %o $(($1 >> 8 & 255)))\\$(printf %o $(($1 >> 16 & 255)))\\$(printf %o $(($1 >> 24 & 255)))"; }
	printf '\001' | dd of="$1" bs=1 seek=497 conv=notrunc 2>/dev/null
	printf '\125\252' | dd of="$1" bs=1 seek=510 conv=notrunc 2>/dev/null
	printf 'HdrS\017\002' | dd of="$1" bs=1 seek=514 conv=notrunc 2>/dev/null
	printf '\001' | dd of="$1" bs=1 seek=529 conv=notrunc 2>/dev/null
	{ le 0; le "$n"; } | dd of="$1" bs=1 seek=584 conv=notrunc 2>/dev/null
}
tail_size() { # the unpacked size after a stream, as the kernel's build appends it
	le "$(stat -c %s "$kernel")"
}
for tool in "gzip -nc" "xz --check=crc32 -c" "zstd -qc" "lz4 -lqc"; do
	command -v "${tool%% *}" >/dev/null || continue
	$tool <"$kernel" >packed 2>/dev/null || continue
	bzimage whole packed
	case $tool in gzip*) ;; *) { cat packed; tail_size; } >sized; bzimage whole sized ;; esac
	timeout 60 "$ttd" run --kernel whole --memory 64 --extra attack=roots-refused </dev/null >out 2>&1 ||
		{ echo "$tool: a whole kernel is refused"; cat out; bad=1; }
	n=$(stat -c %s packed)
	for at in 8 40 $((n / 4)) $((n / 2)) $((n - 12)); do
		patch whole $((1024 + at)) '\377\000\125\252\377\000'
		timeout 60 "$ttd" run --kernel patched --memory 64 --extra attack=roots-refused </dev/null >out 2>&1
		rc=$?
		# Not every byte of a format without checksums matters.
		[ $rc -eq 1 ] && [ "$(wc -l <out)" -eq 1 ] && grep -q 'kernel patched' out ||
			[ "${tool%% *}" = lz4 ] || { echo "$tool, damaged at $at: exit $rc"; head -3 out; bad=1; }
	done
	head -c $((n / 2)) packed >half
	bzimage halved half
	expect 1 'kernel halved: ' --kernel halved
done

# ---- ramdisks
expect 1 'ramdisk nothing: No such file' --kernel "$kernel" --ramdisk nothing
expect 1 'ramdisk dir' --kernel "$kernel" --ramdisk dir
expect 1 'ramdisk empty: is empty' --kernel "$kernel" --ramdisk empty
expect 1 'ramdisk fifo' --kernel "$kernel" --ramdisk fifo
truncate -s 63M big
expect 1 'memory' --kernel "$kernel" --ramdisk big --memory 64
truncate -s 65M big
expect 1 'ramdisk big' --kernel "$kernel" --ramdisk big --memory 64
truncate -s 100G big
expect 1 'ramdisk big' --kernel "$kernel" --ramdisk big --memory 64
expect 1 'kernel big' --kernel big

# ---- values
expect 2 'command line has .* bytes, the limit is 1023' --kernel "$kernel" --extra "$(printf 'x%.0s' {1..1100})"
for m in 0 63 65537 4294967296 18446744073709551617 -64 1e3 64M '' ' ' 99999999999999999999999; do
	expect 2 '--memory' --kernel "$kernel" --memory "$m"
done
expect 2 "unknown option" --kernel "$kernel" --frobnicate
expect 2 "unknown option" --kernel "$kernel" -q
expect 2 "is not an option" --kernel "$kernel" stray
expect 2 '--name' --kernel "$kernel" --name "$(printf 'n%.0s' {1..100})"
expect 2 '--stop-at' --kernel "$kernel" --stop-at 1e6
expect 2 '--stop-at' --kernel "$kernel" --stop-at 99999999999999999999
expect 2 '--clock' --kernel "$kernel" --clock ''
expect 2 'needs a value' --kernel

# More memory than the host gives: a clear line, not a killed process.
case $sanitizer in
address | fuzz) ;;
*) (ulimit -v 1000000; expect 1 memory --kernel "$kernel" --memory 65536; exit $bad) || bad=1 ;;
esac

# ---- outputs that cannot be written
timeout 60 "$ttd" run --kernel "$kernel" --memory 64 --extra attack=roots-refused </dev/null 2>err >/dev/full
rc=$?
[ $rc -eq 1 ] && [ "$(wc -l <err)" -eq 1 ] || { echo "full output: exit $rc"; cat err; bad=1; }
timeout 60 "$ttd" run --kernel "$kernel" --memory 64 --extra attack=roots-refused </dev/null 2>err >&-
rc=$?
[ $rc -le 1 ] && [ "$(wc -l <err)" -le 1 ] || { echo "closed output: exit $rc"; cat err; bad=1; }
timeout 60 "$ttd" run --kernel "$kernel" --memory 64 --extra attack=roots-refused >/dev/null 2>err <&-
rc=$?
[ $rc -eq 0 ] || { echo "closed input: exit $rc"; cat err; bad=1; }
timeout 60 "$ttd" run --kernel "$kernel" --memory 64 --extra attack=roots-refused --stats </dev/null >/dev/null 2>&-
rc=$?
[ $rc -le 1 ] || { echo "closed error output: exit $rc"; bad=1; }
exit $bad
