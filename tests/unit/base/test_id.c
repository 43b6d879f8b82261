#include "base/id.h"

#include "base/map.h"
#include "lib/t.h"

#include <sys/wait.h>
#include <unistd.h>

static void
ids_have_the_form_of_version_4(void **state UNUSED)
{
	char id[ID_UUID_LEN + 1];

	for (int i = 0; i < 1000; i++) {
		id_uuid4(id);
		assert_int_equal(strlen(id), ID_UUID_LEN);
		for (int k = 0; k < ID_UUID_LEN; k++) {
			if (k == 8 || k == 13 || k == 18 || k == 23)
				assert_int_equal(id[k], '-');
			else
				assert_non_null(strchr("0123456789abcdef", id[k]));
		}
		assert_int_equal(id[14], '4');
		assert_non_null(strchr("89ab", id[19]));
	}
}

static void
ids_do_not_repeat(void **state UNUSED)
{
	struct map m = { 0 };
	char id[ID_UUID_LEN + 1];

	for (int i = 0; i < 10000; i++) {
		id_uuid4(id);
		assert_null(map_get(&m, span_of(id)));
		assert_ok(map_set(&m, span_of(id), &m, NULL));
	}
	map_release(&m, NULL);
}

static void
a_forked_child_draws_its_own(void **state UNUSED)
{
	uint64_t ours, theirs = 0;
	int fds[2], status;
	pid_t pid;

	id_random_u64(); /* fills the block that a fork would copy */
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		theirs = id_random_u64();
		_exit(write(fds[1], &theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
	}
	ours = id_random_u64();
	assert_int_equal(read(fds[0], &theirs, sizeof(theirs)), sizeof(theirs));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_not_equal(ours, theirs);
	close(fds[0]);
	close(fds[1]);
}

static void
any_length_is_filled(void **state UNUSED)
{
	unsigned char all[2000] = { 0 }, some[2000];

	/* A byte that stays zero in 20 rounds was not written. */
	for (size_t n = 1; n < sizeof(some); n += 333) {
		memset(all, 0, sizeof(all));
		for (int round = 0; round < 20; round++) {
			id_random(some, n);
			for (size_t i = 0; i < n; i++)
				all[i] |= some[i];
		}
		for (size_t i = 0; i < n; i++)
			assert_int_not_equal(all[i], 0);
		assert_int_equal(all[n], 0);
	}
}

static void
a_seed_repeats_the_sequence(void **state UNUSED)
{
	char a[ID_UUID_LEN + 1], b[ID_UUID_LEN + 1], c[ID_UUID_LEN + 1];

	id_fake(42);
	id_uuid4(a);
	id_uuid4(c);
	id_fake(42);
	id_uuid4(b);
	id_fake(0);
	assert_string_equal(a, b);
	assert_string_not_equal(a, c);
	id_uuid4(c);
	assert_string_not_equal(a, c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_have_the_form_of_version_4),
		cmocka_unit_test(ids_do_not_repeat),
		cmocka_unit_test(a_forked_child_draws_its_own),
		cmocka_unit_test(any_length_is_filled),
		cmocka_unit_test(a_seed_repeats_the_sequence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
