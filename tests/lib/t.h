/* What cmocka wants included before itself, and comparisons of spans and buffers. Include it last. */
#ifndef WARREN_TESTS_T_H
#define WARREN_TESTS_T_H

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* That the span holds exactly this text; shows both when it does not. */
static inline void
t_span(struct span s, const char *text, const char *file, int line)
{
	if (s.ptr && span_is(s, text))
		return;
	print_error("\"%.*s\" is not \"%s\"\n", SPAN_FMT(s), text);
	_fail(file, line);
}

/* As above for a buffer, which is empty afterwards. */
static inline void
t_buf(struct buf *b, const char *text, const char *file, int line)
{
	if (b->err != E_OK) {
		print_error("the buffer failed: %s\n", err_name(b->err));
		_fail(file, line);
	}
	t_span(buf_span(b), text, file, line);
	buf_reset(b);
}

#define assert_span(s, text) t_span(s, text, __FILE__, __LINE__)
#define assert_buf(b, text) t_buf(b, text, __FILE__, __LINE__)
#define assert_none(s) assert_null((s).ptr)
#define assert_ok(e) assert_int_equal(e, E_OK)

#endif
