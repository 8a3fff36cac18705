#!/bin/bash
# debian.sh - a whole Debian at work: each load is recorded on a disk and a
# network, and replayed with the servers gone: no divergence, equal digests.
# Then kills at random moments: the disk is as after a power cut, and what was
# synced is there.
#
# LOADS (default all of them), KILLS (30) and SEED are the numbers; the last
# line says all.
set -u
. "${0%/*}/../lib.sh"
PATH=$PATH:/usr/sbin:/sbin
loads=${LOADS:-boot gcc python sqlite pgbench nginx apt}
kills=${KILLS:-30}
seed=${SEED:-$RANDOM}
guest=$(tools/mkguest debian --print --size 6G --packages \
	gcc,libc6-dev,make,python3,libpython3.11-testsuite,sqlite3,postgresql,postgresql-contrib,nginx-light) || {
	echo "no image of Debian can be made here"
	exit 77
}
eval "$guest"
good=0
out=$TTD_TMP/out
servers=()
cleanup() {
	kill "${servers[@]}" 2>/dev/null
}

evidence() {
	tail -n 25 "$out"
}
await() { # TEXT
	for _ in $(seq 6000); do
		! grep -q "$1" "$out" || return 0
		kill -0 "$pid" 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}
field() {
	sed -n "s/.*\"$1\":\"\{0,1\}\([0-9a-z]*\).*/\1/p" "$2" | tail -n 1
}

# What a load brings along is a tar archive that is the second disk; it runs "run".
# start NAME: a recording of $files/run, in the background as $pid, output in $out.
files=$TTD_TMP/files
mask='systemd.mask=postgresql.service systemd.mask=nginx.service'
vif=user
start() {
	tar -C "$files" -cf "$TTD_TMP/files.tar" .
	: >"$out"
	timeout 3600 "$ttd" record --force -o "$1" --name "$1" --kernel "$KERNEL" --ramdisk "$RAMDISK" \
		--memory 768 --disk "$IMAGE,raw,xvda,w" --disk "$TTD_TMP/files.tar,raw,xvdb,r" \
		--vif "$vif" --json --extra "root=/dev/xvda quiet systemd.show_status=false $mask \
ttd.run=\"mkdir /run/load; tar -xf /dev/xvdb -C /run/load; cd /run/load; bash ./run\"" \
		</dev/null >"$out" 2>"$TTD_TMP/rec.json" &
	pid=$!
}
# The rest of it: the end of the recording, the servers', and the replay.
finish() { # NAME
	local rc
	wait $pid
	rc=$?
	kill "${servers[@]}" 2>/dev/null
	servers=()
	[ $rc -eq 0 ] || { wrong "$1: record: exit $rc: $(tail -n 1 "$TTD_TMP/rec.json")"; return; }
	grep -q '^ttd.run: exit status 0' "$out" || { wrong "$1 failed in the guest"; return; }
	timeout 3600 "$ttd" replay "$1" --verify --json >"$TTD_TMP/rep.json" 2>&1 ||
		{ wrong "$1: replay: exit $?: $(cat "$TTD_TMP/rep.json")"; return; }
	for f in icount brctr mem_digest; do
		[ -n "$(field $f "$TTD_TMP/rec.json")" ] &&
			[ "$(field $f "$TTD_TMP/rec.json")" = "$(field $f "$TTD_TMP/rep.json")" ] ||
			wrong "$1: $f is not the same"
	done
	echo "ok    $1: $(grep recorded "$TTD_TMP/rec.json")"
	grep '^# ' "$out" | tr -d '\r' | sed 's/^/        /'
	good=$((good + 1))
	"$ttd" rm "$1"
}
script() {
	rm -rf "$files"
	mkdir "$files"
	{ echo 'set -eu'; cat; } >"$files/run"
}

