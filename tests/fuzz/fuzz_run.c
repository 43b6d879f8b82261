/*
 * The runner protocol, from a stream: the first byte is the size of the pieces. The reader's lines are those that a plain
 * search finds; a frame that decodes is written again, and from then on its bytes stay the same.
 */
#include "fuzz.h"

#include "wire/routing.h"
#include "wire/run.h"

#include "base/alloc.h"

#define LINE_MAX_BYTES 2000

static const struct jscan_limits limits = { .depth_max = 64, .containers_max = 1000 };

static void
check_tasks(const struct run_frame *f, struct arena *a)
{
	struct run_tasks walk = { 0 };
	struct span name;

	while (run_next_task(f, &walk, a, &name))
		CHECK(name.len > 0);
}

/* What the worker reads of an answer is within what the wire can say. */
static void
check_routes(const struct run_frame *f, struct arena *a)
{
	struct routing_answer answer;
	struct errtext why = { "" };
	struct jscan_iter it;

	if (f->routes.ptr == NULL || !jscan_begin(&it, f->routes))
		return;
	while (jscan_next(&it)) {
		if (routing_read_answer(&answer, it.value, a, &why) != E_OK) {
			CHECK(why.text[0]);
			continue;
		}
		CHECK(answer.exchange.len <= 255 && answer.routing_key.len <= 255);
		CHECK(answer.exchange.len + answer.routing_key.len > 0);
		CHECK(answer.priority_plus1 >= 0 && answer.priority_plus1 <= 256);
		CHECK(answer.expiration_s == -1 || answer.expiration_s >= 0);
	}
}

static void
check_line(struct span line)
{
	struct errtext why = { "" };
	struct run_frame f;
	struct buf once, twice;
	struct arena a;

	arena_init(&a, 0);
	buf_init(&once, 0);
	buf_init(&twice, 0);
	if (run_decode(&f, line, &a, &limits, &why) != E_OK) {
		CHECK(why.text[0]);
	} else {
		if (f.type == RUN_HELLO)
			check_tasks(&f, &a);
		if (f.type == RUN_ROUTED)
			check_routes(&f, &a);
		run_encode(&once, &f);
		CHECK(once.err == E_OK && memchr(once.data, '\n', once.len) == once.data + once.len - 1);
		CHECK(run_decode(&f, buf_span(&once), &a, &limits, NULL) == E_OK);
		run_encode(&twice, &f);
		CHECK(span_eq(buf_span(&once), buf_span(&twice)));
	}
	buf_release(&once);
	buf_release(&twice);
	arena_release(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size }, stream, line, expected;
	size_t piece = size ? (size_t)data[0] + 1 : 1;
	struct run_reader r;
	enum err e = E_AGAIN;

	if (size) {
		rest.ptr++;
		rest.len--;
	}
	stream = rest;
	run_reader_init(&r, LINE_MAX_BYTES);
	while (rest.len && e == E_AGAIN) {
		if (piece > rest.len)
			piece = rest.len;
		CHECK(run_reader_feed(&r, (struct span){ rest.ptr, piece }) == E_OK);
		rest.ptr += piece;
		rest.len -= piece;
		while ((e = run_reader_next(&r, &line)) == E_OK) {
			expected = span_split(&stream, '\n');
			CHECK(span_eq(line, expected));
			check_line(line);
		}
	}
	if (e == E_TOOBIG)
		CHECK(span_split(&stream, '\n').len > LINE_MAX_BYTES);
	run_reader_release(&r);
	return 0;
}
