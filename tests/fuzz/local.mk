# tests/fuzz: a new target needs its file fuzz_<name>.c, a corpus folder, and two lines here
FUZZERS += jscan
FUZZ_LIBS_jscan = $(LIBS_BASE)
FUZZERS += app
FUZZ_LIBS_app = $(LIBS_WIRE)
FUZZERS += text
FUZZ_LIBS_text = $(LIBS_BASE)
FUZZERS += url
FUZZ_LIBS_url = $(LIBS_BASE)
FUZZERS += result
FUZZ_LIBS_result = $(LIBS_WIRE)
FUZZERS += run
FUZZ_LIBS_run = $(LIBS_WIRE)
FUZZERS += sig
FUZZ_LIBS_sig = $(LIBS_CORE)
FUZZERS += task
FUZZ_LIBS_task = $(LIBS_WIRE)
FUZZERS += control
FUZZ_LIBS_control = $(LIBS_WIRE)
FUZZERS += view
FUZZ_LIBS_view = $(LIBS_CORE)
FUZZERS += bus
FUZZ_LIBS_bus = $(LIBS_BUS)

TESTS += tests/fuzz/replay.sh
EXTRA_DIST += tests/fuzz/README.md tests/fuzz/fuzz.h tests/fuzz/replay.sh tests/fuzz/replay.c tests/fuzz/corpus $(FUZZERS:%=tests/fuzz/fuzz_%.c)
CLEANFILES += $(FUZZERS:%=tests/fuzz/replay-%) $(FUZZERS:%=tests/fuzz/fuzz-%)

FUZZ_COMPILE = $(CC) $(DEFS) $(DEFAULT_INCLUDES) $(AM_CPPFLAGS) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) $(AM_LDFLAGS) $(LDFLAGS)

# A '%' among the prerequisites of a pattern rule would be replaced by the stem, so it comes out of a variable.
FUZZ_ANY = %
.SECONDEXPANSION:
tests/fuzz/replay-%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $$(filter $$(FUZZ_ANY).a,$$(FUZZ_LIBS_$$*))
	$(AM_V_CCLD)$(MKDIR_P) tests/fuzz && $(FUZZ_COMPILE) -o $@ $(filter %.c,$^) $(FUZZ_LIBS_$*) $(LIBS)

# Built in a folder that `make fuzz` has configured for it.
tests/fuzz/fuzz-%: tests/fuzz/fuzz_%.c $$(filter $$(FUZZ_ANY).a,$$(FUZZ_LIBS_$$*))
	$(AM_V_CCLD)$(MKDIR_P) tests/fuzz && $(FUZZ_COMPILE) -fsanitize=fuzzer -o $@ $< $(FUZZ_LIBS_$*) $(LIBS)

tests/fuzz/replay.log: $(FUZZERS:%=tests/fuzz/replay-%)

# Seconds for each target; F names the targets.
T = 60
F = $(FUZZERS)
FUZZ_DIR = $(abs_top_srcdir)/build-fuzz
.PHONY: fuzz fuzz-here fuzz-keep
fuzz:
	mkdir -p $(FUZZ_DIR)
	cd $(FUZZ_DIR) && { test -f Makefile || ../configure --enable-asan CC=clang CFLAGS='-g -fsanitize=fuzzer-no-link'; }
	$(MAKE) -C $(FUZZ_DIR) fuzz-here T='$(T)' F='$(F)'

fuzz-here: $(FUZZERS:%=tests/fuzz/fuzz-%)
	for f in $(F); do \
		mkdir -p corpus/$$f && \
		tests/fuzz/fuzz-$$f -max_total_time=$(T) -timeout=10 -max_len=4096 -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=$$f- corpus/$$f $(abs_top_srcdir)/tests/fuzz/corpus/$$f || exit 1; \
	done

# Takes what the runs have found into the kept corpus, as far as it reaches new lines of code (not merely more often).
fuzz-keep:
	cd $(FUZZ_DIR) && for f in $(F); do \
		tests/fuzz/fuzz-$$f -merge=1 -use_counters=0 $(abs_top_srcdir)/tests/fuzz/corpus/$$f corpus/$$f || exit 1; \
	done
