#include "base/log.h"

#include "base/clock.h"
#include "base/jscan.h"
#include "lib/t.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* 2026-11-21 02:56:00.651 UTC */
#define NOW INT64_C(1795229760651564)

static struct buf caught;
static enum log_id caught_id;

static void
on_line(void *owner, enum log_id id, const char *line)
{
	assert_ptr_equal(owner, &caught);
	caught_id = id;
	buf_reset(&caught);
	buf_adds(&caught, line);
}

static void
setup(bool json, enum log_level level, int fd)
{
	log_setup(&(struct log_conf){ .level = level, .json = json, .process = "worker", .fd = fd });
}

static int
start(void **state UNUSED)
{
	setenv("TZ", "UTC", 1);
	tzset();
	clock_fake(0, NOW);
	buf_init(&caught, 0);
	log_capture(on_line, &caught);
	setup(false, LOG_INFO, 2);
	return 0;
}

static int
end(void **state UNUSED)
{
	log_capture(NULL, NULL);
	buf_release(&caught);
	clock_real();
	return 0;
}

static void
the_sentence_is_filled_in(void **state UNUSED)
{
	LOG(TASK_SUCCEEDED, LOG_STR("task", "add"), LOG_STR("id", "4f1c"), LOG_SEC("runtime", 12000),
		LOG_STR("result", "5"));
	assert_int_equal(caught_id, LOG_ID_TASK_SUCCEEDED);
	assert_buf(&caught, "[2026-11-21 02:56:00,651: INFO/worker] Task add[4f1c] succeeded in 0.012s: 5");
	clock_fake(0, NOW + 1000000 + 3000);
	LOG(TASK_RECEIVED, LOG_SPAN("task", SPAN("add")), LOG_INT("id", -7));
	assert_buf(&caught, "[2026-11-21 02:56:01,654: INFO/worker] Task add[-7] received");
	/* What the call does not give is left to be seen. */
	LOG(TASK_RECEIVED);
	assert_buf(&caught, "[2026-11-21 02:56:01,654: INFO/worker] Task {task}[{id}] received");
}

static void
values_cannot_break_the_line(void **state UNUSED)
{
	static char large[20000];

	LOG(TASK_RECEIVED, LOG_STR("task", "a\nb\x1b[2J"), LOG_STR("id", "\xff{task}"));
	assert_buf(&caught, "[2026-11-21 02:56:00,651: INFO/worker] Task a\\nb\\x1b[2J[\\xff{task}] received");
	memset(large, 'x', sizeof(large) - 1);
	LOG(TASK_RECEIVED, LOG_STR("task", large), LOG_STR("id", ""));
	assert_in_range(caught.len, 8000, 9000);
	assert_non_null(strstr(buf_text(&caught), "x...[] received"));
}

static void
lines_stay_lines_and_end_is_kept(void **state UNUSED)
{
	static char large[40000];

	LOG(TASK_FAILED, LOG_STR("task", "t"), LOG_STR("id", "1"), LOG_STR("error", "E"),
		LOG_LINES("traceback", SPAN("File \"a\"\n  \x1b[2Jboom\n")));
	assert_buf(&caught,
		"[2026-11-21 02:56:00,651: ERROR/worker] Task t[1] raised unexpected: E\n"
		"File \"a\"\n  \\x1b[2Jboom");
	memset(large, 'x', sizeof(large) - 1);
	snprintf(large + sizeof(large) - 10, 10, "\nthe end!");
	for (int json = 0; json < 2; json++) {
		setup(json, LOG_INFO, 2);
		LOG(TASK_FAILED, LOG_LINES("traceback", span_of(large)));
		assert_true(caught.len < 40000);
		assert_non_null(strstr(buf_text(&caught), "nthe end!" + !json));
	}
}

static void
seconds_have_no_idle_zeros(void **state UNUSED)
{
	static const struct {
		int64_t us;
		const char *text;
	} rows[] = { { 0, "0s" }, { 1, "0.000001s" }, { 1000000, "1s" }, { 1500000, "1.5s" },
		{ -20500, "-0.0205s" } };
	char wanted[40];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		LOG(TASK_SUCCEEDED, LOG_SEC("runtime", rows[i].us));
		snprintf(wanted, sizeof(wanted), "in %s:", rows[i].text);
		assert_non_null(strstr(buf_text(&caught), wanted));
	}
}

static void
levels_below_are_silent(void **state UNUSED)
{
	enum log_level level;

	buf_reset(&caught);
	setup(false, LOG_ERROR, 2);
	assert_false(log_is_on(LOG_WARNING));
	assert_true(log_is_on(LOG_ERROR));
	LOG(TASK_RECEIVED);
	assert_int_equal(caught.len, 0);
	LOG(TASK_FAILED);
	assert_true(caught.len > 0);
	assert_true(log_parse_level(SPAN("Warning"), &level) && level == LOG_WARNING);
	assert_true(log_parse_level(SPAN("DEBUG"), &level) && level == LOG_DEBUG);
	assert_false(log_parse_level(SPAN("warn"), &level));
	assert_false(log_parse_level(SPAN(""), &level));
}

