# tests/tools: checks of the source itself
TESTS += tests/tools/check-layers tests/tools/test-check-layers.sh
EXTRA_DIST += tests/tools/installcheck tests/tools/check-layers tests/tools/test-check-layers.sh tests/tools/capture-vectors.py tests/tools/tap \
	.clang-format .clang-tidy

# Part of `make installcheck` and so of `make distcheck`; a staged tree (DESTDIR) cannot be run where it is.
installcheck-local: examples/words/words.so
	test -n '$(DESTDIR)' || $(srcdir)/tests/tools/installcheck '$(bindir)' '$(abs_builddir)/examples/words/words.so'

C_FILES = find src include tests examples -name '*.c'
C_AND_H_FILES = find src include tests examples -name '*.[ch]'

# It does not know __VA_OPT__ of C23, which LOG is made with.
CPPCHECK = cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --library=posix --library=gnu \
	--enable=warning,performance,portability --suppress=missingIncludeSystem -D__GNUC__ -DLOGROW '-D__VA_OPT__(...)=' \
	-Isrc -Iinclude -Itests

.PHONY: format lint lint-format lint-tidy lint-cppcheck lint-dist asan
format:
	cd $(top_srcdir) && $(C_AND_H_FILES) | xargs clang-format -i

lint: lint-format lint-tidy lint-cppcheck lint-dist

lint-format:
	cd $(top_srcdir) && $(C_AND_H_FILES) | xargs clang-format --dry-run -Werror

lint-tidy:
	cd $(top_srcdir) && $(C_FILES) | xargs -P2 -n8 sh -c \
		'clang-tidy --quiet "$$@" -- -std=gnu11 -Isrc -Iinclude -Itests -I$(abs_builddir) \
		-D_GNU_SOURCE -DWARREN_PYTHONDIR=\"\" -DWARREN_LIBEXECDIR=\"\" -DWARREN_SYSCONFDIR=\"\"' lint

lint-cppcheck:
	cd $(top_srcdir) && $(CPPCHECK) src include

# Every file that git knows belongs into the tarball, but for what only serves git and the CI; and what git does not know, only if autoreconf made it.
lint-dist:
	$(MAKE) -s --no-print-directory distdir distdir=lint-dist
	cd lint-dist && find . -type f | sed 's,^\./,,' | LC_ALL=C sort >../lint-dist.has
	chmod -R u+w lint-dist && rm -rf lint-dist
	cd $(top_srcdir) && git ls-files | grep -Ev '^(\.ci/|m4/|\.gitignore$$)' | LC_ALL=C sort | LC_ALL=C comm -23 - '$(abs_builddir)/lint-dist.has' | \
		{ ! grep . || { echo 'lint: not in the tarball: add them to EXTRA_DIST in the local.mk of their folder' >&2; exit 1; }; }
	cd $(top_srcdir) && git ls-files | LC_ALL=C sort | LC_ALL=C comm -13 - '$(abs_builddir)/lint-dist.has' | \
		grep -Ev '^(build-aux/|aclocal\.m4$$|configure$$|config\.h\.in$$|Makefile\.in$$)' | \
		{ ! grep . || { echo 'lint: in the tarball, and not from git: take them out in dist-hook of tests/local.mk' >&2; exit 1; }; }
	rm -f lint-dist.has

# All tests, in a build folder of its own beside the others, since all objects differ. ARGS='--only unit' and the like are handed on to tests/run.
asan:
	mkdir -p $(abs_top_srcdir)/build-asan
	cd $(abs_top_srcdir)/build-asan && { test -f Makefile || ../configure --enable-dev --enable-asan; }
	+$(abs_top_srcdir)/tests/run --builddir $(abs_top_srcdir)/build-asan $(ARGS)
