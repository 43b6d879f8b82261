/*
 * A YAML document, read value by value: what has been read may be dropped, so that thousands of entries need the memory of one. Anchors and
 * aliases are resolved; an alias shares what it names, so that nothing grows by them. Inside conf/ only.
 */
#ifndef WARREN_CONF_DOC_H
#define WARREN_CONF_DOC_H

#include "base/alloc.h"
#include "base/map.h"

#include <yaml.h>

enum doc_kind { DOC_TEXT, DOC_LIST, DOC_TABLE };

struct doc_value {
	enum doc_kind kind;
	int line;
	bool is_plain;                 /* a text without quotes */
	struct span text;              /* ends with a NUL */
	const struct doc_value *first; /* of a list; of a table: key, value, key, value... */
	const struct doc_value *next;  /* beside it */
};

struct doc {
	const char *path;
	yaml_parser_t parser;
	yaml_event_t event; /* the one to be read next */
	struct map anchors;
	struct arena kept; /* what anchors name */
	struct errtext *t;
};

/* All errors are E_CONF, "path:line: what is wrong", or E_NOMEM. Closed also after an error. path, text and t must outlive it. */
enum err doc_open(struct doc *d, const char *path, struct span text, struct errtext *t) MUSTCHECK;
void doc_close(struct doc *d);
/* Nothing is there, not even an empty text. */
bool doc_is_empty(const struct doc *d);
/* Steps into the table that comes next: doc_key then gives its keys, one by one; false, and nothing has changed: no table comes next. */
enum err doc_enter(struct doc *d, bool *entered) MUSTCHECK;
/* NULL: the table ends here. After each key, its value must be read, or entered and read to its end. */
enum err doc_key(struct doc *d, struct arena *a, const struct doc_value **out) MUSTCHECK;
/* The whole value that comes next. */
enum err doc_read(struct doc *d, struct arena *a, const struct doc_value **out) MUSTCHECK;
/* Nothing else may follow. */
enum err doc_end(struct doc *d) MUSTCHECK;

/* "key:" with nothing behind it, or ~: as if the line were not there. */
bool doc_is_null(const struct doc_value *v);
enum err doc_fail(const struct doc *d, int line, const char *fmt, ...) PRINTFLIKE(3, 4);
enum err doc_no_memory(const struct doc *d);

#endif
