/* See fail.h. The points are few and their list is short, so each passing looks through all of it. */
#include "base/fail.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "base/text.h"

#define FAILS_MAX 16

enum fail_action { FAIL_KILL9, FAIL_STOP, FAIL_ABORT, FAIL_SLEEP, FAIL_GIVE_ERRNO };

struct fail {
	struct span point;
	enum fail_action action;
	int64_t value; /* milliseconds, or an errno */
	int64_t nth, passed;
};

static struct fail fails[FAILS_MAX];
static size_t n_fails;
static bool is_read;

static void
refuse(struct span text)
{
	fprintf(stderr, "WARREN_FAIL: \"%.*s\" is not point:action[:nth]\n", SPAN_FMT(text));
	_exit(2);
}

static bool
read_errno(struct span text, int64_t *out)
{
	static const struct {
		const char *name;
		int value;
	} names[] = {
		{ "EAGAIN", EAGAIN },
		{ "ENOMEM", ENOMEM },
		{ "EMFILE", EMFILE },
		{ "ENFILE", ENFILE },
		{ "ENOSPC", ENOSPC },
		{ "EIO", EIO },
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_is(text, names[i].name)) {
			*out = names[i].value;
			return true;
		}
	return text_parse_int(text, out) && *out > 0;
}

static bool
read_action(struct span text, struct fail *f)
{
	struct span rest = text, name = span_split(&rest, '=');

	if (span_is(text, "kill9"))
		f->action = FAIL_KILL9;
	else if (span_is(text, "stop"))
		f->action = FAIL_STOP;
	else if (span_is(text, "abort"))
		f->action = FAIL_ABORT;
	else if (span_is(name, "sleep") && text_parse_int(rest, &f->value) && f->value >= 0)
		f->action = FAIL_SLEEP;
	else if (span_is(name, "errno") && read_errno(rest, &f->value))
		f->action = FAIL_GIVE_ERRNO;
	else
		return false;
	return true;
}

static void
read_variable(void)
{
	const char *text = getenv("WARREN_FAIL");
	struct span all = span_of(text != NULL ? text : "");

	is_read = true;
	while (all.len > 0) {
		struct span one = span_split(&all, ','), rest = one;
		struct fail *f = &fails[n_fails];

		if (n_fails == FAILS_MAX)
			refuse(one);
		*f = (struct fail){ .point = span_split(&rest, ':'), .nth = 1 };
		if (f->point.len == 0 || !read_action(span_split(&rest, ':'), f))
			refuse(one);
		if (rest.len > 0 && (!text_parse_int(rest, &f->nth) || f->nth < 1))
			refuse(one);
		n_fails++;
	}
}

/* What this passing of the point is to do, NULL = nothing. */
static const struct fail *
pass(const char *point, bool gives_errno)
{
	const struct fail *found = NULL;

	if (!is_read)
		read_variable();
	for (size_t i = 0; i < n_fails; i++) {
		struct fail *f = &fails[i];

		if (span_is(f->point, point) && (f->action == FAIL_GIVE_ERRNO) == gives_errno &&
			++f->passed == f->nth)
			found = f;
	}
	return found;
}

void
fail_at(const char *point)
{
	const struct fail *f = pass(point, false);

	if (f == NULL)
		return;
	fprintf(stderr, "failpoint %s\n", point);
	switch (f->action) {
	case FAIL_KILL9:
		kill(getpid(), SIGKILL);
		break;
	case FAIL_STOP:
		kill(getpid(), SIGSTOP);
		break;
	case FAIL_ABORT:
		abort();
	case FAIL_SLEEP:
		usleep((useconds_t)f->value * 1000);
		break;
	case FAIL_GIVE_ERRNO:
		break;
	}
}

int
fail_errno(const char *point)
{
	const struct fail *f = pass(point, true);

	if (f == NULL)
		return 0;
	fprintf(stderr, "failpoint %s\n", point);
	return (int)f->value;
}
