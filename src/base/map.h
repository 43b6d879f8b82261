/*
 * A hash map from bytes to pointers. Keys are copied; values belong to the caller. The hash is seeded at
 * random in each process, so that keys chosen by a peer cannot be made to collide.
 */
#ifndef WARREN_BASE_MAP_H
#define WARREN_BASE_MAP_H

#include "base/err.h"

struct map_entry;
struct map {
	struct map_entry **slots;
	size_t n_slots;
	size_t count;
};

void map_init(struct map *m);
/* Frees keys and table; `free_value` (may be NULL) is called for each value. */
void map_release(struct map *m, void (*free_value)(void *));
/* NULL when absent. */
void *map_get(const struct map *m, struct span key);
/* Sets or replaces; *old (may be NULL) gets the replaced value or NULL. */
enum err map_set(struct map *m, struct span key, void *value, void **old) MUSTCHECK;
/* Takes the entry out and returns its value, or NULL. */
void *map_del(struct map *m, struct span key);

/* Walks in no particular order; do not change the map meanwhile (map_del of the current key is allowed). */
struct map_iter {
	size_t slot;
	struct map_entry *entry;
	struct span key;
	void *value;
};
bool map_next(const struct map *m, struct map_iter *it); /* start with a zeroed iter */

#endif
