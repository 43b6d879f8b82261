#include "base/alloc.h"

#include "lib/torture.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void
copies_end_in_a_nul(void **state UNUSED)
{
	char *a = alloc_dup(SPAN("abc")), *b = alloc_printf("%d-%s", 7, "x"), *c = alloc_dup(SPAN(""));

	assert_string_equal(a, "abc");
	assert_string_equal(b, "7-x");
	assert_string_equal(c, "");
	assert_null(alloc_dup(SPAN_NONE));
	alloc_free(a);
	alloc_free(b);
	alloc_free(c);
	alloc_free(NULL);
}

static void
nothing_is_a_size(void **state UNUSED)
{
	void *p = alloc_bytes(0), *q = alloc_zero(0);

	assert_non_null(p);
	assert_non_null(q);
	p = alloc_resize(p, 0);
	assert_non_null(p);
	alloc_free(p);
	alloc_free(q);
}

static void
fails_from_the_nth_on(void **state UNUSED)
{
	uint64_t before = alloc_count();
	void *p;

	alloc_fail_after(2);
	p = alloc_bytes(1);
	assert_non_null(p);
	assert_null(alloc_bytes(1));
	assert_null(alloc_zero(1));
	assert_null(alloc_resize(p, 9)); /* p is still ours */
	assert_null(alloc_dup(SPAN("a")));
	assert_null(alloc_printf("a"));
	alloc_fail_after(0);
	assert_int_equal(alloc_count() - before, 6);
	alloc_free(p);
	p = alloc_bytes(1);
	assert_non_null(p);
	alloc_free(p);
}

static void
must_stops_the_process(void **state UNUSED)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int null_fd = fileno(fopen("/dev/null", "w"));

		signal(SIGABRT, SIG_DFL); /* cmocka's handler would go on */
		dup2(null_fd, STDERR_FILENO);
		alloc_fail_after(1);
		must_alloc(1);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void
must_gives_what_was_asked(void **state UNUSED)
{
	char *p = must_alloc(4), *q = must_dup(SPAN("ab")), *r = must_printf("%c", 'z');

	assert_memory_equal(p, "\0\0\0\0", 4);
	p = must_resize(p, 8);
	assert_string_equal(q, "ab");
	assert_string_equal(r, "z");
	assert_null(must_dup(SPAN_NONE));
	alloc_free(p);
	alloc_free(q);
	alloc_free(r);
}

static void
arena_pieces_are_aligned_and_apart(void **state UNUSED)
{
	static const size_t sizes[] = { 1, 7, 8, 9, 100, 5000, 3, 200000, 64, 0, 2 };
	unsigned char *pieces[200];
	struct arena a;
	size_t n;

	arena_init(&a, 0);
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		n = sizes[i % ARRAY_LEN(sizes)];
		pieces[i] = arena_zero(&a, n);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % 8, 0);
		memset(pieces[i], (int)i, n);
	}
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		for (size_t k = 0; k < sizes[i % ARRAY_LEN(sizes)]; k++)
			assert_int_equal(pieces[i][k], i);
	}
	arena_release(&a);
	assert_int_equal(a.used, 0);
}

static void
arena_keeps_to_its_bound(void **state UNUSED)
{
	struct arena a;

	arena_init(&a, 64);
	assert_non_null(arena_alloc(&a, 33)); /* counts as 40 */
	assert_null(arena_alloc(&a, 25));
	assert_non_null(arena_alloc(&a, 24));
	assert_null(arena_alloc(&a, 1));
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 3));
	arena_release(&a);
	assert_non_null(arena_alloc(&a, 64));
	arena_release(&a);
}

static void
arena_takes_few_blocks(void **state UNUSED)
{
#if !defined(__SANITIZE_ADDRESS__) /* there, each piece has its own */
	uint64_t before = alloc_count();
	struct arena a;

	arena_init(&a, 0);
	for (int i = 0; i < 1000; i++)
		assert_non_null(arena_alloc(&a, 40));
	assert_in_range(alloc_count() - before, 1, 8);
	/* A large piece does not waste what is left of the first block. */
	assert_non_null(arena_alloc(&a, 100000));
	before = alloc_count();
	assert_non_null(arena_alloc(&a, 40));
	assert_int_equal(alloc_count(), before);
	arena_release(&a);
#endif
}

static enum err
use_arena(void *arg UNUSED)
{
	struct arena a;
	struct span s;
	enum err e = E_NOMEM;

	arena_init(&a, 0);
	for (size_t i = 0; i < 20; i++) {
		s = arena_dup(&a, SPAN("some words that are copied"));
		if (!s.ptr)
			goto out;
		assert_string_equal(s.ptr, "some words that are copied");
		if (!arena_alloc(&a, i * 1000))
			goto out;
	}
	assert_none(arena_dup(&a, SPAN_NONE));
	e = E_OK;
out:
	arena_release(&a);
	return e;
}

static void
arena_bears_torture(void **state UNUSED)
{
	torture(use_arena, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_end_in_a_nul),
		cmocka_unit_test(nothing_is_a_size),
		cmocka_unit_test(fails_from_the_nth_on),
		cmocka_unit_test(must_stops_the_process),
		cmocka_unit_test(must_gives_what_was_asked),
		cmocka_unit_test(arena_pieces_are_aligned_and_apart),
		cmocka_unit_test(arena_keeps_to_its_bound),
		cmocka_unit_test(arena_takes_few_blocks),
		cmocka_unit_test(arena_bears_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
