/* Streams over socketpairs, pipes and UNIX sockets; the test itself is the peer. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "loop/stream.h"

struct side {
	struct loop *l;
	struct stream *s;
	int fd; /* the peer's end */
	struct buf in;
	size_t pieces;
	int n_open, n_drain, n_close;
	enum err err;
	char why[512];
	bool close_on_data, pause_on_data, in_call;
	char *echo;
};

static void
on_open(void *p)
{
	struct side *x = p;

	assert_false(x->in_call);
	x->n_open++;
}

static void
on_data(void *p, struct span bytes)
{
	struct side *x = p;

	assert_false(x->in_call);
	assert_true(bytes.len > 0);
	buf_add(&x->in, bytes);
	x->pieces++;
	if (x->echo)
		assert_int_equal(stream_write(x->s, span_of(x->echo)), E_OK);
	if (x->pause_on_data)
		stream_pause(x->s, true);
	if (x->close_on_data) {
		stream_close(x->s);
		x->s = NULL;
	}
}

static void
on_drain(void *p)
{
	struct side *x = p;

	assert_false(x->in_call);
	x->n_drain++;
}

static void
on_close(void *p, enum err e, const char *why)
{
	struct side *x = p;

	assert_false(x->in_call);
	x->n_close++;
	x->err = e;
	snprintf(x->why, sizeof(x->why), "%s", why);
}

static const struct stream_ops ops = { on_open, on_data, on_drain, on_close };

static void
pair(struct side *x, struct loop *l, const struct stream_conf *conf)
{
	int sv[2];

	*x = (struct side){ .l = l };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	x->fd = sv[1];
	assert_int_equal(stream_adopt(&x->s, l, sv[0], conf, &ops, x, NULL), E_OK);
}

static void
done(struct side *x)
{
	stream_close(x->s);
	if (x->fd >= 0)
		close(x->fd);
	buf_release(&x->in);
	loop_turn(x->l, 0);
}

static void
say(const struct side *x, const char *text)
{
	assert_int_equal(write(x->fd, text, strlen(text)), strlen(text));
}

