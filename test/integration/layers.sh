#!/bin/bash
# layers.sh - a forbidden include must not compile, and tools/check-layers must
# see what compiling does not.
set -eu
tree=$TTD_TMP/tree
mkdir -p "$tree/src/cmd/x"
cp -r GNUmakefile layers.mk tools include "$tree/"
cp -r src/util src/mem "$tree/src/"
cd "$tree"
unset MAKEFLAGS MAKELEVEL

refuse() {
	if "$@" >out 2>&1; then
		echo "accepted: $*"
		exit 1
	fi
}
tools/check-layers
make -s build/layer/util.a >/dev/null
echo '#include "mem/mem.h"' >src/util/wrong.c
refuse make -s build/obj/util/wrong.o
grep -q 'mem/mem.h: No such file' out
echo '#include "../mem/mem.h"' >src/util/wrong.c
refuse tools/check-layers
grep -q 'relative include' out
rm src/util/wrong.c
seq 801 | sed 's,.*,/* & */,' >src/mem/long.c
refuse tools/check-layers
grep -q '801 lines' out
rm src/mem/long.c
echo '#include "mem/mem.h"' >src/cmd/x/main.c
refuse tools/check-layers
refuse make -s build/obj/cmd/x/main.o
rm src/cmd/x/main.c
mkdir src/rogue
refuse tools/check-layers
grep -q 'rogue' out
