#!/bin/bash
# install.sh - what "make install" puts somewhere is complete: a program is built against it
# by pkg-config, each header by itself and in C++ too, and it works on a recording.
set -u
. "${0%/*}/../lib.sh"
[ -z "$sanitizer" ] || { echo "the build without a sanitizer is what is installed"; exit 77; }
command -v pkg-config >/dev/null || { echo "no pkg-config: tools/setup installs it"; exit 1; }
root=$TTD_TMP/root
make --no-print-directory -o all install B="$TTD_BUILD" DESTDIR="$root" PREFIX=/usr >"$TTD_TMP/make" 2>&1 ||
	wrong "make install: $(tail -n 3 "$TTD_TMP/make")"
export PKG_CONFIG_PATH=$root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
export LD_LIBRARY_PATH=$root/usr/lib
read -ra flags < <(pkg-config --cflags --libs ttd) || wrong "pkg-config does not find it"

# A public name of a program's would silently replace the library's.
names() {
	gcc-nm -g --defined-only "$@" | awk 'NF == 3 && $3 != "main" { print $3 }' | sort -u
}
objects=()
for c in src/cmd/*.c src/cmd/*/*.c; do
	objects+=("$TTD_BUILD/obj/${c#src/}")
done
both=$(comm -12 <(names "${objects[@]/%.c/.o}") <(names "$TTD_BUILD/libttd.a"))
[ -z "$both" ] || wrong "in a program and in the library: $both"

for h in "$root"/usr/include/ttd/*.h; do
	echo "#include <ttd/$(basename "$h")>" >"$TTD_TMP/one.c"
	gcc -std=c99 -Wall -Wextra -Werror -c -o "$TTD_TMP/one.o" "$TTD_TMP/one.c" "${flags[@]}" ||
		wrong "$(basename "$h") by itself"
	g++ -x c++ -Wall -Wextra -Werror -c -o "$TTD_TMP/one.o" "$TTD_TMP/one.c" "${flags[@]}" ||
		wrong "$(basename "$h") in C++"
done

for example in examples/*.c; do
	gcc -O2 -Wall -Wextra -Werror -o "$TTD_TMP/$(basename "$example" .c)" "$example" "${flags[@]}" ||
		wrong "$example"
done
"$root/usr/bin/ttd" record -o tour --kernel "$TTD_BUILD/hostile" --memory 64 --clock virtual \
	--extra attack=garbage-user </dev/null >"$TTD_TMP/out" 2>&1 || wrong "$(cat "$TTD_TMP/out")"
"$TTD_TMP/profile" tour >"$TTD_TMP/one" 2>"$TTD_TMP/err" || wrong "profile: $(cat "$TTD_TMP/err")"
"$TTD_TMP/profile" tour >"$TTD_TMP/two"
cmp -s "$TTD_TMP/one" "$TTD_TMP/two" || wrong "another profile of the same recording"
grep -q '^ *[0-9.]* %  [a-z_]* ' "$TTD_TMP/one" || wrong "no function: $(cat "$TTD_TMP/one")"
"$TTD_TMP/profile" nowhere >"$TTD_TMP/out" 2>&1
[ $? = 1 ] && grep -q '^profile: .*nowhere' "$TTD_TMP/out" || wrong "no such trace: $(cat "$TTD_TMP/out")"
exit $bad