static void
hear(const struct side *x, const char *text)
{
	char got[256];
	ssize_t n = read(x->fd, got, sizeof(got));

	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

static void
bytes_come_in_as_they_are(void **state)
{
	struct side x;

	pair(&x, *state, &(struct stream_conf){ 0 });
	say(&x, "hello");
	loop_turn(x.l, -1);
	assert_true(span_is(buf_span(&x.in), "hello"));
	assert_int_equal(x.n_open, 0);
	done(&x);
}

static void
pieces_written_in_a_turn_leave_together(void **state)
{
	struct side x;

	pair(&x, *state, &(struct stream_conf){ 0 });
	x.echo = "pong ";
	assert_int_equal(stream_write(x.s, SPAN("one ")), E_OK);
	say(&x, "ping");
	/* Nothing leaves before the turn's end. */
	assert_int_equal(recv(x.fd, (char[8]){ 0 }, 8, MSG_DONTWAIT), -1);
	assert_int_equal(stream_pending(x.s), 4);
	loop_turn(x.l, -1);
	assert_int_equal(stream_pending(x.s), 0);
	hear(&x, "one pong ");
	done(&x);
}

static void
a_flush_does_not_wait_for_the_turns_end(void **state)
{
	struct side x;

	pair(&x, *state, &(struct stream_conf){ 0 });
	assert_int_equal(stream_write(x.s, SPAN("now")), E_OK);
	stream_flush(x.s);
	hear(&x, "now");
	done(&x);
}

static void
a_big_piece_arrives_whole_over_a_full_socket(void **state)
{
	struct side x;
	size_t size = 3 * 1024 * 1024, sum = 0;
	char *big = alloc_bytes(size), *got = alloc_bytes(size);
	ssize_t n;

	pair(&x, *state, &(struct stream_conf){ 0 });
	for (size_t i = 0; i < size; i++)
		big[i] = (char)(i * 7 + i / 251);
	assert_int_equal(stream_write(x.s, (struct span){ big, size }), E_OK);
	while (sum < size) {
		loop_turn(x.l, 0);
		n = recv(x.fd, got + sum, size - sum, MSG_DONTWAIT);
		assert_true(n > 0);
		sum += (size_t)n;
	}
	assert_memory_equal(big, got, size);
	assert_int_equal(stream_pending(x.s), 0);
	done(&x);
	alloc_free(big);
	alloc_free(got);
}

static void
one_turn_reads_a_bounded_piece(void **state)
{
	struct side x;
	const int room = 1024 * 1024;
	char *big = alloc_zero(400 * 1024);

	pair(&x, *state, &(struct stream_conf){ 0 });
	assert_int_equal(setsockopt(x.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
	assert_int_equal(fcntl(x.fd, F_SETFL, O_NONBLOCK), 0);
	assert_true(write(x.fd, big, 400 * 1024) > 128 * 1024);
	loop_turn(x.l, -1);
	assert_int_equal(x.pieces, 1);
	assert_true(x.in.len <= 128 * 1024);
	done(&x);
	alloc_free(big);
}

static void
the_queue_is_bounded_and_tells_when_there_is_room(void **state)
{
	struct side x;
	char *big = alloc_zero(1024 * 1024), sink[65536];

	pair(&x, *state, &(struct stream_conf){ .write_max = 4096 });
	/* An empty queue takes anything, or a large message could never be sent. */
	assert_int_equal(stream_write(x.s, (struct span){ big, 1024 * 1024 }), E_OK);
	assert_int_equal(stream_write(x.s, SPAN("x")), E_AGAIN);
	loop_turn(x.l, 0);
	assert_true(stream_pending(x.s) > 4096);
	assert_int_equal(x.n_drain, 0);
	while (x.n_drain == 0) {
		assert_true(recv(x.fd, sink, sizeof(sink), MSG_DONTWAIT) > 0 || errno == EAGAIN);
		loop_turn(x.l, 0);
	}
	assert_true(stream_pending(x.s) <= 2048);
	assert_int_equal(stream_write(x.s, SPAN("x")), E_OK);
	for (int i = 0; i < 5; i++)
		loop_turn(x.l, 0);
	assert_int_equal(x.n_drain, 1);
	done(&x);
	alloc_free(big);
}

static void
the_peers_end_comes_after_its_last_bytes(void **state)
{
	struct side x;

	pair(&x, *state, &(struct stream_conf){ 0 });
	say(&x, "bye");
	close(x.fd);
	x.fd = -1;
	TURN_UNTIL(x.l, x.n_close);
	assert_true(span_is(buf_span(&x.in), "bye"));
	assert_int_equal(x.err, E_CLOSED);
	assert_string_equal(x.why, "the peer closed the connection");
	assert_int_equal(stream_write(x.s, SPAN("x")), E_CLOSED);
	stream_flush(x.s);
	stream_pause(x.s, true);
	stream_pause(x.s, false);
	loop_turn(x.l, 0);
	assert_int_equal(x.n_close, 1);
	done(&x);
}

static void
last_words_are_read_after_a_failed_write(void **state)
{
	struct side x;

	pair(&x, *state, &(struct stream_conf){ 0 });
	say(&x, "403 go away");
	close(x.fd);
	x.fd = -1;
	assert_int_equal(stream_write(x.s, SPAN("too late")), E_OK);
	x.in_call = true;
	stream_flush(x.s);
	x.in_call = false;
	assert_int_equal(stream_write(x.s, SPAN("x")), E_CLOSED);
	assert_int_equal(x.n_close, 0);
	TURN_UNTIL(x.l, x.n_close);
	assert_true(span_is(buf_span(&x.in), "403 go away"));
	assert_int_equal(x.err, E_CLOSED);
	done(&x);
}

static void
a_failed_write_ends_the_stream_even_if_nothing_more_is_said(void **state)
{
	struct side x;

	clock_fake(1000, 1);
	pair(&x, *state, &(struct stream_conf){ 0 });
	assert_int_equal(shutdown(x.fd, SHUT_RD), 0);
	assert_int_equal(stream_write(x.s, SPAN("nobody listens")), E_OK);
	loop_turn(x.l, 0);
	assert_int_equal(x.n_close, 0);
	clock_fake(2 * 1000 * 1000, 1);
	loop_turn(x.l, 0);
	assert_int_equal(x.n_close, 1);
	assert_int_equal(x.err, E_CLOSED);
	assert_string_equal(x.why, strerror(EPIPE));
	done(&x);
}

static void
closing_inside_a_callback_is_fine(void **state)
{
	struct side x;

	pair(&x, *state, &(struct stream_conf){ 0 });
	x.close_on_data = true;
	x.echo = "never sent";
	say(&x, "go");
	loop_turn(x.l, -1);
	assert_int_equal(x.pieces, 1);
	assert_null(x.s);
	assert_int_equal(read(x.fd, (char[1]){ 0 }, 1), 0);
	assert_int_equal(x.n_close, 0);
	done(&x);
}

static void
a_paused_stream_reads_nothing(void **state)
{
	struct side x;

	pair(&x, *state, &(struct stream_conf){ 0 });
	x.pause_on_data = true;
	say(&x, "one");
	loop_turn(x.l, -1);
	say(&x, "two");
	loop_turn(x.l, 0);
	assert_true(span_is(buf_span(&x.in), "one"));
	stream_pause(x.s, false);
	loop_turn(x.l, 0);
	assert_true(span_is(buf_span(&x.in), "onetwo"));
	done(&x);
}

static void
a_silent_peer_is_given_up_after_idle_ms(void **state)
{
	struct side x;

	clock_fake(0, 1);
	pair(&x, *state, &(struct stream_conf){ .idle_ms = 1000 });
	clock_fake(900 * 1000, 1);
	say(&x, "alive");
	loop_turn(x.l, 0);
	clock_fake(1899 * 1000, 1);
	loop_turn(x.l, 0);
	assert_int_equal(x.n_close, 0);
	/* What has arrived counts, even if it is read only when the deadline has passed: a stopped process must not blame its peer. */
	say(&x, "still here");
	clock_fake(5000 * 1000, 1);
	loop_turn(x.l, 0);
	assert_int_equal(x.n_close, 0);
	clock_fake(6000 * 1000, 1);
	loop_turn(x.l, 0);
	assert_int_equal(x.n_close, 1);
	assert_int_equal(x.err, E_TIMEOUT);
	assert_string_equal(x.why, "nothing was heard from the peer");
	done(&x);
}

static void
idle_may_be_set_later_and_does_not_count_while_paused(void **state)
{
	struct side x;

	clock_fake(0, 1);
	pair(&x, *state, &(struct stream_conf){ 0 });
	stream_pause(x.s, true);
	stream_set_idle(x.s, 100);
	clock_fake(500 * 1000, 1);
	loop_turn(x.l, 0);
	assert_int_equal(x.n_close, 0);
	stream_pause(x.s, false);
	clock_fake(599 * 1000, 1);
	loop_turn(x.l, 0);
	assert_int_equal(x.n_close, 0);
	clock_fake(600 * 1000, 1);
	loop_turn(x.l, 0);
	assert_int_equal(x.n_close, 1);
	done(&x);
}

static void
a_peer_that_takes_nothing_is_given_up_after_write_ms(void **state)
{
	struct side x;
	char *big = alloc_zero(4 * 1024 * 1024), sink[65536];

	clock_fake(0, 1);
	pair(&x, *state, &(struct stream_conf){ .write_ms = 1000 });
	assert_int_equal(stream_write(x.s, (struct span){ big, 4 * 1024 * 1024 }), E_OK);
	loop_turn(x.l, 0);
	/* As long as some of it leaves, the deadline moves. */
	for (int i = 1; i <= 3; i++) {
		for (int k = 0; k < 8; k++)
			assert_true(recv(x.fd, sink, sizeof(sink), MSG_DONTWAIT) > 0 || errno == EAGAIN);
		clock_fake(i * 900 * 1000, 1);
		loop_turn(x.l, 0);
		assert_int_equal(x.n_close, 0);
	}
	clock_fake(3699 * 1000, 1);
	loop_turn(x.l, 0);
	assert_int_equal(x.n_close, 0);
	clock_fake(3701 * 1000, 1);
	loop_turn(x.l, 0);
	assert_int_equal(x.n_close, 1);
	assert_int_equal(x.err, E_TIMEOUT);
	assert_string_equal(x.why, "the peer takes no more data");
	done(&x);
	alloc_free(big);
}

static void
finish_writes_what_waits_and_then_closes(void **state)
{
	struct side x;
	size_t size = 1024 * 1024, sum = 0;
	char *big = alloc_zero(size), sink[65536];
	ssize_t n;

	pair(&x, *state, &(struct stream_conf){ 0 });
	assert_int_equal(stream_write(x.s, (struct span){ big, size }), E_OK);
	stream_finish(x.s, 5000);
	x.s = NULL;
	say(&x, "to nobody");
	do {
		loop_turn(x.l, 0);
		n = recv(x.fd, sink, sizeof(sink), MSG_DONTWAIT);
		sum += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EAGAIN));
	assert_int_equal(n, 0);
	assert_int_equal(sum, size);
	assert_int_equal(x.pieces + (size_t)x.n_close, 0);
	done(&x);
	alloc_free(big);
}

static void
finish_gives_up_after_its_time(void **state)
{
	struct side x;
	char *big = alloc_zero(4 * 1024 * 1024);

	clock_fake(0, 1);
	pair(&x, *state, &(struct stream_conf){ 0 });
	assert_int_equal(stream_write(x.s, (struct span){ big, 4 * 1024 * 1024 }), E_OK);
	stream_finish(x.s, 300);
	x.s = NULL;
	clock_fake(299 * 1000, 1);
	loop_turn(x.l, 0);
	/* Still open: the socket is writable from our side. */
	assert_int_equal(send(x.fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), 1);
	clock_fake(300 * 1000, 1);
	loop_turn(x.l, 0);
	assert_int_equal(send(x.fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), -1);
	assert_int_equal(x.n_close, 0);
	done(&x);
	alloc_free(big);
}

static void
a_pipe_is_a_stream_too(void **state)
{
	struct side x = { .l = *state };
	int p[2];

	assert_int_equal(pipe(p), 0);
	x.fd = p[1];
	assert_int_equal(stream_adopt(&x.s, x.l, p[0], &(struct stream_conf){ 0 }, &ops, &x, NULL), E_OK);
	say(&x, "line\n");
	loop_turn(x.l, -1);
	assert_true(span_is(buf_span(&x.in), "line\n"));
	close(x.fd);
	x.fd = -1;
	TURN_UNTIL(x.l, x.n_close);
	assert_int_equal(x.err, E_CLOSED);
	done(&x);
}

static void
the_writing_end_of_a_pipe_too(void **state)
{
	struct side x = { .l = *state };
	int p[2];

	assert_int_equal(pipe(p), 0);
	x.fd = p[0];
	assert_int_equal(stream_adopt(&x.s, x.l, p[1], &(struct stream_conf){ 0 }, &ops, &x, NULL), E_OK);
	assert_int_equal(stream_write(x.s, SPAN("down the pipe")), E_OK);
	loop_turn(x.l, 0);
	hear(&x, "down the pipe");
	close(x.fd);
	x.fd = -1;
	assert_int_equal(stream_write(x.s, SPAN("x")), E_OK);
	TURN_UNTIL(x.l, x.n_close);
	assert_int_equal(x.err, E_CLOSED);
	done(&x);
}

static void
what_cannot_be_watched_is_refused_and_closed(void **state)
{
	struct errtext t;
	struct stream *s = (struct stream *)1;
	int fd = open("/dev/null", O_RDONLY);

	assert_int_equal(stream_adopt(&s, *state, fd, &(struct stream_conf){ 0 }, &ops, NULL, &t), E_SYS);
	assert_null(s);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_non_null(strstr(t.text, "cannot be watched"));
}

/* A listening UNIX socket in a directory of its own. */
static int
listen_at(char path[64])
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(path, 64, "/tmp/warren-test-XXXXXX");
	assert_non_null(mkdtemp(path));
	snprintf(path + strlen(path), 64 - strlen(path), "/s");
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void
remove_path(char *path)
{
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
}

static void
a_unix_socket_is_dialled_and_early_writes_wait_for_it(void **state)
{
	struct side x = { .l = *state };
	char path[64];
	int listener = listen_at(path);

	x.in_call = true;
	assert_int_equal(stream_connect(&x.s, x.l, &(struct stream_conf){ .path = path }, &ops, &x, NULL), E_OK);
	assert_int_equal(stream_write(x.s, SPAN("early")), E_OK);
	x.in_call = false;
	TURN_UNTIL(x.l, x.n_open);
	x.fd = accept(listener, NULL, NULL);
	loop_turn(x.l, 0);
	hear(&x, "early");
	assert_int_equal(x.n_open, 1);
	done(&x);
	close(listener);
	remove_path(path);
}

static void
nobody_listening_is_told_apart_from_no_socket(void **state)
{
	struct side x = { .l = *state, .fd = -1 };
	char path[64];
	int listener = listen_at(path);

	close(listener);
	assert_int_equal(stream_connect(&x.s, x.l, &(struct stream_conf){ .path = path }, &ops, &x, NULL), E_OK);
	TURN_UNTIL(x.l, x.n_close);
	assert_int_equal(x.err, E_REFUSED);
	assert_string_equal(x.why, "cannot connect: Connection refused");
	stream_close(x.s);
	remove_path(path);
	x.n_close = 0;
	assert_int_equal(stream_connect(&x.s, x.l, &(struct stream_conf){ .path = "/nowhere/s" }, &ops, &x, NULL), E_OK);
	TURN_UNTIL(x.l, x.n_close);
	assert_int_equal(x.err, E_MISSING);
	done(&x);
}

static void
a_socket_path_that_is_too_long_is_a_wrong_setting(void **state)
{
	char path[200];
	struct errtext t;
	struct stream *s;

	memset(path, 'p', sizeof(path));
	path[199] = '\0';
	assert_int_equal(stream_connect(&s, *state, &(struct stream_conf){ .path = path }, &ops, NULL, &t), E_CONF);
	assert_null(s);
	assert_non_null(strstr(t.text, "too long"));
}

static void
a_refused_port_is_told_with_all_its_addresses(void **state)
{
	struct side x = { .l = *state, .fd = -1 };

	/* Port 1 of this machine: whoever listens there breaks this test. */
	assert_int_equal(stream_connect(&x.s, x.l, &(struct stream_conf){ .host = "127.0.0.1", .port = 1 }, &ops, &x, NULL), E_OK);
	TURN_UNTIL(x.l, x.n_close);
	assert_int_equal(x.err, E_REFUSED);
	assert_int_equal(x.n_open, 0);
	done(&x);
}

static void
a_name_that_does_not_exist_is_missing(void **state)
{
	struct side x = { .l = *state, .fd = -1 };

	/* A label of more than 63 letters: refused by the resolver itself, without a question to anybody. */
	assert_int_equal(stream_connect(&x.s, x.l,
				 &(struct stream_conf){ .host = "a-label-that-is-longer-than-the-sixty-three-letters-a-label-may-have.invalid",
					 .port = 1 },
				 &ops, &x, NULL),
		E_OK);
	TURN_UNTIL(x.l, x.n_close);
	assert_true(x.err == E_MISSING || x.err == E_SYS);
	assert_non_null(strstr(x.why, "cannot look up the name"));
	done(&x);
}

static void
localhost_is_looked_up_and_dialled(void **state)
{
	struct side x = { .l = *state, .fd = -1 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&in, &len), 0);
	assert_int_equal(stream_connect(&x.s, x.l, &(struct stream_conf){ .host = "localhost", .port = ntohs(in.sin_port) },
				 &ops, &x, NULL),
		E_OK);
	TURN_UNTIL(x.l, x.n_open);
	x.fd = accept(listener, NULL, NULL);
	say(&x, "tcp");
	TURN_UNTIL(x.l, x.in.len == 3);
	done(&x);
	close(listener);
}

static void
a_connect_that_takes_too_long_is_given_up(void **state)
{
	struct side x = { .l = *state, .fd = -1 };

	clock_fake(0, 1);
	/* The deadline passes before the answer of the resolver's thread is looked at. */
	assert_int_equal(stream_connect(&x.s, x.l, &(struct stream_conf){ .host = "localhost", .port = 1, .connect_ms = 50 }, &ops,
				 &x, NULL),
		E_OK);
	stream_close(x.s);
	assert_int_equal(stream_connect(&x.s, x.l, &(struct stream_conf){ .host = "192.0.2.1", .port = 1, .connect_ms = 50 }, &ops,
				 &x, NULL),
		E_OK);
	loop_turn(x.l, 0);
	clock_fake(50 * 1000, 1);
	TURN_UNTIL(x.l, x.n_close);
	/* Without any route the system says no at once. */
	assert_true(x.err == E_TIMEOUT || x.err == E_SYS);
	done(&x);
}

static void
without_memory_the_descriptor_is_closed_all_the_same(void **state)
{
	struct stream *s;
	int sv[2];

	for (uint64_t i = 1; i <= 2; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		alloc_fail_after(i);
		assert_int_equal(stream_adopt(&s, *state, sv[0], &(struct stream_conf){ 0 }, &ops, NULL, NULL), E_NOMEM);
		alloc_fail_after(0);
		assert_null(s);
		assert_int_equal(read(sv[1], (char[1]){ 0 }, 1), 0);
		close(sv[1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(bytes_come_in_as_they_are),
		LOOP_TEST(pieces_written_in_a_turn_leave_together),
		LOOP_TEST(a_flush_does_not_wait_for_the_turns_end),
		LOOP_TEST(a_big_piece_arrives_whole_over_a_full_socket),
		LOOP_TEST(one_turn_reads_a_bounded_piece),
		LOOP_TEST(the_queue_is_bounded_and_tells_when_there_is_room),
		LOOP_TEST(the_peers_end_comes_after_its_last_bytes),
		LOOP_TEST(last_words_are_read_after_a_failed_write),
		LOOP_TEST(a_failed_write_ends_the_stream_even_if_nothing_more_is_said),
		LOOP_TEST(closing_inside_a_callback_is_fine),
		LOOP_TEST(a_paused_stream_reads_nothing),
		LOOP_TEST(a_silent_peer_is_given_up_after_idle_ms),
		LOOP_TEST(idle_may_be_set_later_and_does_not_count_while_paused),
		LOOP_TEST(a_peer_that_takes_nothing_is_given_up_after_write_ms),
		LOOP_TEST(finish_writes_what_waits_and_then_closes),
		LOOP_TEST(finish_gives_up_after_its_time),
		LOOP_TEST(a_pipe_is_a_stream_too),
		LOOP_TEST(the_writing_end_of_a_pipe_too),
		LOOP_TEST(what_cannot_be_watched_is_refused_and_closed),
		LOOP_TEST(a_unix_socket_is_dialled_and_early_writes_wait_for_it),
		LOOP_TEST(nobody_listening_is_told_apart_from_no_socket),
		LOOP_TEST(a_socket_path_that_is_too_long_is_a_wrong_setting),
		LOOP_TEST(a_refused_port_is_told_with_all_its_addresses),
		LOOP_TEST(a_name_that_does_not_exist_is_missing),
		LOOP_TEST(localhost_is_looked_up_and_dialled),
		LOOP_TEST(a_connect_that_takes_too_long_is_given_up),
		LOOP_TEST(without_memory_the_descriptor_is_closed_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
