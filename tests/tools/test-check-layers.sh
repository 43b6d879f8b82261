#!/bin/sh
# Tries check-layers on a small tree with one mistake of each kind: a check that finds nothing would be worth nothing.
set -u
unset CMOCKA_MESSAGE_OUTPUT
root=$(mktemp -d) || exit 99
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/src/low" "$root/src/high" "$root/src/odd" "$root/build" "$root/include" "$root/tests"
printf 'low:\nhigh: low\n<zlib: high\n' > "$root/LAYERS"
printf '#include "high/b.h"\n#include <zlib.h>\n#include <curl/curl.h>\n' > "$root/src/low/a.c"
printf 'struct absent x;\n' > "$root/src/high/b.h"
printf '#include "../low/a.c"\n#include "low/a.h"\n' > "$root/src/high/b.c"
printf 'int o;\n' > "$root/src/odd/o.c"
{ printf 'void\nf(void)\n{\n'; yes ';' | head -n 79; printf '}\n'; yes '//' | head -n 700; } > "$root/src/low/long.c"
{ printf 'def f():\n'; yes '    pass' | head -n 80; yes '#' | head -n 700; } > "$root/tests/long.py"
# The path is one as automake gives it to a test of a separate build folder.
out=$(srcdir="$root/build/.." "$srcdir/tests/tools/check-layers")
code=$?

n=0
echo 1..12
check() { # name, condition's result
	n=$((n + 1))
	if [ "$2" -eq 0 ]; then echo "ok $n - $1"; else echo "not ok $n - $1"; fi
}
has() { # words that must be among the findings
	printf '%s\n' "$out" | grep -qF -- "$1"
	check "finds: $1" $?
}
has 'src/low/a.c:1: low may not include high'
has 'src/low/a.c:2: low may not include <zlib.h>'
has 'src/low/a.c:3: <curl/curl.h> has no row in LAYERS'
has 'src/high/b.c:1: includes ../low/a.c'
has 'src/high/b.h does not compile alone'
has 'src/odd/o.c: folder odd has no row in LAYERS'
has 'src/low/long.c:3: a function of 81 lines, at most 80'
has 'src/low/long.c: 783 lines, at most 700'
has 'tests/long.py:1: a function of 81 lines, at most 80'
has 'tests/long.py: 781 lines, at most 700'
! printf '%s\n' "$out" | grep -q 'low/a\.h'
check 'lets a good include pass' $?
[ "$code" -eq 1 ]
check 'says so in its exit code' $?
