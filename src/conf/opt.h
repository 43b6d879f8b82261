/*
 * The option engine: rows say name, type, bounds and default of fields in some struct; these functions fill and show such a
 * struct. Settings, entries of pools and routes, and the flags of each command are all such rows.
 */
#ifndef WARREN_CONF_OPT_H
#define WARREN_CONF_OPT_H

#include "base/alloc.h"
#include "base/buf.h"

enum opt_type {
	OPT_T_text,
	OPT_T_int,
	OPT_T_bool,
	OPT_T_dur,
	OPT_T_size,
	OPT_T_choice,
	OPT_T_list,
	OPT_T_words,
	OPT_T_pairs,
	OPT_T_json
};

/* NULL-ended as well as counted, so that words can be an argv. */
struct opt_list {
	const char *const *items;
	size_t n;
};

/* The C type of a field. Texts are never NULL once the defaults are set. */
#define OPT_CTYPE_text const char *
#define OPT_CTYPE_int int64_t
#define OPT_CTYPE_bool bool
#define OPT_CTYPE_dur ms_t
#define OPT_CTYPE_size int64_t
#define OPT_CTYPE_choice const char *
#define OPT_CTYPE_json const char *
#define OPT_CTYPE_list struct opt_list
#define OPT_CTYPE_words struct opt_list
#define OPT_CTYPE_pairs struct opt_list

enum opt_flags {
	OPT_NONE = 0,
	OPT_URL = 1,    /* holds passwords: shown without them, wiped from the command line */
	OPT_REPEAT = 2, /* a flag that may be given several times: each adds to the list */
	OPT_HIDDEN = 4, /* not shown in --help */
	OPT_RELOAD =
		8, /* a new value counts for a worker that runs, once it is told to read its settings again */
};

struct opt_row {
	const char *name; /* result_backend, as a flag --result-backend */
	enum opt_type type;
	char short_flag;  /* 0 = none */
	size_t offset;    /* of the field */
	const char *def;  /* NULL: the zeroed field */
	int64_t min, max; /* max 0 = no bound; of lists: how many items; of texts: length */
	const char *choices;
	unsigned flags;
	unsigned group;
	const char *env; /* a further environment variable that is read */
	const char *arg; /* what help calls the value; NULL = by the type */
	const char *help;
};

/* Sets every field to its default; the defaults of the tables are known to be right. */
enum err opt_set_defaults(const struct opt_row *rows, size_t n, void *base, struct arena *a) MUSTCHECK;
/* Parses text into the field. The error is about the value only: prefix it with where it stands. Never shows a URL. */
enum err opt_set(const struct opt_row *row, void *base, struct span text, struct arena *a,
	struct errtext *t) MUSTCHECK;
/* Lists, words and pairs from items that are split already. */
enum err opt_set_items(const struct opt_row *row, void *base, const struct span *items, size_t n,
	struct arena *a, struct errtext *t) MUSTCHECK;
bool opt_is_list(const struct opt_row *row);
/* The same value in both structs. */
bool opt_is_same(const struct opt_row *row, const void *a, const void *b);
/* Lets the field of `to` have the value of `from`, whose texts it borrows. */
void opt_borrow(const struct opt_row *row, void *to, const void *from);
/* Dashes and underscores are the same. */
const struct opt_row *opt_find(const struct opt_row *rows, size_t n, struct span name);
/* The value for a person; passwords hidden. Empty texts and lists show as nothing. */
void opt_add_value(struct buf *b, const struct opt_row *row, const void *base);
/* The value as JSON: durations in seconds, sizes in bytes. */
void opt_add_json(struct buf *b, const struct opt_row *row, const void *base);
/* URL, N, TIME...: the word for the value in help. "" for a bool. */
const char *opt_arg(const struct opt_row *row);

/* The known word nearest to what somebody wrote, for "did you mean". */
struct nearest {
	struct span word;
	const char *best; /* NULL: nothing is near */
	size_t distance;
};
void nearest_init(struct nearest *n, struct span word);
void nearest_try(struct nearest *n, const char *known);
/* ": did you mean 'x'?" or nothing. */
void nearest_add(struct buf *b, const struct nearest *n);

#endif
