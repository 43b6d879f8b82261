/* Reading the members of small JSON objects in one walk. Private to wire/; everything here wants checked
 * text. */
#ifndef WARREN_WIRE_FIELD_H
#define WARREN_WIRE_FIELD_H

#include "base/alloc.h"
#include "base/jscan.h"

struct field {
	struct span key;
	struct span *value; /* raw; SPAN_NONE when absent */
};

/* Sets every value; of a key that stands twice the last one counts. */
void fields_get(struct span object, const struct field *fields, size_t n);
/* null becomes SPAN_NONE. */
struct span field_some(struct span value);
/* Text of a string, in `a` only when it has escapes. Absent and null give SPAN_NONE, other types E_FORMAT. */
enum err field_text(struct span value, struct arena *a, struct span *out) MUSTCHECK;
/* 1 or "transient", 2 or "persistent"; 0: anything else. */
int field_delivery_mode(struct span value);
/* "an object", "text": for messages to people. */
const char *field_kind_name(struct span value);
/* Writes a whole number of seconds without ".0", as the peers do that got it as an integer. */
struct js;
void field_add_seconds(struct js *w, double seconds);

#endif
