/*
 * The settings of one run: default < application < file < environment < flag, and where each came from. Filled by the command line, which
 * then hands each part its own small struct; nothing below cli/ sees this one.
 */
#ifndef WARREN_CONF_CONF_H
#define WARREN_CONF_CONF_H

#include "conf/opt.h"

enum conf_group {
	CONF_BROKER,
	CONF_RESULT,
	CONF_TLS,
	CONF_QUEUE,
	CONF_WORKER,
	CONF_BEAT,
	CONF_LOG,
	CONF_GROUPS
};
#define CONF_BIT(group) (1u << (group))

struct options {
#define OPT(type, field, ...) OPT_CTYPE_##type field;
#include "tbl/options.def"
};
enum conf_option {
#define OPT(type, field, ...) CONF_OPT_##field,
#include "tbl/options.def"
	CONF_OPTIONS
};

/* Entries of the sections. `name` is the key, `line` where it stands, `given` has bit i when row i of the section was set. */
struct conf_item {
	const char *name;
	int line;
	uint64_t given;
};
struct conf_pool {
	struct conf_item item;
#define POOL_OPT(type, field, ...) OPT_CTYPE_##type field;
#include "tbl/options.def"
};
struct conf_queue {
	struct conf_item item;
#define QUEUE_OPT(type, field, ...) OPT_CTYPE_##type field;
#include "tbl/options.def"
};
struct conf_route {
	struct conf_item item;
#define ROUTE_OPT(type, field, ...) OPT_CTYPE_##type field;
#include "tbl/options.def"
};
struct conf_task {
	struct conf_item item;
#define TASK_OPT(type, field, ...) OPT_CTYPE_##type field;
#include "tbl/options.def"
};

struct conf_schedule {
	struct conf_item item;
#define SCHEDULE_OPT(type, field, ...) OPT_CTYPE_##type field;
#include "tbl/options.def"
};

/*
 * Rising: a value never gives way to one from further up. What a Celery application has set counts where nobody says otherwise, Celery's
 * variables where nothing of ours is set.
 */
enum conf_source { CONF_DEFAULT, CONF_APP, CONF_CELERY, CONF_FILE, CONF_ENV, CONF_FLAG };
struct conf_origin {
	enum conf_source source;
	const char *where; /* "warren.yaml:12", "WARREN_BROKER", "--broker"; "default" */
};

struct conf {
	struct options o;
	struct conf_origin origin[CONF_OPTIONS];
	struct conf_pool *pools;
	size_t n_pools;
	struct conf_queue *queues;
	size_t n_queues;
	struct conf_route *routes;
	size_t n_routes;
	struct conf_task *tasks;
	size_t n_tasks;
	struct conf_schedule *schedule;
	size_t n_schedule;
	const char *file;         /* the file that was read, NULL = none */
	const struct conf *first; /* when settings are read again: as they were before; NULL else */
	struct arena arena;       /* owns all of the above */
};

extern const struct opt_row conf_rows[CONF_OPTIONS];

/* One kind of entry: the rows of its keys and where they lie in struct conf. */
struct conf_section {
	const char *name, *what, *help;
	const struct opt_row *rows;
	size_t n_rows, item_size, items_offset, count_offset;
	const char *shorthand; /* key that a bare text sets; NULL = none */
	const char *example;   /* for the sample file */
};
#define CONF_SECTIONS 5
extern const struct conf_section conf_sections[CONF_SECTIONS];

/* All defaults. */
enum err conf_init(struct conf *c) MUSTCHECK;
void conf_release(struct conf *c);
/* One value; ignored (though checked) when one from a later source is there already. `where` is copied. */
enum err conf_set(struct conf *c, const struct opt_row *row, struct span text, enum conf_source source,
	const char *where, struct errtext *t) MUSTCHECK;
enum err conf_set_items(struct conf *c, const struct opt_row *row, const struct span *items, size_t n,
	enum conf_source source, const char *where, struct errtext *t) MUSTCHECK;

/*
 * File, environment, and the files that hold URLs, in one go; flags go in before with conf_set. path NULL: $WARREN_CONFIG,
 * else ./warren.yaml when it belongs to this user or root, else the system's; none is no error.
 */
enum err conf_load(struct conf *c, const char *path, struct errtext *t) MUSTCHECK;
/* Only the file. E_MISSING, E_CONF with "file:line: ...". A file that everyone may write is refused. */
enum err conf_load_file(struct conf *c, const char *path, struct errtext *t) MUSTCHECK;
/* Only the environment. */
enum err conf_load_env(struct conf *c, struct errtext *t) MUSTCHECK;
/* broker_file and result_backend_file, which may be pipes. E_CONF when a setting and its _file come from the same source. */
enum err conf_load_secrets(struct conf *c, struct errtext *t) MUSTCHECK;
/* A regular file that not everyone may write, at most 4 MiB. */
enum err conf_read_file(struct buf *b, const char *path, struct errtext *t) MUSTCHECK;

/* Whether the row of this name was set in the entry. */
bool conf_is_given(const struct conf_section *sec, const void *item, const char *name);
/* Sets one row of an entry and marks it as given. */
enum err conf_set_item(struct conf *c, const struct conf_section *sec, void *item, const struct opt_row *row,
	struct span text, struct errtext *t) MUSTCHECK;
/* Copies what `from` gives into `to`, two entries of one section. */
void conf_overlay_item(const struct conf_section *sec, void *to, const void *from);
const struct conf_section *conf_section(const char *name);
/* reload.c: as conf_init and conf_load, with the flags of `first`, which must live longer. */
enum err conf_load_again(
	struct conf *c, const struct conf *first, const char *path, struct errtext *t) MUSTCHECK;
/* Lets what a running process cannot change be as in `first`, and tells of each that is not; how many there were. */
typedef void conf_kept_fn(const char *name, const char *where);
size_t conf_keep(struct conf *c, const struct conf *first, conf_kept_fn *fn);
bool conf_is_same_section(const struct conf *a, const struct conf *b, const struct conf_section *sec);

const struct conf_queue *conf_find_queue(const struct conf *c, struct span name);
/* The first entry whose name or pattern fits; NULL = none. */
const struct conf_task *conf_find_task(const struct conf *c, struct span name);

/* WARREN_RESULT_BACKEND */
void conf_add_env_name(struct buf *b, const struct opt_row *row);
/* One line for each variable WARREN_x that is no setting but looks like one. */
void conf_add_env_warnings(struct buf *b);
/* etc/warren.yaml: every setting with its help, commented out. */
void conf_add_sample(struct buf *b);
const char *conf_group_title(enum conf_group g);

#endif
