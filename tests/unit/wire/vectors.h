/* Reading tests/vectors, for the tests of wire/. Failures end the test. */
#ifndef TESTS_WIRE_VECTORS_H
#define TESTS_WIRE_VECTORS_H

/* cmocka wants these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include <cmocka.h>

#include "base/buf.h"
#include "wire/msg.h"

/* Calls `check` for every file of a folder under tests/vectors, in the order of their names; returns how
 * many there were. */
int vectors_each(const char *folder, void (*check)(const char *name, struct json_object *v));
/* Calls `check` for every line of a file, without its newline. */
int vectors_each_line(const char *file, void (*check)(const char *name, struct span line));

/* The text of a member; SPAN_NONE for null and when absent. */
struct span vector_text(struct json_object *v, const char *key);
/* The member itself; absent fails the test. */
struct json_object *vector_get(struct json_object *v, const char *key);
/* Properties, headers and body of a task vector; m is initialised. */
void vector_to_msg(struct json_object *v, struct msg *m);
/* Decodes a base64 member; out is not initialised. */
void vector_base64(struct json_object *v, const char *key, struct buf *out);

void assert_span_eq(const char *what, struct span got, struct span expected);
#define assert_span(got, text) assert_span_eq(#got, (got), span_of(text))

#endif
