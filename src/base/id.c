/*
 * Random numbers, drawn from the kernel in blocks for each thread. A child made by fork would hand out the
 * same numbers as its parent, so a fork throws the child's block away (the generation changes).
 */
#include "base/id.h"

#include <errno.h>
#include <pthread.h>
#include <sys/random.h>

enum { POOL_BYTES = 512 };

struct pool {
	unsigned generation;
	size_t left;
	unsigned char bytes[POOL_BYTES];
};

static __thread struct pool pool;
static unsigned generation = 1; /* a fresh pool has 0, so it is filled */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static uint64_t fake_state; /* 0 = the kernel's numbers */

static void
on_fork_child(void)
{
	generation++;
}

static void
watch_forks(void)
{
	if (pthread_atfork(NULL, NULL, on_fork_child) != 0)
		abort(); /* no memory at the very start of the process */
}

static void
kernel_random(void *out, size_t n)
{
	char *p = out;
	ssize_t got;

	while (n > 0) {
		got = getrandom(p, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort(); /* ids that repeat would lose tasks: better none */
		p += got;
		n -= (size_t)got;
	}
}

/* SplitMix64. */
static uint64_t
fake_next(void)
{
	uint64_t z = fake_state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void
fake_random(void *out, size_t n)
{
	char *p = out;
	uint64_t word;
	size_t part;

	for (; n > 0; n -= part, p += part) {
		word = fake_next();
		part = n < sizeof(word) ? n : sizeof(word);
		memcpy(p, &word, part);
	}
}

void
id_random(void *out, size_t n)
{
	if (fake_state) {
		fake_random(out, n);
		return;
	}
	if (n > POOL_BYTES) {
		kernel_random(out, n);
		return;
	}
	pthread_once(&fork_once, watch_forks);
	if (pool.generation != generation || pool.left < n) {
		kernel_random(pool.bytes, POOL_BYTES);
		pool.left = POOL_BYTES;
		pool.generation = generation;
	}
	pool.left -= n;
	memcpy(out, pool.bytes + pool.left, n);
}

uint64_t
id_random_u64(void)
{
	uint64_t word;

	id_random(&word, sizeof(word));
	return word;
}

static void
format_uuid(char out[ID_UUID_LEN + 1], unsigned char raw[16], int version)
{
	static const char hex[] = "0123456789abcdef";
	char *p = out;

	raw[6] = (unsigned char)((raw[6] & 0x0f) | version << 4);
	raw[8] = (unsigned char)((raw[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = hex[raw[i] >> 4];
		*p++ = hex[raw[i] & 15];
	}
	*p = '\0';
}

void
id_uuid4(char out[ID_UUID_LEN + 1])
{
	unsigned char raw[16];

	id_random(raw, sizeof(raw));
	format_uuid(out, raw, 4);
}

/* FNV-1a of 128 bits: spreads well, and nobody gains by finding two ids that collide: they would be his own tasks. */
static unsigned __int128
fnv(unsigned __int128 h, const void *bytes, size_t n)
{
	const unsigned __int128 prime = (unsigned __int128)1 << 88 | 0x13b;

	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const unsigned char *)bytes)[i]) * prime;
	return h;
}

void
id_derive(char out[ID_UUID_LEN + 1], struct span from, uint64_t number)
{
	unsigned __int128 h = (unsigned __int128)0x6c62272e07bb0142 << 64 | 0x62b821756295c58d;
	unsigned char raw[16], tail[8];

	for (int i = 0; i < 8; i++)
		tail[i] = (unsigned char)(number >> (8 * i));
	h = fnv(h, from.ptr, from.len);
	h = fnv(h, tail, sizeof(tail));
	for (int i = 0; i < 16; i++)
		raw[i] = (unsigned char)(h >> (8 * i));
	format_uuid(out, raw, 8);
}

void
id_fake(uint64_t seed)
{
	fake_state = seed;
}
