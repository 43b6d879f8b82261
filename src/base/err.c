/*
 * The words that go with an error code. They are written into the caller's `struct errtext`, never to a
 * stream: whoever handles the error decides whether it is logged, shown or sent on.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>

/* See err.h: they are macros only for who calls them. */
#undef err_set
#undef err_prefix
#undef err_sys

enum err
err_set(struct errtext *t, enum err e, const char *fmt, ...)
{
	va_list args;

	if (!t)
		return e;
	va_start(args, fmt);
	vsnprintf(t->text, sizeof(t->text), fmt, args);
	va_end(args);
	return e;
}

/* Puts ": more" behind the n characters that are there; n is what vsnprintf returned. */
static void
add_text(struct errtext *t, int n, const char *more)
{
	size_t at = n < 0 ? 0 : (size_t)n, room;

	if (at + 3 >= sizeof(t->text))
		return;
	memcpy(t->text + at, ": ", 2);
	at += 2;
	room = sizeof(t->text) - at - 1;
	room = strnlen(more, room);
	memcpy(t->text + at, more, room);
	t->text[at + room] = '\0';
}

enum err
err_sys(struct errtext *t, const char *fmt, ...)
{
	int saved = errno;
	char words[128];
	va_list args;
	int n;

	if (!t)
		return E_SYS;
	va_start(args, fmt);
	n = vsnprintf(t->text, sizeof(t->text), fmt, args);
	va_end(args);
	add_text(t, n, strerror_r(saved, words, sizeof(words)));
	errno = saved;
	return E_SYS;
}

enum err
err_prefix(struct errtext *t, enum err e, const char *fmt, ...)
{
	struct errtext old;
	va_list args;
	int n;

	if (!t)
		return e;
	old = *t;
	va_start(args, fmt);
	n = vsnprintf(t->text, sizeof(t->text), fmt, args);
	va_end(args);
	add_text(t, n, old.text);
	return e;
}

const char *
err_name(enum err e)
{
	static const char *const names[] = {
		[E_OK] = "ok",
		[E_NOMEM] = "out of memory",
		[E_TOOBIG] = "too big",
		[E_AGAIN] = "not now",
		[E_FORMAT] = "bad format",
		[E_CLOSED] = "closed",
		[E_TIMEOUT] = "timed out",
		[E_REFUSED] = "refused",
		[E_EXISTS] = "exists already",
		[E_MISSING] = "not found",
		[E_CONF] = "wrong setting",
		[E_SYS] = "system error",
	};

	if ((unsigned)e >= ARRAY_LEN(names))
		return "unknown error";
	return names[e];
}
