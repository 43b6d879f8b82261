/*
 * The heap, counted so that tests can make the n-th allocation fail, and arenas.
 *
 * An arena is a chain of blocks; pieces are cut from the first one. A piece that is large gets a block of its
 * own, linked behind the first, so that what is left of the first block stays in use:
 *
 *   arena.blocks -> [ piece | piece |  free  ] -> [ large piece ] -> [ older, full block ] -> NULL
 *
 * In a sanitizer build each piece has a block of its own, because the sanitizer can only see a step over the
 * end of a block.
 */
#include "base/alloc.h"

#include <stdarg.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ONE_EACH 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ONE_EACH 1
#endif
#endif
#ifndef ARENA_ONE_EACH
#define ARENA_ONE_EACH 0
#endif

enum {
	ARENA_FIRST = 1024 - 64, /* with its header and malloc's, the first block stays below 1 KiB */
	ARENA_LARGEST = 64 * 1024,
};

struct arena_block {
	struct arena_block *next;
	size_t used, cap;
	char data[] __attribute__((aligned(8)));
};

/* Plain loads and stores that merely must not tear: a lost count between threads hurts nobody, and an atomic
 * addition for each allocation would. */
static uint64_t n_allocs;
static uint64_t fail_at; /* value of n_allocs from which on allocations fail; 0 = never */

static bool
must_fail(void)
{
	uint64_t n = __atomic_load_n(&n_allocs, __ATOMIC_RELAXED) + 1;
	uint64_t limit = __atomic_load_n(&fail_at, __ATOMIC_RELAXED);

	__atomic_store_n(&n_allocs, n, __ATOMIC_RELAXED);
	return limit != 0 && n >= limit;
}

void
alloc_fail_after(uint64_t nth)
{
	uint64_t n = __atomic_load_n(&n_allocs, __ATOMIC_RELAXED);

	__atomic_store_n(&fail_at, nth ? n + nth : 0, __ATOMIC_RELAXED);
}

uint64_t
alloc_count(void)
{
	return __atomic_load_n(&n_allocs, __ATOMIC_RELAXED);
}

void *
alloc_bytes(size_t n)
{
	return must_fail() ? NULL : malloc(n ? n : 1);
}

#undef alloc_zero
void *
alloc_zero(size_t n)
{
	return must_fail() ? NULL : calloc(1, n ? n : 1);
}

void *
alloc_resize(void *p, size_t n)
{
	return must_fail() ? NULL : realloc(p, n ? n : 1);
}

char *
alloc_dup(struct span s)
{
	char *copy;

	if (!s.ptr || s.len == SIZE_MAX)
		return NULL;
	copy = alloc_bytes(s.len + 1);
	if (!copy)
		return NULL;
	memcpy(copy, s.ptr, s.len);
	copy[s.len] = '\0';
	return copy;
}

static char *alloc_vprintf(const char *fmt, va_list args) PRINTFLIKE(1, 0);

static char *
alloc_vprintf(const char *fmt, va_list args)
{
	va_list again;
	char *text = NULL;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, args);
	if (n >= 0)
		text = alloc_bytes((size_t)n + 1);
	if (text)
		vsnprintf(text, (size_t)n + 1, fmt, again);
	va_end(again);
	return text;
}

char *
alloc_printf(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = alloc_vprintf(fmt, args);
	va_end(args);
	return text;
}

void
alloc_free(void *p)
{
	free(p);
}

/* Written without the heap and without stdio, which might want some. */
static void *
must_have(void *p)
{
	static const char words[] = "warren: out of memory, stopping\n";

	if (p)
		return p;
	if (write(STDERR_FILENO, words, sizeof(words) - 1) < 0)
		abort();
	abort();
}

void *
must_alloc(size_t n)
{
	return must_have(alloc_zero(n));
}

void *
must_resize(void *p, size_t n)
{
	return must_have(alloc_resize(p, n));
}

char *
must_dup(struct span s)
{
	return s.ptr ? must_have(alloc_dup(s)) : NULL;
}

char *
must_printf(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = alloc_vprintf(fmt, args);
	va_end(args);
	return must_have(text);
}

void
arena_init(struct arena *a, size_t max)
{
	*a = (struct arena){ .max = max };
}

void
arena_release(struct arena *a)
{
	struct arena_block *b = a->blocks, *next;

	for (; b; b = next) {
		next = b->next;
		alloc_free(b);
	}
	a->blocks = NULL;
	a->used = 0;
}

/* Blocks double, so that a large message costs few of them. */
static size_t
block_size(const struct arena *a, size_t n)
{
	const struct arena_block *first = a->blocks;
	size_t size = a->first ? a->first : ARENA_FIRST;

	if (ARENA_ONE_EACH)
		return n;
	if (first && first->cap < ARENA_LARGEST)
		size = first->cap * 2;
	else if (first)
		size = ARENA_LARGEST;
	return n > size / 4 && first ? n : (n > size ? n : size);
}

static void *
new_block(struct arena *a, size_t n)
{
	struct arena_block *first = a->blocks, *b;
	size_t size = block_size(a, n);

	b = alloc_bytes(sizeof(*b) + size);
	if (!b)
		return NULL;
	b->cap = size;
	b->used = n;
	if (first && size == n) {
		b->next = first->next;
		first->next = b;
	} else {
		b->next = first;
		a->blocks = b;
	}
	return b->data;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	struct arena_block *b = a->blocks;
	void *p;

	if (n > SIZE_MAX / 2)
		return NULL;
	n = (n + 7) & ~(size_t)7;
	if (a->max && n > a->max - a->used)
		return NULL;
	if (b && !ARENA_ONE_EACH && n <= b->cap - b->used) {
		p = b->data + b->used;
		b->used += n;
	} else {
		p = new_block(a, n);
	}
	if (p)
		a->used += n;
	return p;
}

void *
arena_zero(struct arena *a, size_t n)
{
	void *p = arena_alloc(a, n);

	return p ? memset(p, 0, n) : NULL;
}

struct span
arena_dup(struct arena *a, struct span s)
{
	char *copy;

	if (!s.ptr || s.len == SIZE_MAX)
		return SPAN_NONE;
	copy = arena_alloc(a, s.len + 1);
	if (!copy)
		return SPAN_NONE;
	memcpy(copy, s.ptr, s.len);
	copy[s.len] = '\0';
	return (struct span){ copy, s.len };
}
