#!/bin/sh
# warren-runner gives modules exactly the functions that warren/task.h declares.
declared=$(sed -n 's/^[a-z].*[ *]\(warren_[a-z_]*\)(.*/\1/p' "${srcdir:-.}/include/warren/task.h" | sort -u)
exported=$(nm -D --defined-only "${builddir:-.}/warren-runner" | sed -n 's/^.* T //p' | sort)

echo 1..2
if [ "$(echo "$declared" | wc -l)" -ge 30 ]; then
	echo "ok 1 the header's functions are found"
else
	echo "not ok 1 the header's functions are found"
	echo "# only these: $declared" | tr '\n' ' '
fi
if [ "$declared" = "$exported" ]; then
	echo "ok 2 declared and exported functions are the same"
else
	echo "not ok 2 declared and exported functions are the same"
	for name in $declared; do echo "$exported" | grep -qx "$name" || echo "# not exported: $name"; done
	for name in $exported; do echo "$declared" | grep -qx "$name" || echo "# not declared: $name"; done
fi
