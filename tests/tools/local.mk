# tests/tools: checks of the source itself
TESTS += tests/tools/check-layers tests/tools/test-check-layers.sh
EXTRA_DIST += tests/tools/check-layers tests/tools/test-check-layers.sh tests/tools/capture-vectors.py tests/tools/tap \
	.clang-format .clang-tidy

C_FILES = find src include tests examples -name '*.c'
C_AND_H_FILES = find src include tests examples -name '*.[ch]'

CPPCHECK = cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --library=posix --library=gnu \
	--enable=warning,performance,portability --suppress=missingIncludeSystem -D__GNUC__ -DLOGROW -Isrc -Iinclude -Itests

.PHONY: format lint lint-tidy lint-cppcheck asan
format:
	cd $(top_srcdir) && $(C_AND_H_FILES) | xargs clang-format -i

lint: lint-tidy lint-cppcheck

lint-tidy:
	cd $(top_srcdir) && $(C_FILES) | xargs -P2 -n8 sh -c \
		'clang-tidy --quiet "$$@" -- -std=gnu11 -Isrc -Iinclude -Itests -D_GNU_SOURCE -DWARREN_PYTHONDIR=\"\" -DWARREN_LIBEXECDIR=\"\"' lint

lint-cppcheck:
	cd $(top_srcdir) && $(CPPCHECK) src include

# A build folder of its own beside the others, since all objects differ.
asan:
	mkdir -p $(abs_top_srcdir)/build-asan
	cd $(abs_top_srcdir)/build-asan && { test -f Makefile || ../configure --enable-dev --enable-asan; }
	$(MAKE) -C $(abs_top_srcdir)/build-asan check
