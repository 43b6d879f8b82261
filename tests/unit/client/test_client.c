/* What the client does without servers: refusals in words, waiting, memory. With servers it is tested by tests/integration. */
#include "client/client.h"

#include "lib/t.h"
#include "lib/torture.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static struct client *
new_client(const char *broker, const char *backend)
{
	const char *urls[1] = { broker };
	struct client_conf conf = { .broker = { .urls = urls, .n_urls = broker != NULL },
		.backend = { .url = backend },
		.connect_ms = 2000 };
	struct client *c = NULL;
	struct errtext t;

	if (client_new(&c, &conf, &t) != E_OK)
		fail_msg("%s", t.text);
	return c;
}

/* A port of 127.0.0.1 on which nobody listens. With `listening` somebody does, and never answers. */
static int
take_port(int *listening)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	if (listening == NULL)
		close(fd);
	else {
		assert_int_equal(listen(fd, 5), 0);
		*listening = fd;
	}
	return ntohs(a.sin_port);
}

static void
expect_text(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("'%s' does not say '%s'", text, part);
}

static void
a_refused_connection_is_told_at_once(void **state)
{
	ms_t before = clock_mono_ms();
	struct errtext t;
	struct client *c;
	char url[100];

	(void)state;
	snprintf(url, sizeof(url), "amqp://guest:secret@127.0.0.1:%d//", take_port(NULL));
	c = new_client(url, NULL);
	assert_int_equal(client_connect_broker(c, &t), E_REFUSED);
	assert_true(clock_mono_ms() - before < 1500);
	expect_text(t.text, "cannot reach amqp://guest:**@127.0.0.1:");
	expect_text(t.text, "is RabbitMQ running?");
	assert_null(strstr(t.text, "secret"));
	client_free(c);
}

static void
a_silent_server_is_given_up(void **state)
{
	const char *urls[1];
	struct client_conf conf = { .broker = { .urls = urls, .n_urls = 1 }, .connect_ms = 100 };
	struct client *c;
	struct errtext t;
	char url[100];
	int fd;

	(void)state;
	snprintf(url, sizeof(url), "amqp://127.0.0.1:%d//", take_port(&fd));
	urls[0] = url;
	assert_ok(client_new(&c, &conf, &t));
	assert_int_equal(client_connect_broker(c, &t), E_TIMEOUT);
	expect_text(t.text, "cannot reach amqp://");
	client_free(c);
	close(fd);
}

static void
every_url_is_tried(void **state)
{
	char a[60], b[60];
	const char *urls[2] = { a, b };
	struct client_conf conf = { .broker = { .urls = urls, .n_urls = 2 }, .connect_ms = 5000 };
	struct client *c;
	struct errtext t;
	int second;

	(void)state;
	second = take_port(NULL);
	snprintf(a, sizeof(a), "amqp://127.0.0.1:%d//", take_port(NULL));
	snprintf(b, sizeof(b), "amqp://127.0.0.1:%d//", second);
	assert_ok(client_new(&c, &conf, &t));
	assert_int_equal(client_connect_broker(c, &t), E_REFUSED);
	snprintf(a, sizeof(a), ":%d/", second);
	expect_text(t.text, a);
	client_free(c);
}

static void
a_silent_url_leaves_time_for_the_next(void **state)
{
	char a[60], b[60];
	const char *urls[2] = { a, b };
	struct client_conf conf = { .broker = { .urls = urls, .n_urls = 2 }, .connect_ms = 200 };
	struct client *c;
	struct errtext t;
	int fd, second;

	(void)state;
	snprintf(a, sizeof(a), "amqp://127.0.0.1:%d//", take_port(&fd));
	second = take_port(NULL);
	snprintf(b, sizeof(b), "amqp://127.0.0.1:%d//", second);
	assert_ok(client_new(&c, &conf, &t));
	assert_int_equal(client_connect_broker(c, &t), E_REFUSED);
	snprintf(a, sizeof(a), ":%d/", second);
	expect_text(t.text, a);
	client_free(c);
	close(fd);
}

static void
nothing_is_queued_without_a_broker(void **state)
{
	const struct task_call call = { .name = SPAN("add") };
	struct client *c = new_client(NULL, NULL);
	uint32_t n, m;
	struct errtext t;

	(void)state;
	assert_int_equal(client_send(c, &call, SPAN(""), SPAN("q"), 0, NULL, NULL, &t), E_CONF);
	assert_int_equal(client_queue_info(c, SPAN("q"), &n, &m, &t), E_CONF);
	expect_text(t.text, "no broker is set");
	assert_int_equal(client_pending(c), 0);
	assert_ok(client_flush(c, &t));
	client_free(c);
}

static void
results_need_a_backend(void **state)
{
	struct client *c = new_client(NULL, "none");
	struct errtext t;
	char url[60];

	(void)state;
	assert_int_equal(client_result(c, SPAN("x"), NULL, NULL, &t), E_CONF);
	expect_text(t.text, "no result backend is set");
	assert_int_equal(client_wait(c, SPAN("x"), 10, NULL, NULL, &t), E_CONF);
	client_free(c);
	snprintf(url, sizeof(url), "redis://:secret@127.0.0.1:%d/0", take_port(NULL));
	c = new_client(NULL, url);
	assert_int_equal(client_result(c, SPAN("x"), NULL, NULL, &t), E_CLOSED);
	expect_text(t.text, "cannot reach redis://");
	assert_null(strstr(t.text, "secret"));
	client_free(c);
}

static void
wrong_urls_are_refused_at_the_start(void **state)
{
	const char *urls[1] = { "http://localhost//" };
	struct client_conf conf = { .broker = { .urls = urls, .n_urls = 1 } };
	struct errtext t = { "" };
	struct client *c;

	(void)state;
	assert_int_equal(client_new(&c, &conf, &t), E_CONF);
	assert_null(c);
	expect_text(t.text, "http");
}

static void
waiting_for_a_descriptor(void **state)
{
	struct client *c = new_client(NULL, NULL);
	struct errtext t;
	FILE *file;
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_ok(client_wait_fd(c, p[0], &t));
	assert_ok(client_wait_fd(c, p[0], &t));
	close(p[0]);
	close(p[1]);
	file = tmpfile();
	assert_non_null(file);
	assert_int_equal(client_wait_fd(c, fileno(file), &t), E_SYS);
	fclose(file);
	client_free(c);
}

static enum err
make_one(void *arg)
{
	static const char *const urls[1] = { "amqp://127.0.0.1:1//" };
	const struct client_conf conf = {
		.broker = { .urls = urls, .n_urls = 1 },
		.backend = { .url = "redis://localhost", .key_prefix = "p" },
		.connect_ms = 2000,
	};
	struct client *c;
	enum err e = client_new(&c, &conf, NULL);

	(void)arg;
	if (e == E_OK)
		client_free(c);
	return e;
}

static void
survives_an_empty_heap(void **state)
{
	(void)state;
	torture(make_one, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_connection_is_told_at_once),
		cmocka_unit_test(a_silent_server_is_given_up),
		cmocka_unit_test(every_url_is_tried),
		cmocka_unit_test(a_silent_url_leaves_time_for_the_next),
		cmocka_unit_test(nothing_is_queued_without_a_broker),
		cmocka_unit_test(results_need_a_backend),
		cmocka_unit_test(wrong_urls_are_refused_at_the_start),
		cmocka_unit_test(waiting_for_a_descriptor),
		cmocka_unit_test(survives_an_empty_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
