#!/bin/bash
# emit.sh - many more random blocks than make check translates and verifies.
set -u
. "${0%/*}/../lib.sh"
for seed in 1 2 3 "$RANDOM"; do
	"$TTD_BUILD/emit-test" --seed "$seed" --blocks "${TTD_SOAK_BLOCKS:-200000}" || exit 1
done
