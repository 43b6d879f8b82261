/*
 * Writing JSON, in the form Python writes it (", " and ": ", ASCII with \u escapes), so that what warren
 * stores is byte for byte what a Celery peer would have stored. Commas are put by the writer.
 */
#ifndef WARREN_BASE_JS_H
#define WARREN_BASE_JS_H

#include "base/buf.h"

struct js {
	struct buf *b;
	bool need_comma;
	bool compact; /* "," and ":" instead of ", " and ": " */
};

void js_init(struct js *w, struct buf *b);
void js_object(struct js *w);
void js_object_end(struct js *w);
void js_array(struct js *w);
void js_array_end(struct js *w);
/* The key is plain ASCII without quotes or backslashes; for others use js_key_span. */
void js_key(struct js *w, const char *key);
void js_key_span(struct js *w, struct span key);
/* SPAN_NONE writes null. Invalid UTF-8 becomes U+FFFD. */
void js_string(struct js *w, struct span s);
void js_text(struct js *w, const char *s); /* NULL writes null */
void js_int(struct js *w, int64_t i);
/* As Python's repr: shortest text that reads back the same, "1.0" for 1; NaN and Infinity as Python writes them. */
void js_double(struct js *w, double d);
void js_bool(struct js *w, bool v);
void js_null(struct js *w);
/* JSON text as it is; SPAN_NONE or empty writes null. */
void js_raw(struct js *w, struct span json);

/* Only the escaped string with its quotes. */
void js_add_string(struct buf *b, struct span s);

#endif
