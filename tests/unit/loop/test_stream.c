/* Streams over socketpairs, pipes and UNIX sockets; the test itself is the peer. */
#include "side.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"

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

static void
without_memory_the_descriptor_is_closed_all_the_same(void **state)
{
	struct stream *s;
	int sv[2];

	for (uint64_t i = 1; i <= 2; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		alloc_fail_after(i);
		assert_int_equal(stream_adopt(&s, *state, sv[0], &(struct stream_conf){ 0 }, &ops, NULL, NULL),
			E_NOMEM);
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
		LOOP_TEST(without_memory_the_descriptor_is_closed_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
