#!/bin/sh
# bench.sh - what "make bench" runs: installs what the comparison needs beside
# ttd, then bench.py.  Its options, or the variables named by --help, select.
cd "$(dirname "$0")/.." || exit 1
tools/setup --with qemu-system-x86 --with python3 || exit 1
exec /usr/bin/python3 bench/bench.py "$@"
