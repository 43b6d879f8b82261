/*
 * Looks at JSON text without building anything. json-c needs up to 270 times the text in memory and alters
 * numbers on the way; task arguments and results only pass through warren, so they are checked, bounded and
 * cut out of their message as raw slices.
 *
 * The dialect is RFC 8259 plus the bare tokens NaN, Infinity and -Infinity, which Python writes.
 */
#ifndef WARREN_BASE_JSCAN_H
#define WARREN_BASE_JSCAN_H

#include "base/buf.h"

struct jscan_limits {
	int depth_max;         /* nesting of arrays and objects; 0 = 64, never more than JSCAN_DEPTH_MAX */
	size_t containers_max; /* arrays and objects in all; 0 = no bound */
};
#define JSCAN_DEPTH_MAX 1024

struct jscan_facts {
	size_t containers;
	int depth;
	bool has_newline; /* a raw LF or CR between tokens: to be blanked before it goes into a line protocol */
	bool has_nonfinite; /* NaN or Infinity somewhere */
};

enum jscan_kind {
	JSCAN_NONE,
	JSCAN_NULL,
	JSCAN_TRUE,
	JSCAN_FALSE,
	JSCAN_NUMBER,
	JSCAN_STRING,
	JSCAN_ARRAY,
	JSCAN_OBJECT
};

/*
 * Checks that the text is exactly one JSON value (blanks around it allowed), valid UTF-8, within the limits. No
 * recursion, no allocation, time linear in the text. E_FORMAT (with the byte offset in t) or E_TOOBIG.
 */
enum err jscan_check(struct span text, const struct jscan_limits *lim, struct jscan_facts *facts,
	struct errtext *t) MUSTCHECK;

/* Kind of a checked value, by its first character; NaN and Infinity are numbers. JSCAN_NONE for an empty span. */
enum jscan_kind jscan_kind(struct span value);

/*
 * Walks the members of one array or object of *checked* text. Blanks around key and value are cut. On text that
 * is not JSON it stays within the span and ends early.
 */
struct jscan_iter {
	struct span rest;
	bool is_object;
	struct span key;   /* the raw text of the key without its quotes; SPAN_NONE in an array */
	struct span value; /* the raw text of the value */
};
/* false when the value is no container. */
bool jscan_begin(struct jscan_iter *it, struct span container);
bool jscan_next(struct jscan_iter *it);
/* Number of members. */
size_t jscan_count(struct span container);
/* The raw value of the last member named `key` (as json-c and Python: the last one wins); SPAN_NONE when absent. */
struct span jscan_member(struct span object, const char *key);

/* Decodes a checked string value (with its quotes) into out: escapes resolved, UTF-8, lone surrogates as U+FFFD. */
void jscan_add_string(struct buf *out, struct span string);
/* As above without a copy when there is no escape in it: *out borrows from `string`. false when there is one. */
bool jscan_plain_string(struct span string, struct span *out);
/* false when no number, not an integer, or out of range. */
bool jscan_int(struct span number, int64_t *out);
/* Takes NaN and Infinity; 1e999 is Infinity, as in Python. */
bool jscan_double(struct span number, double *out);

#endif
