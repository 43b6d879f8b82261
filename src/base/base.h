/*
 * The only header every file may rely on: spans of bytes, attributes, small helpers, and the list of
 * libc calls that are banned because a better one of ours or of libc exists.
 */
#ifndef WARREN_BASE_BASE_H
#define WARREN_BASE_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* These declare names that are poisoned below, so they come before that. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MUSTCHECK __attribute__((warn_unused_result))
#define PRINTFLIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
/* clang-format off */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
/* clang-format on */

/* Milliseconds: a duration, or a time on the monotonic clock. */
typedef int64_t ms_t;
/* Microseconds since the Unix epoch, UTC. */
typedef int64_t us_t;

/* Bytes that somebody else owns. Not NUL-terminated. {NULL, 0} means "absent", {"", 0} "empty". */
struct span {
	const char *ptr;
	size_t len;
};

#define SPAN(literal) ((struct span){ (literal), sizeof(literal) - 1 })
#define SPAN_NONE ((struct span){ NULL, 0 })
/* For printf: "%.*s", SPAN_FMT(s). Cut at INT_MAX bytes. */
#define SPAN_FMT(s) (int)((s).len > 0x7fffffff ? 0x7fffffff : (s).len), ((s).ptr ? (s).ptr : "")

/* The span of a C string without its NUL; NULL gives SPAN_NONE. */
struct span span_of(const char *text);
bool span_eq(struct span a, struct span b);
bool span_is(struct span a, const char *text);
bool span_starts(struct span a, const char *prefix);
bool span_ends(struct span a, const char *suffix);
/* Cuts blanks (space, tab, CR, LF) from both ends. */
struct span span_trim(struct span a);
/* Splits *rest at the first `sep`: returns what is before it and moves *rest behind it. When there is no
 * `sep` left it returns all and sets *rest to SPAN_NONE; on SPAN_NONE it returns SPAN_NONE. */
struct span span_split(struct span *rest, char sep);

#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#undef gets
#undef atoi
#undef atol
#undef strtok
#undef gmtime
#undef localtime
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets atoi atol strtok gmtime localtime

#endif
