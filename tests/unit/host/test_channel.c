#include "host/channel.h"

#include "lib/t.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct pair {
	struct channel c;
	int worker;
};

static int
setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_ok(channel_init(&p->c, fds[0], NULL));
	p->worker = fds[1];
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct pair *p = *state;
	int fd = p->c.fd;

	channel_release(&p->c);
	close(fd);
	if (p->worker >= 0)
		close(p->worker);
	free(p);
	return 0;
}

static void
put(struct pair *p, const char *text)
{
	assert_int_equal(write(p->worker, text, strlen(text)), strlen(text));
}

static void
lines_are_cut_from_what_arrives(void **state)
{
	struct pair *p = *state;
	struct span line;

	put(p, "one\n\nthree\nfo");
	assert_ok(channel_read(&p->c, &line, NULL));
	assert_span(line, "one");
	assert_ok(channel_read(&p->c, &line, NULL));
	assert_span(line, "");
	assert_ok(channel_read(&p->c, &line, NULL));
	assert_span(line, "three");
	put(p, "ur\n");
	assert_ok(channel_read(&p->c, &line, NULL));
	assert_span(line, "four");
}

static void
a_worker_that_is_gone_closes_both_ways(void **state)
{
	struct pair *p = *state;
	const struct run_frame f = { .type = RUN_DONE, .id = SPAN("a"), .outcome = RUN_IGNORE };
	struct errtext t;
	struct span line;

	put(p, "torn");
	close(p->worker);
	p->worker = -1;
	assert_int_equal(channel_read(&p->c, &line, &t), E_CLOSED);
	assert_int_equal(channel_send(&p->c, &f, &t), E_CLOSED); /* and no SIGPIPE */
	assert_string_equal(t.text, "the worker has gone");
}

static void
a_cancel_that_is_next_is_taken(void **state)
{
	struct pair *p = *state;
	struct span line;

	put(p, "run a\n{\"cancel\":{\"id\":\"a\",\"reason\":null}}\nrun b\n");
	assert_ok(channel_read(&p->c, &line, NULL));
	assert_false(channel_take_cancel(&p->c, SPAN("b")));
	assert_true(channel_take_cancel(&p->c, SPAN("a")));
	assert_false(channel_take_cancel(&p->c, SPAN("a")));
	/* What was looked at and not taken is still there. */
	assert_ok(channel_read(&p->c, &line, NULL));
	assert_span(line, "run b");
	assert_false(channel_take_cancel(&p->c, SPAN("b")));
}

static void
peeking_takes_nothing_and_never_waits(void **state)
{
	struct pair *p = *state;
	struct span line;

	assert_false(channel_peek_cancel(&p->c, SPAN("a")));
	put(p, "{\"cancel\":{\"id\":\"b\"}}\n{\"cancel\":{\"id\":\"a\"}}");
	assert_false(channel_peek_cancel(&p->c, SPAN("a"))); /* not whole yet */
	put(p, "\n");
	assert_true(channel_peek_cancel(&p->c, SPAN("a")));
	assert_true(channel_peek_cancel(&p->c, SPAN("b")));
	assert_false(channel_peek_cancel(&p->c, SPAN("c")));
	assert_ok(channel_read(&p->c, &line, NULL));
	assert_span(line, "{\"cancel\":{\"id\":\"b\"}}");
}

/* A reader that keeps the writer waiting, with signals in between. */
static void
long_frames_survive_full_sockets_and_signals(void **state)
{
	struct pair *p = *state;
	struct sigaction sa = { .sa_handler = SIG_IGN };
	size_t len = 3u << 20, got = 0;
	char *text = malloc(len), piece[5000];
	struct run_frame f = {
		.type = RUN_DONE, .id = SPAN("a"), .outcome = RUN_RESULT, .result = { text, len }
	};
	int status;
	ssize_t n;
	pid_t pid;

	memset(text, 'x', len);
	text[0] = text[len - 1] = '"';
	pid = fork();
	if (pid == 0) {
		/* The fork has closed the channel here; only the worker's end is left. */
		if (p->c.fd != -1 || channel_peek_cancel(&p->c, SPAN("a")))
			_exit(2);
		while ((n = read(p->worker, piece, sizeof(piece))) > 0) {
			got += (size_t)n;
			kill(getppid(), SIGUSR1);
			if (piece[n - 1] == '\n')
				break;
		}
		_exit(got == len + strlen("{\"done\":{\"id\":\"a\",\"result\":}}\n") ? 0 : 1);
	}
	sigaction(SIGUSR1, &sa, NULL);
	assert_ok(channel_send(&p->c, &f, NULL));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(p->c.out.cap <= 1u << 20); /* the memory went back */
	free(text);
}

static void
only_a_socket_is_a_channel(void **state UNUSED)
{
	struct channel c;
	struct errtext t;
	int fd = open("/dev/null", O_RDWR);

	assert_int_equal(channel_init(&c, fd, &t), E_CONF);
	assert_non_null(strstr(t.text, "is not a socket"));
	channel_release(&c);
	close(fd);
	assert_int_equal(channel_init(&c, fd, &t), E_SYS);
	channel_release(&c);
}

static void
programs_do_not_inherit_it(void **state)
{
	struct pair *p = *state;

	assert_true(fcntl(p->c.fd, F_GETFD) & FD_CLOEXEC);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_are_cut_from_what_arrives, setup, teardown),
		cmocka_unit_test_setup_teardown(a_worker_that_is_gone_closes_both_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cancel_that_is_next_is_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(peeking_takes_nothing_and_never_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(long_frames_survive_full_sockets_and_signals, setup, teardown),
		cmocka_unit_test(only_a_socket_is_a_channel),
		cmocka_unit_test_setup_teardown(programs_do_not_inherit_it, setup, teardown),
	};

	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
