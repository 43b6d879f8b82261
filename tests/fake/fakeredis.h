/* A loop and a scripted Redis: the other end of a socketpair, where a test reads commands and writes replies. */
#ifndef WARREN_TESTS_FAKE_FAKEREDIS_H
#define WARREN_TESTS_FAKE_FAKEREDIS_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "loop/loop.h"

/* A Redis on a UNIX socket, so that reconnects can be played too. */
struct fake {
	struct loop *l;
	char path[64], url[128];
	int listener, fd;
	char got[65536];
	size_t len;
	char line[65536];
	struct span argv[16];
	size_t argc;
};

static inline void
fake_start(struct fake *f, struct loop *l)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	*f = (struct fake){ .l = l, .fd = -1 };
	snprintf(f->path, sizeof(f->path), "/tmp/warren-test-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	snprintf(f->path + strlen(f->path), sizeof(f->path) - strlen(f->path), "/s");
	snprintf(f->url, sizeof(f->url), "unix://%s", f->path);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", f->path);
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(f->listener, 8), 0);
}

static inline void
fake_stop(struct fake *f)
{
	if (f->fd >= 0)
		close(f->fd);
	close(f->listener);
	unlink(f->path);
	*strrchr(f->path, '/') = '\0';
	rmdir(f->path);
}

/* Reads what has arrived; true when it is (so far) exactly the text, which is then forgotten. */
static inline bool
fake_got(struct fake *f, const char *text)
{
	ssize_t n = f->fd < 0 ? -1 : recv(f->fd, f->got + f->len, sizeof(f->got) - 1 - f->len, MSG_DONTWAIT);

	if (n > 0)
		f->len += (size_t)n;
	f->got[f->len] = '\0';
	if (f->len != strlen(text) || memcmp(f->got, text, f->len) != 0)
		return false;
	f->len = 0;
	return true;
}

#define TURN_UNTIL(loop, cond) \
	do { \
		int64_t until_ = (int64_t)time(NULL) + 10; \
		while (!(cond)) { \
			if (time(NULL) > until_) \
				fail_msg("%s", "waited in vain for " #cond); \
			loop_turn((loop), 1); \
		} \
	} while (0)

static inline void
fake_expect(struct fake *f, const char *text)
{
	int64_t until = (int64_t)time(NULL) + 10;

	while (!fake_got(f, text)) {
		if (time(NULL) > until)
			fail_msg("expected:\n%s\ngot:\n%s", text, f->got);
		loop_turn(f->l, 1);
	}
}

static inline void
fake_say(struct fake *f, const char *text)
{
	assert_int_equal(write(f->fd, text, strlen(text)), strlen(text));
}

static inline void
fake_accept(struct fake *f)
{
	TURN_UNTIL(f->l, (f->fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	f->len = 0;
}

static inline void
fake_drop(struct fake *f)
{
	close(f->fd);
	f->fd = -1;
}

/* The next command, its words joined by blanks, in f->line; the words themselves in f->argv. */
static inline bool
fake_take(struct fake *f)
{
	size_t pos = 0, out = 0;
	long n, len;
	char *end;

	(void)fake_got(f, "");
	if (f->len == 0 || f->got[0] != '*' || !(end = strstr(f->got, "\r\n")))
		return false;
	n = strtol(f->got + 1, NULL, 10);
	pos = (size_t)(end + 2 - f->got);
	f->argc = 0;
	for (long i = 0; i < n; i++) {
		if (pos >= f->len || !(end = strstr(f->got + pos, "\r\n")))
			return false;
		len = strtol(f->got + pos + 1, NULL, 10);
		pos = (size_t)(end + 2 - f->got);
		if (pos + (size_t)len + 2 > f->len)
			return false;
		assert_true(out + (size_t)len + 2 < sizeof(f->line) && f->argc < ARRAY_LEN(f->argv));
		f->argv[f->argc++] = (struct span){ f->line + out, (size_t)len };
		memcpy(f->line + out, f->got + pos, (size_t)len);
		out += (size_t)len;
		f->line[out++] = ' ';
		pos += (size_t)len + 2;
	}
	f->line[out - 1] = '\0';
	f->len -= pos;
	memmove(f->got, f->got + pos, f->len + 1);
	return true;
}

/* Waits for a command that begins so. */
static inline void
fake_command(struct fake *f, const char *words)
{
	TURN_UNTIL(f->l, fake_take(f));
	if (strncmp(f->line, words, strlen(words)) != 0)
		fail_msg("expected: %s\ngot: %s", words, f->line);
}

#define HELLO "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$6\r\nwarren\r\n"

static inline void
fake_hello(struct fake *f)
{
	fake_accept(f);
	fake_expect(f, HELLO);
	fake_say(f, "+OK\r\n");
}

static inline int
fixture_loop(void **state)
{
	*state = loop_new(NULL);
	return *state ? 0 : -1;
}

static inline int
fixture_loop_free(void **state)
{
	clock_real();
	id_fake(0);
	loop_free(*state);
	return 0;
}

#define LOOP_TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_loop, fixture_loop_free)

#endif