load_boot() {
	script <<'END'
[ "$(systemctl is-system-running --wait)" = running ]
systemctl --failed --no-legend
echo "# $(systemd-analyze time | tail -n 1)"
systemd-analyze blame --no-pager | head -n 5 | sed 's/^/# /'
END
	start boot
	finish boot
}

load_gcc() {
	script <<'END'
objs=
for f in src/*/*.c; do
	o=${f//\//_}.o
	gcc -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -fPIC -Isrc -c -o $o $f
	objs="$objs $o"
done
gcc -shared -o lib.so $objs
for p in text interp matrix; do gcc -O2 -o $p $p.c -lm; done
./text >/dev/null; ./interp >/dev/null
echo "# $(echo $objs | wc -w) files, $(size lib.so | tail -n 1 | cut -f 1) bytes of text"
END
	mkdir "$files/src"
	cp -r src/util src/gdb "$files/src"
	cp bench/guest/{text,interp,matrix}.c "$files"
	start gcc
	finish gcc
}

load_python() {
	script <<'END'
python3 -m test test_json test_hashlib test_threading test_subprocess 2>&1 | tail -n 12 >log
cat log
grep -q 'SUCCESS' log
echo "# python3 -m test: $(tail -n 1 log)"
END
	start python
	finish python
}

load_sqlite() {
	script <<'END'
sqlite3 /root/db "create table t(a integer primary key, b blob);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)
insert into t select i, randomblob(1000) from n;"
sqlite3 /root/db "update t set b = randomblob(1000) where a % 97 = 0; create index x on t(substr(b, 1, 8));
select count(*), sum(length(b)) from t;"
[ "$(sqlite3 /root/db 'pragma integrity_check')" = ok ]
[ "$(stat -c %s /root/db)" -gt 100000000 ]
echo "# $(stat -c %s /root/db) bytes, integrity ok"
END
	start sqlite
	finish sqlite
}

load_pgbench() {
	mask='systemd.mask=nginx.service'
	script <<'END'
systemctl is-system-running --wait || true
cd /
until pg_lsclusters | grep -q online; do sleep 0.5; done
su postgres -c 'createdb bench && pgbench -q -i -s 5 bench'
su postgres -c 'pgbench -n -c 4 -T 60 bench' | tee /root/log
grep -q 'number of failed transactions: 0' /root/log
echo "# pgbench: $(grep tps /root/log)"
END
	start pgbench
	finish pgbench
}

load_nginx() {
	local port
	mask='systemd.mask=postgresql.service'
	port=$(free_port)
	vif="user,hostfwd=tcp:127.0.0.1:$port-:80"
	script <<'END'
cp data /var/www/html/data
until systemctl is-active nginx; do sleep 0.5; done
until networkctl -n 0 --no-pager | grep -q routable; do sleep 0.5; done
echo ready
until grep -q 'GET /bye' /var/log/nginx/access.log; do sleep 0.2; done
echo "# nginx: $(wc -l </var/log/nginx/access.log) requests"
END
	head -c 5000000 /dev/urandom >"$files/data"
	start nginx
	await '^ready' || wrong "nginx: the guest is not ready"
	for _ in 1 2 3 4 5; do
		[ "$(timeout 120 curl -s "http://127.0.0.1:$port/data" | md5sum)" = "$(md5sum <"$files/data")" ] ||
			wrong "nginx: the download is not what the guest has"
	done
	timeout 60 curl -s "http://127.0.0.1:$port/bye" >/dev/null
	finish nginx
	vif=user
}

# A repository with one package, made here.
load_apt() {
	local repo=$TTD_TMP/repo port
	vif=user,hostloopback=1
	mkdir -p "$repo/pkg/DEBIAN" "$repo/pkg/usr/bin"
	printf 'Package: ttd-hello\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: says hello\n' \
		>"$repo/pkg/DEBIAN/control"
	printf '#!/bin/sh\necho hello from a package\n' >"$repo/pkg/usr/bin/ttd-hello"
	chmod 755 "$repo/pkg/usr/bin/ttd-hello"
	dpkg-deb --root-owner-group -b "$repo/pkg" "$repo/ttd-hello.deb" >/dev/null
	{ dpkg-deb -f "$repo/ttd-hello.deb"
	printf 'Filename: ./ttd-hello.deb\nSize: %s\nSHA256: %s\n\n' "$(stat -c %s "$repo/ttd-hello.deb")" \
		"$(sha256sum <"$repo/ttd-hello.deb" | cut -d ' ' -f 1)"; } >"$repo/Packages"
	python3 -u -m http.server --bind 127.0.0.1 --directory "$repo" 0 >"$TTD_TMP/http" 2>&1 &
	servers+=($!)
	until port=$(sed -n 's/.* port \([0-9]*\).*/\1/p' "$TTD_TMP/http" 2>/dev/null) && [ -n "$port" ]; do
		sleep 0.1
	done
	script <<END
until networkctl -n 0 --no-pager | grep -q routable; do sleep 0.5; done
rm -f /etc/apt/sources.list.d/*
echo "deb [trusted=yes] http://10.0.2.2:$port ./" >/etc/apt/sources.list
apt-get -q update
apt-get -q -y install ttd-hello
echo "# apt: \$(ttd-hello)"
END
	start apt
	finish apt
	vif=user
}

# Writes, syncs and says so; we kill it anywhere.
kill_one() { # N
	local said have
	script <<'END'
mkdir -p /root/w
for i in $(seq 1000000); do
	head -c $((RANDOM * 4)) /dev/urandom >/root/w/$((i % 50))
	mv -f /root/w/$((i % 50)) /root/w/n$((i % 37)) 2>/dev/null || true
	echo $i >/root/count.new && mv /root/count.new /root/count
	sync
	echo "synced $i"
done
END
	start "kill$1"
	await '^synced 3' || { wrong "kill $1: nothing is synced"; kill -9 $pid; return; }
	sleep "$((RANDOM % 6)).$((RANDOM % 10))"
	# timeout's child is the one.
	kill -9 "$(pgrep -P $pid)" && wait $pid 2>/dev/null
	said=$(tr -d '\r' <"$out" | sed -n 's/^synced \([0-9]*\)$/\1/p' | tail -n 1)
	"$ttd" export "kill$1" xvda "$TTD_TMP/image" --force >"$TTD_TMP/exp" 2>&1 ||
		{ wrong "kill $1: export: $(cat "$TTD_TMP/exp")"; return; }
	e2fsck -fp "$TTD_TMP/image" >"$TTD_TMP/fsck" 2>&1
	[ $? -le 1 ] || { wrong "kill $1: e2fsck cannot repair it: $(tail -n 3 "$TTD_TMP/fsck")"; return; }
	e2fsck -fn "$TTD_TMP/image" >"$TTD_TMP/fsck" 2>&1 || wrong "kill $1: not clean after repair"
	have=$(debugfs -R 'cat /root/count' "$TTD_TMP/image" 2>/dev/null)
	[ "${have:-0}" -ge "${said:-0}" ] || wrong "kill $1: $said was synced, the disk has ${have:-nothing}"
	timeout 3600 "$ttd" replay "kill$1" --verify >"$TTD_TMP/rep.json" 2>&1 ||
		wrong "kill $1: replay: exit $?: $(tail -n 1 "$TTD_TMP/rep.json")"
	"$ttd" rm "kill$1"
	killed=$((killed + 1))
}

echo "seed $seed"
RANDOM=$seed
killed=0
for l in $loads; do
	mask='systemd.mask=postgresql.service systemd.mask=nginx.service'
	"load_$l"
done
mask='systemd.mask=postgresql.service systemd.mask=nginx.service'
for i in $(seq "$kills"); do
	kill_one "$i"
done
echo "debian: $good loads replayed, $killed kills survived, $bad wrong, seed $seed"
[ $bad -eq 0 ]
