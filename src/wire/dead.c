/* See dead.h. The body is never touched, so that a replay sends what the producer sent. */
#include "wire/dead.h"

#include <stdio.h>

#include "base/text.h"

struct builder {
	struct msg *to;
	enum err err;
};

static void
set(struct builder *b, const char *key, struct span text)
{
	struct span copy;

	if (b->err != E_OK)
		return;
	copy = arena_dup(&b->to->arena, text.ptr != NULL ? text : SPAN(""));
	b->err = copy.ptr == NULL ? E_NOMEM : table_set(&b->to->headers, &b->to->arena, span_of(key), val_string(copy));
}

void
dead_queue_name(char out[256], struct span origin)
{
	snprintf(out, 256, DEAD_QUEUE_PREFIX "%.*s", SPAN_FMT(origin));
}

enum err
dead_encode(struct msg *to, const struct msg *original, const struct dead_letter *d)
{
	struct builder b = { .to = to };
	char when[TEXT_TIME_MAX];
	struct span key;

	b.err = msg_copy(to, original);
	if (b.err != E_OK)
		return b.err;
	msg_strip_deaths(to);
	/* A dead letter stays until somebody looks at it, also across a restart of the broker. */
	to->expiration = SPAN_NONE;
	to->delivery_mode = 2;
	to->has_headers = true;
	set(&b, "x-warren-reason", d->reason);
	set(&b, "x-warren-error", d->error);
	set(&b, "x-warren-queue", d->queue);
	set(&b, "x-warren-exchange", original->exchange);
	set(&b, "x-warren-host", d->host);
	set(&b, "x-warren-time", (struct span){ when, text_format_time(d->now, when) });
	if (b.err == E_OK)
		b.err = table_set(&to->headers, &to->arena, SPAN("x-warren-attempts"), val_int(d->attempts));
	to->exchange = SPAN(DEAD_EXCHANGE);
	key = arena_dup(&to->arena, d->queue);
	to->routing_key = key;
	return b.err == E_OK && key.ptr == NULL ? E_NOMEM : b.err;
}
