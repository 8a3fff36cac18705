#!/bin/bash
# layers.sh - a forbidden include must not compile, and tools/check-layers must
# see what compiling does not.
set -eu
tree=$TTD_TMP/tree
mkdir -p "$tree/test"
cp -r GNUmakefile layers.mk tools include src fuzz bench doc "$tree/"
cp -r test/unit test/insn test/emit test/hostile "$tree/test/"
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
mkdir src/cmd/x
echo '#include "mem/mem.h"' >src/cmd/x/main.c
refuse make -s build/obj/cmd/x/main.o

# What is wrong, a file each, and what is said of it.
echo '#include "../mem/mem.h"' >src/util/wrong.c
seq 601 | sed 's,.*,/* & */,' >src/mem/long.c
mkdir src/rogue
echo '#include "mem/internal.h"' >src/gdb/wrong1.c
echo '#include "mem/tlb.h"' >src/gdb/wrong2.c
printf '/* of.h - for src/mem only */\nint of(void);\n' >src/mem/of.h
echo '#include "mem/of.h"' >src/gdb/wrong3.c
# Not the one of which more than a comment speaks.
printf 'int lonely(void)\n{\n\treturn 1;\n}\nint taken(void)\n{\n\treturn 1;\n}\n' >src/mem/lonely.c
printf '/* As lonely() does. */\nstatic int other(void)\n{\n\treturn taken();\n}\n' >src/mem/other.c
{ printf 'static int tall(void)\n{\n'; seq 58 | sed 's,.*,\tg(&);,'; printf '}\n'; } >src/mem/tall.c
printf '/*\n * label.c - see (M77).\n *\n *  C1. Again.\n */\n' >src/mem/label.c
printf '/* wide%108s */\nstatic int a; \n    static int b;\n' . >src/mem/form.c
refuse tools/check-layers
while IFS= read -r line; do
	grep -q "$line" out || { echo "it does not say: $line"; cat out; exit 1; }
done <<'END'
src/util/wrong.c:1:.*relative include
src/cmd/x/main.c:1:.*may include only
src/mem/long.c: 601 lines, at most 600
src/rogue: not a layer
wrong1.c:1: mem/internal.h is for mem only
wrong2.c:1: mem/tlb.h is for mem  *cpu only
wrong3.c:1: mem/of.h is for mem only
lonely.c:1: lonely() is used by no other file
tall.c:1: a function of 61 lines, at most 60
label.c:4: label C1 is taken by src/cpu/internal.h
label.c:2: there is no invariant M77
form.c:1: 118 columns, at most 110
form.c:2: ends with a space
form.c:3: indented by spaces
END
! grep -q 'taken' out
[ "$(wc -l <out)" -eq 14 ] || { echo "it says more than that:"; cat out; exit 1; }

# clang, by whatever name, would spoil the guest's vector registers: it is refused.
printf '#!/bin/sh\ncase "$*" in *-dM*) echo "#define __clang__ 1"; exit ;; esac\nexec gcc "$@"\n' >other-cc
chmod +x other-cc
refuse make -n CC="$PWD/other-cc" all
grep -q 'is clang, whose code would spoil' out || { echo "make takes clang"; cat out; exit 1; }
