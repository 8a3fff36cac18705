#!/bin/bash
# grub.sh - a guest that is no Linux: GRUB as Debian's grub-xen-host has it.  It shows its
# menu, lists the disk at its command line, and boots Linux from there, which sees its
# own start; all of that is recorded, and replays.
set -u
. "${0%/*}/../lib.sh"
grub=/usr/lib/grub-xen/grub-x86_64-xen.bin
PATH=$PATH:/usr/sbin:/sbin
make_guest
[ -e $grub ] || { echo "there is no $grub: tools/setup installs it"; exit 1; }
# shows N TEXT: it stands N times on the screen, at last.
shows() {
	for _ in {1..900}; do
		[ "$(grep -aoF -- "$2" "$TTD_TMP/out" | wc -l)" -lt "$1" ] || return 0
		kill -0 $pid 2>/dev/null || break
		sleep 0.1
	done
	wrong "'$2' is not there $1 times: $(tail -n 3 "$TTD_TMP/out" | cat -v | cut -c 1-300)"
	return 1
}

mkdir -p "$TTD_TMP/tree/boot/grub"
cp "$KERNEL" "$TTD_TMP/tree/boot/kernel"
cp "$RAMDISK" "$TTD_TMP/tree/boot/ramdisk"
cat >"$TTD_TMP/tree/boot/grub/grub.cfg" <<'END'
set timeout=-1
menuentry "nothing" { true }
menuentry "from the disk" {
	linux /boot/kernel quiet ttd.run=lsmod
	initrd /boot/ramdisk
}
END
mke2fs -q -t ext4 -d "$TTD_TMP/tree" "$TTD_TMP/disk" 40M || wrong "no disk"
mkfifo "$TTD_TMP/keys"
timeout 200 "$ttd" record -o grub --kernel $grub --memory 192 --disk "$TTD_TMP/disk,raw,xvda,r" \
	<"$TTD_TMP/keys" >"$TTD_TMP/out" 2>"$TTD_TMP/err" &
pid=$!
exec 3>"$TTD_TMP/keys"
if shows 1 'before booting or' && printf c >&3 && shows 1 'grub> ' &&
	printf 'ls\rls (xen/xvda)/boot\r' >&3 && shows 1 '(memdisk) (proc) (xen/xvda)' &&
	shows 1 'grub/ kernel ramdisk' && printf '\e' >&3 && shows 2 'before booting or'; then
	printf '\e[B\r' >&3
	shows 1 xen_blkfront && shows 1 'System halted'
else
	kill $pid
fi
exec 3>&-
wait $pid || wrong "record: exit $?: $(tail -n 1 "$TTD_TMP/err")"
timeout 200 "$ttd" replay grub </dev/null >"$TTD_TMP/again" 2>"$TTD_TMP/err" ||
	wrong "replay: exit $?: $(cat "$TTD_TMP/err")"
grep -q "replay verified to its end" "$TTD_TMP/err" || wrong "$(cat "$TTD_TMP/err")"
cmp -s "$TTD_TMP/out" "$TTD_TMP/again" || wrong "another console"
exit $bad
