# lib.sh - what the scripts of test/integration and test/soak share.  Each begins with
#
#	set -u
#	. "${0%/*}/../lib.sh"
#
# and ends with exit $bad.  A script that is started by hand, as TTD_BUILD=build
# test/integration/seek.sh, has a temporary folder of its own, like one of test/run's.  The
# user's traces, sockets and domains are never those of a test.
cd "${BASH_SOURCE[0]%/*}/.." || exit 1
export TTD_BUILD
TTD_BUILD=$(cd "${TTD_BUILD:-build}" && pwd) || exit 1
ttd=$TTD_BUILD/ttd
# address, undefined, thread, fuzz; empty: none.
sanitizer=
case $TTD_BUILD in */build/*) sanitizer=${TTD_BUILD##*/} ;; esac
own=
[ -n "${TTD_TMP:-}" ] || own=$(mktemp -d) || exit 1
TTD_TMP=${TTD_TMP:-$own}
# What a script does when it ends, however: to be defined anew.
cleanup() {
	:
}
trap 'cleanup; [ -z "$own" ] || rm -rf "$own"' EXIT
export TTD_TMP TTD_TRACE_DIR=$TTD_TMP/traces XDG_RUNTIME_DIR=$TTD_TMP/r
mkdir -p -m 700 "$XDG_RUNTIME_DIR"
bad=0

# Says what is wrong, and shows what the script's own evidence() prints; the test goes on.
evidence() {
	:
}
wrong() {
	echo "wrong: $*"
	evidence
	bad=1
}
# Sets KERNEL and RAMDISK; the options are tools/mkguest's.
try_guest() {
	local guest

	guest=$(tools/mkguest --print "$@") || { echo "no kernel package to be had"; return 1; }
	eval "$guest"
}
# Without one there is nothing to test.
make_guest() {
	try_guest "$@" || exit 77
}
# field NAME FILE: a number or word of JSON.
field() {
	sed -n "s/.*\"$1\":\"\{0,1\}\([0-9a-z]*\).*/\1/p" "$2"
}
# await FILE TEXT: until it stands in the file.
await() {
	for _ in $(seq 600); do
		! grep -q -e "$2" "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	wrong "no '$2' in $1: $(tail -n 3 "$1")"
	return 1
}
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
