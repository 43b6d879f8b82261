/*
 * The hash map: chains of entries in a table whose size is a power of two. Each entry holds its key behind
 * itself, so that one allocation makes an entry. The hash is SipHash-1-3 with a key of this process: names
 * come from strangers, who must not be able to choose ones that collide.
 */
#include "base/map.h"

#include "base/alloc.h"

#include <pthread.h>
#include <unistd.h>

enum { FIRST_SLOTS = 16 };

struct map_entry {
	struct map_entry *next;
	uint64_t hash;
	void *value;
	size_t len;
	char key[];
};

static uint64_t seed[2];
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void
draw_seed(void)
{
	if (getentropy(seed, sizeof(seed)) != 0)
		abort(); /* a kernel without random numbers: nothing can be served safely */
}

static uint64_t
rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

/* The byte order of words does not matter here, since no hash leaves the process. */
static uint64_t
hash_of(struct span key)
{
	uint64_t v[4], word;
	size_t left = key.len;
	const char *p = key.ptr;

	pthread_once(&seed_once, draw_seed);
	v[0] = seed[0] ^ 0x736f6d6570736575u;
	v[1] = seed[1] ^ 0x646f72616e646f6du;
	v[2] = seed[0] ^ 0x6c7967656e657261u;
	v[3] = seed[1] ^ 0x7465646279746573u;
	for (; left >= 8; left -= 8, p += 8) {
		memcpy(&word, p, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	word = 0;
	if (left)
		memcpy(&word, p, left);
	word ^= (uint64_t)key.len << 56;
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void
map_init(struct map *m)
{
	*m = (struct map){ 0 };
}

void
map_release(struct map *m, void (*free_value)(void *))
{
	struct map_entry *e, *next;

	for (size_t i = 0; i < m->n_slots; i++) {
		for (e = m->slots[i]; e; e = next) {
			next = e->next;
			if (free_value)
				free_value(e->value);
			alloc_free(e);
		}
	}
	alloc_free(m->slots);
	map_init(m);
}

/* Where the pointer to the entry is, or where it would be put. */
static struct map_entry **
find(const struct map *m, struct span key, uint64_t hash)
{
	struct map_entry **at = &m->slots[hash & (m->n_slots - 1)];

	while (*at && !((*at)->hash == hash && span_eq((struct span){ (*at)->key, (*at)->len }, key)))
		at = &(*at)->next;
	return at;
}

void *
map_get(const struct map *m, struct span key)
{
	struct map_entry *e;

	if (m->count == 0)
		return NULL;
	e = *find(m, key, hash_of(key));
	return e ? e->value : NULL;
}

static enum err
grow(struct map *m)
{
	size_t n = m->n_slots ? m->n_slots * 2 : FIRST_SLOTS;
	struct map_entry **slots, **at, *e, *next;

	slots = alloc_zero(n * sizeof(struct map_entry *));
	if (!slots)
		return E_NOMEM;
	for (size_t i = 0; i < m->n_slots; i++) {
		for (e = m->slots[i]; e; e = next) {
			next = e->next;
			at = &slots[e->hash & (n - 1)];
			e->next = *at;
			*at = e;
		}
	}
	alloc_free(m->slots);
	m->slots = slots;
	m->n_slots = n;
	return E_OK;
}

enum err
map_set(struct map *m, struct span key, void *value, void **old)
{
	uint64_t hash = hash_of(key);
	struct map_entry *e, **at;

	if (old)
		*old = NULL;
	if (m->n_slots == 0 && grow(m) != E_OK)
		return E_NOMEM;
	at = find(m, key, hash);
	if (*at) {
		if (old)
			*old = (*at)->value;
		(*at)->value = value;
		return E_OK;
	}
	if (key.len > SIZE_MAX / 2)
		return E_NOMEM;
	/* A table that cannot grow any more is slower, but still right. */
	if (m->count >= m->n_slots && grow(m) == E_OK)
		at = find(m, key, hash);
	e = alloc_bytes(sizeof(*e) + key.len);
	if (!e)
		return E_NOMEM;
	*e = (struct map_entry){ .hash = hash, .value = value, .len = key.len };
	if (key.len)
		memcpy(e->key, key.ptr, key.len);
	*at = e;
	m->count++;
	return E_OK;
}

void *
map_del(struct map *m, struct span key)
{
	struct map_entry **at, *e;
	void *value;

	if (m->count == 0)
		return NULL;
	at = find(m, key, hash_of(key));
	e = *at;
	if (!e)
		return NULL;
	value = e->value;
	*at = e->next;
	alloc_free(e);
	m->count--;
	return value;
}

/* it->entry is the one after the current, so that the current may be deleted. */
bool
map_next(const struct map *m, struct map_iter *it)
{
	struct map_entry *e = it->entry;

	while (!e && it->slot < m->n_slots)
		e = m->slots[it->slot++];
	if (!e)
		return false;
	it->entry = e->next;
	it->key = (struct span){ e->key, e->len };
	it->value = e->value;
	return true;
}
