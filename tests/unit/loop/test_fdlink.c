/* Descriptors over a socket: both ends are links of one loop. */
#include "fixture.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "loop/fdlink.h"

struct end {
	struct fdlink link;
	struct buf got;
	int fds[16];
	size_t n_fds;
	size_t at_first_data; /* descriptors that were there by then */
	int closed;
	bool close_on_fd;
};

static void
on_fd(void *owner, int fd)
{
	struct end *e = owner;

	e->fds[e->n_fds++] = fd;
	if (e->close_on_fd)
		fdlink_close(&e->link);
}

static void
on_data(void *owner, struct span bytes)
{
	struct end *e = owner;

	if (e->got.len == 0)
		e->at_first_data = e->n_fds;
	buf_add(&e->got, bytes);
}

static void
on_close(void *owner)
{
	((struct end *)owner)->closed++;
}

static const struct fdlink_ops ops = { .on_fd = on_fd, .on_data = on_data, .on_close = on_close };

static void
open_both(struct loop *l, struct end *a, struct end *b)
{
	struct errtext t;
	int pair[2];

	*a = *b = (struct end){ .closed = 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fdlink_open(&a->link, l, pair[0], &ops, a, &t), E_OK);
	assert_int_equal(fdlink_open(&b->link, l, pair[1], &ops, b, &t), E_OK);
}

static void
release(struct end *e)
{
	for (size_t i = 0; i < e->n_fds; i++)
		close(e->fds[i]);
	fdlink_close(&e->link);
	buf_release(&e->got);
}

static void
descriptors_come_before_their_bytes(void **state)
{
	struct end a, b;
	int pipes[2];
	char c = 0;

	open_both(*state, &a, &b);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(fdlink_send(&a.link, SPAN("one\n"), pipes, 2), E_OK);
	assert_int_equal(fdlink_send(&a.link, SPAN("two\n"), NULL, 0), E_OK);
	TURN_UNTIL(*state, b.got.len == 8);
	assert_int_equal(b.n_fds, 2);
	assert_int_equal(b.at_first_data, 2);
	/* The same pipe under new numbers, which no program that is started inherits. */
	assert_int_equal(write(b.fds[1], "x", 1), 1);
	assert_int_equal(read(pipes[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	assert_true(fcntl(b.fds[0], F_GETFD) & FD_CLOEXEC);
	close(pipes[0]);
	close(pipes[1]);
	release(&a);
	release(&b);
}

static void
a_peer_that_goes_is_told_once(void **state)
{
	struct end a, b;

	open_both(*state, &a, &b);
	release(&a);
	TURN_UNTIL(*state, b.closed == 1);
	loop_turn(*state, 0);
	assert_int_equal(b.closed, 1);
	assert_int_equal(fdlink_send(&b.link, SPAN("x"), NULL, 0), E_CLOSED);
	release(&b);
	assert_int_equal(fdlink_send(&b.link, SPAN("x"), NULL, 0), E_CLOSED);
}

static void
a_peer_that_does_not_read_is_no_wait(void **state)
{
	static char big[4096];
	struct end a, b;
	enum err e = E_OK;
	size_t sent = 0;

	open_both(*state, &a, &b);
	memset(big, 'x', sizeof(big));
	while (e == E_OK && sent < (64 << 20)) {
		e = fdlink_send(&a.link, (struct span){ big, sizeof(big) }, NULL, 0);
		sent += e == E_OK ? sizeof(big) : 0;
	}
	assert_int_equal(e, E_AGAIN);
	TURN_UNTIL(*state, b.got.len == sent);
	release(&a);
	release(&b);
}

static void
a_callback_may_close(void **state)
{
	struct end a, b;
	int fds[3] = { 0, 1, 2 };

	open_both(*state, &a, &b);
	b.close_on_fd = true;
	assert_int_equal(fdlink_send(&a.link, SPAN("x"), fds, 3), E_OK);
	TURN_UNTIL(*state, b.n_fds == 1);
	loop_turn(*state, 0);
	assert_int_equal(b.n_fds, 1);
	assert_int_equal(b.got.len, 0);
	release(&a);
	release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(descriptors_come_before_their_bytes),
		LOOP_TEST(a_peer_that_goes_is_told_once),
		LOOP_TEST(a_peer_that_does_not_read_is_no_wait),
		LOOP_TEST(a_callback_may_close),
	};

	return cmocka_run_group_tests_name("loop/fdlink", tests, NULL, NULL);
}