static void
json_has_each_field(void **state UNUSED)
{
	struct span line;

	setup(true, LOG_INFO, 2);
	LOG(TASK_SUCCEEDED, LOG_STR("task", "a\"\n"), LOG_INT("n", 3), LOG_SEC("runtime", 12000),
		LOG_SPAN("none", SPAN_NONE));
	line = buf_span(&caught);
	assert_ok(jscan_check(line, NULL, NULL, NULL));
	assert_span(jscan_member(line, "ts"), "\"2026-11-21T02:56:00.651564+00:00\"");
	assert_span(jscan_member(line, "level"), "\"info\"");
	assert_span(jscan_member(line, "event"), "\"task_succeeded\"");
	assert_span(jscan_member(line, "process"), "\"worker\"");
	assert_span(jscan_member(line, "task"), "\"a\\\"\\n\"");
	assert_span(jscan_member(line, "n"), "3");
	assert_span(jscan_member(line, "runtime"), "0.012");
	assert_span(jscan_member(line, "none"), "null");
	assert_non_null(strstr(buf_text(&caught), "\"message\": \"Task a\\\"\\\\n[{id}] succeeded in 0.012s"));
}

static void
colors_are_on_request(void **state UNUSED)
{
	log_setup(&(struct log_conf){ .level = LOG_INFO, .color = true, .fd = 2 });
	LOG(TASK_FAILED, LOG_STR("task", "t"));
	assert_true(span_starts(buf_span(&caught), "\033[31m[2026"));
	assert_true(span_ends(buf_span(&caught), "\033[0m"));
	assert_non_null(strstr(buf_text(&caught), "ERROR/main]"));
}

/* All that is in the pipe or socket now. */
static void
drain(int fd, struct buf *b)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	buf_reset(b);
	while (poll(&p, 1, 0) == 1) {
		n = read(fd, buf_room(b, 65536), 65536);
		assert_true(n > 0);
		buf_grew(b, (size_t)n);
	}
}

/* Fills the sink until lines are dropped, makes room, and expects the count of the lost ones. */
static void
check_full_sink(int reader, int writer)
{
	uint64_t before = log_dropped();
	char wanted[80];
	struct buf b;
	char *told, *last;

	buf_init(&b, 0);
	log_capture(NULL, NULL);
	setup(false, LOG_INFO, writer);
	for (int i = 0; i < 100000 && log_dropped() < before + 3; i++)
		LOG(TASK_RECEIVED, LOG_STR("task", "some.rather.long.name.of.a.task"), LOG_INT("id", i));
	assert_int_equal(log_dropped(), before + 3);
	assert_int_equal(
		fcntl(writer, F_GETFL) & O_NONBLOCK, 0); /* the others who have it open notice nothing */
	drain(reader, &b);
	LOG(TASK_RECEIVED, LOG_STR("task", "after"));
	LOG(TASK_RECEIVED, LOG_STR("task", "later"));
	assert_int_equal(log_dropped(), before + 3);
	drain(reader, &b);
	snprintf(wanted, sizeof(wanted), "WARNING/worker] %d log lines were dropped", 3);
	told = strstr(buf_text(&b), wanted);
	assert_non_null(told);
	last = strstr(told, "\n[2026-11-21 02:56:00,651: INFO/worker] Task after[");
	assert_non_null(last);
	assert_null(strstr(last, "dropped")); /* told once */
	assert_non_null(strstr(last, "Task later["));
	buf_release(&b);
}

static void
a_full_pipe_does_not_block(void **state UNUSED)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	check_full_sink(fds[0], fds[1]);
	close(fds[0]);
	close(fds[1]);
}

static void
a_full_socket_does_not_block(void **state UNUSED)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	check_full_sink(fds[0], fds[1]);
	close(fds[0]);
	close(fds[1]);
}

static void
a_file_gets_whole_lines(void **state UNUSED)
{
	char path[] = "/tmp/warren-test-log-XXXXXX", text[256];
	int fd = mkstemp(path);
	ssize_t n;

	assert_true(fd >= 0);
	unlink(path);
	log_capture(NULL, NULL);
	setup(false, LOG_INFO, fd);
	LOG(TASK_RECEIVED, LOG_STR("task", "a"), LOG_STR("id", "1"));
	LOG(TASK_RECEIVED, LOG_STR("task", "b"), LOG_STR("id", "2"));
	n = pread(fd, text, sizeof(text), 0);
	assert_true(n > 0);
	assert_span(((struct span){ text, (size_t)n }),
		"[2026-11-21 02:56:00,651: INFO/worker] Task a[1] received\n"
		"[2026-11-21 02:56:00,651: INFO/worker] Task b[2] received\n");
	close(fd);
}

static void
a_closed_sink_is_counted(void **state UNUSED)
{
	uint64_t before = log_dropped();
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	log_capture(NULL, NULL);
	setup(false, LOG_INFO, fds[1]);
	close(fds[0]);
	LOG(TASK_RECEIVED); /* a SIGPIPE would end the test */
	assert_int_equal(log_dropped(), before + 1);
	close(fds[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_sentence_is_filled_in, start, end),
		cmocka_unit_test_setup_teardown(values_cannot_break_the_line, start, end),
		cmocka_unit_test_setup_teardown(lines_stay_lines_and_end_is_kept, start, end),
		cmocka_unit_test_setup_teardown(seconds_have_no_idle_zeros, start, end),
		cmocka_unit_test_setup_teardown(levels_below_are_silent, start, end),
		cmocka_unit_test_setup_teardown(json_has_each_field, start, end),
		cmocka_unit_test_setup_teardown(colors_are_on_request, start, end),
		cmocka_unit_test_setup_teardown(a_full_pipe_does_not_block, start, end),
		cmocka_unit_test_setup_teardown(a_full_socket_does_not_block, start, end),
		cmocka_unit_test_setup_teardown(a_file_gets_whole_lines, start, end),
		cmocka_unit_test_setup_teardown(a_closed_sink_is_counted, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
