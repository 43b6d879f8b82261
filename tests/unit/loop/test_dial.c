/* Dialling: names, addresses and socket paths, and what goes wrong with them. */
#include "side.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/un.h>

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
	assert_int_equal(
		stream_connect(&x.s, x.l, &(struct stream_conf){ .path = path }, &ops, &x, NULL), E_OK);
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
	assert_int_equal(
		stream_connect(&x.s, x.l, &(struct stream_conf){ .path = path }, &ops, &x, NULL), E_OK);
	TURN_UNTIL(x.l, x.n_close);
	assert_int_equal(x.err, E_REFUSED);
	assert_string_equal(x.why, "cannot connect: Connection refused");
	stream_close(x.s);
	remove_path(path);
	x.n_close = 0;
	assert_int_equal(
		stream_connect(&x.s, x.l, &(struct stream_conf){ .path = "/nowhere/s" }, &ops, &x, NULL),
		E_OK);
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
	assert_int_equal(
		stream_connect(&s, *state, &(struct stream_conf){ .path = path }, &ops, NULL, &t), E_CONF);
	assert_null(s);
	assert_non_null(strstr(t.text, "too long"));
}

static void
a_refused_port_is_told_with_all_its_addresses(void **state)
{
	struct side x = { .l = *state, .fd = -1 };

	/* Port 1 of this machine: whoever listens there breaks this test. */
	assert_int_equal(stream_connect(&x.s, x.l, &(struct stream_conf){ .host = "127.0.0.1", .port = 1 },
				 &ops, &x, NULL),
		E_OK);
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
	assert_int_equal(
		stream_connect(&x.s, x.l,
			&(struct stream_conf){
				.host = "a-label-that-is-longer-than-the-sixty-three-letters-a-label-may-have.invalid",
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
	assert_int_equal(stream_connect(&x.s, x.l,
				 &(struct stream_conf){ .host = "localhost", .port = ntohs(in.sin_port) },
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
	assert_int_equal(stream_connect(&x.s, x.l,
				 &(struct stream_conf){ .host = "localhost", .port = 1, .connect_ms = 50 },
				 &ops, &x, NULL),
		E_OK);
	stream_close(x.s);
	assert_int_equal(stream_connect(&x.s, x.l,
				 &(struct stream_conf){ .host = "192.0.2.1", .port = 1, .connect_ms = 50 },
				 &ops, &x, NULL),
		E_OK);
	loop_turn(x.l, 0);
	clock_fake(50 * 1000, 1);
	TURN_UNTIL(x.l, x.n_close);
	/* Without any route the system says no at once. */
	assert_true(x.err == E_TIMEOUT || x.err == E_SYS);
	done(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(a_unix_socket_is_dialled_and_early_writes_wait_for_it),
		LOOP_TEST(nobody_listening_is_told_apart_from_no_socket),
		LOOP_TEST(a_socket_path_that_is_too_long_is_a_wrong_setting),
		LOOP_TEST(a_refused_port_is_told_with_all_its_addresses),
		LOOP_TEST(a_name_that_does_not_exist_is_missing),
		LOOP_TEST(localhost_is_looked_up_and_dialled),
		LOOP_TEST(a_connect_that_takes_too_long_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
