#!/bin/bash
# tap.sh - a guest on a tap device, and in a bridge, of a network namespace that
# is made for this: a host without NAT, its kernel's large segments and
# checksums both ways.  Recorded, and replayed where there is no such device.
set -u
. "${0%/*}/../lib.sh"
if [ -z "${TTD_TAP:-}" ]; then
	as=()
	[ "$(id -u)" = 0 ] || as=(--map-root-user)
	for t in ip unshare curl python3; do
		command -v $t >/dev/null || { echo "needs $t"; exit 77; }
	done
	# A container may have the driver without its file.
	[ -c /dev/net/tun ] || { mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200; } 2>/dev/null
	[ -c /dev/net/tun ] || { echo "no /dev/net/tun"; exit 77; }
	unshare "${as[@]}" --net ip tuntap add ttd0 mode tap 2>/dev/null ||
		{ echo "no network namespace with a tap device to be had"; exit 77; }
	TTD_TAP=1 exec unshare "${as[@]}" --net test/integration/tap.sh
fi
make_guest

ip link set lo up
mkdir "$TTD_TMP/www"
head -c 20000000 /dev/urandom >"$TTD_TMP/www/data"
sum=$(md5sum <"$TTD_TMP/www/data")
python3 -u -m http.server --bind 0.0.0.0 --directory "$TTD_TMP/www" 8000 >"$TTD_TMP/http" 2>&1 &
server=$!
cleanup() {
	kill $server 2>/dev/null
}
await "$TTD_TMP/http" 'Serving HTTP'

# try NAME VIF: the guest is 10.9.0.2, the host 10.9.0.1.
try() {
	local name=$1 vif=$2 guest f
	local run="ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up
for i in \$(seq 50); do ping -c 1 -W 1 10.9.0.1 >/dev/null && break; done
wget -q -O /tmp/data http://10.9.0.1:8000/data; md5sum </tmp/data
httpd -h /tmp; echo ready; read x"
	rm -f "$TTD_TMP/typed"
	mkfifo "$TTD_TMP/typed"
	timeout 300 "$ttd" record --force -o "$name" --kernel "$KERNEL" --ramdisk "$RAMDISK" \
		--vif "$vif" --json --extra "quiet ttd.net=off ttd.run=\"$(tr '\n' ';' <<<"$run")\"" \
		<"$TTD_TMP/typed" >"$TTD_TMP/rec.out" 2>"$TTD_TMP/rec.err" &
	guest=$!
	exec 3>"$TTD_TMP/typed"
	await "$TTD_TMP/rec.out" ready
	grep -q "$sum" "$TTD_TMP/rec.out" || wrong "$name: the guest's download"
	[ "$(timeout 60 curl -s http://10.9.0.2/data | md5sum)" = "$sum" ] ||
		wrong "$name: the download from the guest"
	echo >&3
	wait $guest || wrong "$name: record: exit $?: $(tail -n 3 "$TTD_TMP/rec.err")"
	exec 3>&-
}
replay() { # NAME
	local f
	timeout 300 "$ttd" replay "$1" --json </dev/null >"$TTD_TMP/rep.out" 2>"$TTD_TMP/rep.err" ||
		wrong "$1: replay: exit $?: $(grep '^ttd:' "$TTD_TMP/rep.err")"
	for f in icount brctr mem_digest; do
		[ "$(field $f "$TTD_TMP/rec.err")" = "$(field $f "$TTD_TMP/rep.err")" ] ||
			wrong "$1: $f differs"
	done
	cmp -s "$TTD_TMP/rec.out" "$TTD_TMP/rep.out" || wrong "$1: the console differs"
	grep -q 'replay verified to its end' "$TTD_TMP/rep.err" || wrong "$1: not verified"
}

# One that is there already, as it would be for a user who is not root.
ip tuntap add ttd0 mode tap vnet_hdr
ip addr add 10.9.0.1/24 dev ttd0
try tap tap,ifname=ttd0
ip link del ttd0
replay tap

# Its own, in a bridge.
if ip link add br0 type bridge 2>/dev/null; then
	ip addr add 10.9.0.1/24 dev br0
	ip link set br0 up
	try bridge tap,bridge=br0
	ip link del br0
	replay bridge
else
	echo "no bridge to be had: left out"
fi

# What cannot be had.
timeout 60 "$ttd" run --kernel "$KERNEL" --stop-at 1 --vif tap,bridge=nobridge </dev/null \
	>"$TTD_TMP/out" 2>&1 && wrong "a bridge that is not there"
grep -q 'into bridge nobridge' "$TTD_TMP/out" || wrong "nobridge: $(cat "$TTD_TMP/out")"
exit $bad
