#!/bin/bash
# net.sh - a guest on a network: an address by DHCP, a download through NAT
# from a server on the host's loopback, a download from the guest through a
# forwarded port; recorded, and replayed with equal digests when the servers are
# gone.  Then what a user can get wrong.
set -u
. "${0%/*}/../lib.sh"
command -v python3 >/dev/null && command -v curl >/dev/null ||
	{ echo "needs python3 and curl"; exit 77; }
make_guest

# A server on loopback, and what it has.
mkdir "$TTD_TMP/www"
head -c 3000000 /dev/urandom >"$TTD_TMP/www/data"
sum=$(md5sum <"$TTD_TMP/www/data")
python3 -u -m http.server --bind 127.0.0.1 --directory "$TTD_TMP/www" 0 >"$TTD_TMP/http" 2>&1 &
server=$!
cleanup() {
	kill $server 2>/dev/null
}
await "$TTD_TMP/http" 'Serving HTTP'
port=$(sed -n 's/.* port \([0-9]*\).*/\1/p' "$TTD_TMP/http")
fwd=$(free_port)

# The guest fetches, serves what it fetched, and ends when it is told to.
mkfifo "$TTD_TMP/typed"
run="ip -4 addr show eth0 | grep inet; ip route | grep default; cat /etc/resolv.conf
wget -q -O /tmp/data http://10.0.2.2:$port/data; md5sum </tmp/data; ping -c 1 -w 2 10.0.2.2 | grep -c ttl=
wget -q -O /tmp/none http://169.254.169.254/ 2>&1 | sed s/^/metadata:/
cat /sys/class/net/eth0/address; sed s/^/mtu:/ /sys/class/net/eth0/mtu; httpd -h /tmp; echo ready; read x; cat /sys/class/net/eth0/statistics/tx_packets"
timeout 300 "$ttd" record --force -o net --kernel "$KERNEL" --ramdisk "$RAMDISK" --name net \
	--vif "user,hostloopback=1,mtu=1400,hostfwd=tcp:127.0.0.1:$fwd-:80" --json \
	--extra "quiet ttd.run=\"$(tr '\n' ';' <<<"$run")\"" \
	<"$TTD_TMP/typed" >"$TTD_TMP/rec.out" 2>"$TTD_TMP/rec.err" &
