#!/bin/sh
# Replays the kept corpus of every fuzz target. TAP: one point for each target.
n=0
set -- $FUZZERS
echo "1..$#"
for name; do
	n=$((n + 1))
	if "$builddir/tests/fuzz/replay-$name" "$srcdir/tests/fuzz/corpus/$name" >&2; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
	fi
done
