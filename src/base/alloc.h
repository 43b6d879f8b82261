/*
 * All heap memory of warren. One place, so that tests can make the n-th allocation fail (torture), and an
 * arena for things that live and die together, such as a message with its headers.
 */
#ifndef WARREN_BASE_ALLOC_H
#define WARREN_BASE_ALLOC_H

#include "base/base.h"

/* NULL when out of memory; n = 0 gives a pointer that may be freed. */
void *alloc_bytes(size_t n) MUSTCHECK;
void *alloc_zero(size_t n) MUSTCHECK;
#ifdef __clang_analyzer__
/* The analyser sees one file at a time: this tells it that the memory is zeroed. */
#define alloc_zero(n) __builtin_calloc(1, (n))
#endif
void *alloc_resize(void *p, size_t n) MUSTCHECK;
/* A NUL-terminated copy. NULL for SPAN_NONE and when out of memory. */
char *alloc_dup(struct span s) MUSTCHECK;
char *alloc_printf(const char *fmt, ...) MUSTCHECK PRINTFLIKE(1, 2);
void alloc_free(void *p);

/* For daemons and tools, where there is no better answer to an empty heap than to stop: aborts with a message. */
void *must_alloc(size_t n); /* zeroed */
void *must_resize(void *p, size_t n);
char *must_dup(struct span s); /* NULL for SPAN_NONE */
char *must_printf(const char *fmt, ...) PRINTFLIKE(1, 2);

/* Torture: the nth allocation from now (1 = the next) and all later ones fail; 0 switches it off. */
void alloc_fail_after(uint64_t nth);
/* Allocations made so far by this process. */
uint64_t alloc_count(void);

/*
 * An arena hands out pieces of larger blocks; all are freed at once. `max` bounds the sum of what is handed
 * out, counted in multiples of 8 bytes; 0 = no bound.
 */
struct arena_block;
struct arena {
	struct arena_block *blocks;
	size_t used; /* handed out in all */
	size_t max;
	size_t first; /* of the first block, for those who know how little it will be; 0 = about 1 KiB */
};
void arena_init(struct arena *a, size_t max);
/* A zeroed arena is fine. It can be used again at once, with the same max. */
void arena_release(struct arena *a);
/* 8-byte aligned, not zeroed. NULL when out of memory or over max. */
void *arena_alloc(struct arena *a, size_t n) MUSTCHECK;
void *arena_zero(struct arena *a, size_t n) MUSTCHECK;
/* A copy in the arena, NUL-terminated (the NUL is not counted in len). ptr is NULL when out of memory, and for
 * SPAN_NONE. */
struct span arena_dup(struct arena *a, struct span s) MUSTCHECK;

#endif