guest=$!
exec 3>"$TTD_TMP/typed"
await "$TTD_TMP/rec.out" ready
[ "$(timeout 60 curl -s "http://127.0.0.1:$fwd/data" | md5sum)" = "$sum" ] ||
	wrong "the download from the guest"
echo >&3
wait $guest || wrong "record: exit $?: $(cat "$TTD_TMP/rec.err")"
exec 3>&-
for want in 'inet 10.0.2.15/24' 'default via 10.0.2.2' 'nameserver 10.0.2.3' "$sum" \
	'^1.$' '^mtu:1400' '^metadata:.*No route to host' '^00:16:3e:'; do
	grep -q "$want" "$TTD_TMP/rec.out" || wrong "the guest does not show '$want'"
done

# Replayed without the server, and with the port taken by somebody else.
kill $server
python3 -c 'import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(); time.sleep(300)' "$fwd" &
server=$!
timeout 300 "$ttd" replay net --json </dev/null >"$TTD_TMP/rep.out" 2>"$TTD_TMP/rep.err" ||
	wrong "replay: exit $?: $(grep '^ttd:' "$TTD_TMP/rep.err")"
for f in icount brctr mem_digest; do
	[ "$(field $f "$TTD_TMP/rec.err")" = "$(field $f "$TTD_TMP/rep.err")" ] || wrong "$f differs"
done
cmp -s "$TTD_TMP/rec.out" "$TTD_TMP/rep.out" || wrong "the console differs"
grep -q 'replay verified to its end' "$TTD_TMP/rep.err" || wrong "not verified"
"$TTD_BUILD/ttd-read-log" -f "$TTD_TRACE_DIR/net/ttd.log.net" -i >"$TTD_TMP/log"
grep -q 'TTD_FRAME(19),info:net_transmit' "$TTD_TMP/log" || wrong "no frames sent in the log"
grep -q 'TTD_INPUT(1),info:net' "$TTD_TMP/log" || wrong "no frames received in the log"
"$ttd" info net | grep -q "hostfwd=tcp:127.0.0.1:$fwd-:80" || wrong "ttd info shows no interface"

# A capture: both directions, whole blocks, times that do not go back, right checksums.
"$ttd" pcap net -o "$TTD_TMP/net.pcapng" 2>"$TTD_TMP/err" || wrong "pcap: $(cat "$TTD_TMP/err")"
python3 - "$TTD_TMP/net.pcapng" >"$TTD_TMP/out" <<'END' || wrong "the capture: $(cat "$TTD_TMP/out")"
import struct, sys, time
b = open(sys.argv[1], "rb").read()
at = last = 0
seen = {1: 0, 2: 0}
text = b""
kinds = []
while at < len(b):
    kind, size = struct.unpack_from("<II", b, at)
    assert size % 4 == 0 and struct.unpack_from("<I", b, at + size - 4)[0] == size
    kinds.append(kind)
    if kind == 6:
        vif, hi, lo, n, real = struct.unpack_from("<IIIII", b, at + 8)
        assert vif == 0 and n == real
        assert hi << 32 | lo >= last
        last = hi << 32 | lo
        frame = b[at + 28:at + 28 + n]
        code, olen, flags = struct.unpack_from("<HHI", b, at + 28 + (n + 3 & ~3))
        assert (code, olen) == (2, 4)
        seen[flags] += 1
        if frame[12:14] == b"\x08\0" and frame[23] == 6:
            end = 14 + struct.unpack_from(">H", frame, 16)[0]
            head = 14 + (frame[14] & 15) * 4
            part = frame[26:34] + struct.pack(">HH", 6, end - head) + frame[head:end]
            part += b"\0" * (len(part) % 2)
            total = sum(struct.unpack(">%dH" % (len(part) // 2), part))
            while total >> 16:
                total = (total & 0xffff) + (total >> 16)
            assert total == 0xffff, "checksum"
            text += frame[head + (frame[head + 12] >> 4) * 4:end]
    at += size
assert kinds[:2] == [0x0a0d0d0a, 1] and at == len(b)
assert abs(last / 1e9 - time.time()) < 600, "the guest's clock"
assert seen[1] > 10 and seen[2] > 10, seen
assert b"GET /data HTTP/1.1" in text and text.count(b"HTTP/1.") >= 3
END
"$ttd" pcap net -o "$TTD_TMP/net.pcapng" 2>"$TTD_TMP/err" && wrong "pcap replaces a file"
grep -q 'give --force' "$TTD_TMP/err" || wrong "pcap: $(cat "$TTD_TMP/err")"

# A received frame that is left out is noticed.
n=$("$TTD_BUILD/ttd-read-log" -f "$TTD_TRACE_DIR/net/ttd.log.net" -i | grep 'TTD_INPUT(1)' |
	grep -n 'info:net' | sed -n '2s/:.*//p')
n=$((n - 1)) # the wall clock at boot does not count
timeout 300 "$ttd" replay net --perturb "skip=$n" </dev/null >/dev/null 2>"$TTD_TMP/rep.err"
[ $? -eq 4 ] || wrong "a frame that is missing is not noticed"

# Wrong specifications and what cannot be had: one clear line each.
expect() { # STATUS PATTERN OPTION...
	local status=$1 pattern=$2 rc
	shift 2
	timeout 60 "$ttd" run --kernel "$KERNEL" --stop-at 1 "$@" </dev/null >"$TTD_TMP/out" 2>&1
	rc=$?
	{ [ $rc -eq "$status" ] && grep -q -e "$pattern" - "$TTD_TMP/out" <<<" "; } ||
		wrong "$*: exit $rc, wanted $status and '$pattern': $(cat "$TTD_TMP/out")"
}
expect 2 'give user, tap or none' --vif usr
expect 2 "unknown key 'foo'" --vif foo=1
expect 2 'write it as 00:16:3e' --vif mac=00:16:3e
expect 2 'write it as tcp:127.0.0.1:8080-:80' --vif hostfwd=tcp:80
expect 2 'hostloopback=yes: give 0 or 1' --vif hostloopback=yes
expect 2 'restrict=1 closes what' --vif user,restrict=1,hostloopback=1
expect 0 'bridge has no effect with backend=user' --vif user,bridge=br0
expect 0 'script has no effect here' --vif script=vif-route
expect 1 "cannot listen at tcp 127.0.0.1 port $fwd" --vif "hostfwd=tcp:127.0.0.1:$fwd-:80"
expect 0 '^' --vif none --vif mac=00:16:3e:01:02:03
kill $server
printf 'name = "d"\nkernel = "%s"\nvif = [ "bridge=br0", "hostfwd=x" ]\n' "$KERNEL" >"$TTD_TMP/d.cfg"
timeout 60 "$ttd" create "$TTD_TMP/d.cfg" --dry-run >"$TTD_TMP/out" 2>&1
[ $? -eq 2 ] && grep -q 'hostfwd=x: write it as' "$TTD_TMP/out" || wrong "create: $(cat "$TTD_TMP/out")"
exit $bad
