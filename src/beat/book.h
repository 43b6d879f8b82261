/* The entries of a scheduler, each with its name: those of the configuration, and those that Redis has. They do not move. */
#ifndef WARREN_BEAT_BOOK_H
#define WARREN_BEAT_BOOK_H

#include "beat/entry.h"

/* Entries that are kept as JSON, with the keys of the section schedule: whoever knows the settings makes them ready. */
struct entry_maker {
	/* E_CONF says what is wrong, without naming the entry. */
	enum err (*make)(
		void *owner, struct span name, struct span json, struct entry_conf **out, struct errtext *t);
	void (*free)(void *owner, struct entry_conf *conf);
	void *owner;
};

struct book {
	struct entry **entries;
	size_t n, cap;
	struct map by_name;
	struct zones zones;
	const struct entry_maker *maker;
};

void book_init(struct book *b, const struct entry_maker *maker);
void book_release(struct book *b);
struct entry *book_find(const struct book *b, struct span name);
/* One of the configuration, which outlives the book. */
enum err book_add(
	struct book *b, const struct entry_conf *conf, struct entry **out, struct errtext *t) MUSTCHECK;
/* One that is kept as JSON, not in the book yet: book_put. */
enum err book_make(struct book *b, struct span name, struct span json, us_t since, struct entry **out,
	struct errtext *t) MUSTCHECK;
/* No other has its name. The book owns it from now on. */
void book_put(struct book *b, struct entry *e);
/* It must be under way nowhere: in no plan, in no list. */
void book_remove(struct book *b, struct entry *e);

#endif
