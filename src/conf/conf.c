/*
 * Where settings come from and which of them wins. Each value is set once per source; one from a weaker source is still checked
 * (a typo in the file is a typo even when a flag hides it) but does not count.
 *
 *   default < the application < Celery's variables < file < environment < flag
 */
#include "conf/conf.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (4 << 20)
/* What writes into a pipe may have to ask somebody first. */
#define PIPE_MS 60000
#define LOCAL_FILE "warren.yaml"
#define SYSTEM_FILE WARREN_SYSCONFDIR "/warren.yaml"

/* Variables that are read elsewhere: no settings, and no typing mistakes either. */
static const char *const other_variables[] = { "WARREN_CONFIG", "WARREN_VECTORS", "WARREN_FAIL",
	"WARREN_PYTHONDIR" };

enum err
conf_init(struct conf *c)
{
	size_t i;
	enum err e;

	*c = (struct conf){ .file = NULL };
	arena_init(&c->arena, 0);
	e = opt_set_defaults(conf_rows, CONF_OPTIONS, &c->o, &c->arena);
	for (i = 0; i < CONF_OPTIONS; i++)
		c->origin[i] = (struct conf_origin){ CONF_DEFAULT, "default" };
	if (e != E_OK)
		conf_release(c);
	return e;
}

void
conf_release(struct conf *c)
{
	arena_release(&c->arena);
	*c = (struct conf){ .file = NULL };
}

/* Into c, or, when something stronger is there, into a scratch copy that is thrown away. */
static enum err
set(struct conf *c, const struct opt_row *row, const struct span *items, size_t n, bool split,
	enum conf_source source, const char *where, struct errtext *t)
{
	struct conf_origin *from = &c->origin[row - conf_rows];
	struct options scratch = c->o, *to = source < from->source ? &scratch : &c->o;
	struct span copy;
	enum err e;

	e = split ? opt_set(row, to, *items, &c->arena, t) : opt_set_items(row, to, items, n, &c->arena, t);
	if (e != E_OK || to == &scratch)
		return e;
	copy = arena_dup(&c->arena, span_of(where));
	if (copy.ptr == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	*from = (struct conf_origin){ source, copy.ptr };
	return E_OK;
}

enum err
conf_set(struct conf *c, const struct opt_row *row, struct span text, enum conf_source source,
	const char *where, struct errtext *t)
{
	return set(c, row, &text, 1, true, source, where, t);
}

enum err
conf_set_items(struct conf *c, const struct opt_row *row, const struct span *items, size_t n,
	enum conf_source source, const char *where, struct errtext *t)
{
	return set(c, row, items, n, false, source, where, t);
}

void
conf_add_env_name(struct buf *b, const struct opt_row *row)
{
	const char *p;

	buf_adds(b, "WARREN_");
	for (p = row->name; *p != '\0'; p++)
		buf_addc(b, (char)toupper((unsigned char)*p));
}

static enum err
set_from_env(struct conf *c, const struct opt_row *row, const char *name, enum conf_source source,
	struct errtext *t)
{
	const char *value = getenv(name);
	enum err e;

	/* An empty variable is how compose files and service units say "not set". */
	if (value == NULL || *value == '\0')
		return E_OK;
	e = conf_set(c, row, span_of(value), source, name, t);
	return e == E_OK ? e : err_prefix(t, e, "%s", name);
}

enum err
conf_load_env(struct conf *c, struct errtext *t)
{
	enum err e = E_OK;
	struct buf name;
	size_t i;

	buf_init(&name, 0);
	for (i = 0; e == E_OK && i < CONF_OPTIONS; i++) {
		buf_reset(&name);
		conf_add_env_name(&name, &conf_rows[i]);
		e = name.err != E_OK ? err_set(t, name.err, "out of memory")
				     : set_from_env(c, &conf_rows[i], buf_text(&name), CONF_ENV, t);
		if (e == E_OK && conf_rows[i].env != NULL)
			e = set_from_env(c, &conf_rows[i], conf_rows[i].env, CONF_CELERY, t);
	}
	buf_release(&name);
	return e;
}

void
conf_add_env_warnings(struct buf *b)
{
	struct nearest near;
	struct buf name;
	size_t i, k;
	bool known;
	char **p;

	buf_init(&name, 0);
	for (p = environ; *p != NULL; p++) {
		struct span word = span_of(*p);

		word = span_split(&word, '=');
		if (!span_starts(word, "WARREN_"))
			continue;
		nearest_init(&near, (struct span){ word.ptr + 7, word.len - 7 });
		for (known = false, i = 0; i < CONF_OPTIONS; i++) {
			buf_reset(&name);
			conf_add_env_name(&name, &conf_rows[i]);
			known |= span_eq(word, buf_span(&name));
			nearest_try(&near, conf_rows[i].name);
		}
		for (k = 0; k < ARRAY_LEN(other_variables); k++)
			known |= span_is(word, other_variables[k]);
		if (known || near.best == NULL)
			continue;
		buf_reset(&name);
		conf_add_env_name(&name, opt_find(conf_rows, CONF_OPTIONS, span_of(near.best)));
		buf_addf(b, "%.*s is set but is no setting: did you mean %s?\n", SPAN_FMT(word),
			buf_text(&name));
	}
	buf_release(&name);
}

static enum err
read_all(int fd, struct buf *b, const char *path, struct errtext *t)
{
	ssize_t n;
	char *room;

	for (;;) {
		room = buf_room(b, 8192);
		if (room == NULL)
			return b->err == E_TOOBIG
				? err_set(t, E_CONF, "%s: the file is larger than 4 MiB", path)
				: err_set(t, E_NOMEM, "%s: out of memory", path);
		n = read(fd, room, 8192);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(t, "%s: cannot read", path);
		if (n == 0)
			return E_OK;
		buf_grew(b, (size_t)n);
	}
}

/* Until there is something to read, or its end; a pipe that nobody has opened for writing yet is waited for as well. */
static enum err
wait_for_pipe(int fd, const char *path, struct errtext *t)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, PIPE_MS);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return err_set(t, E_CONF, "%s: nothing came through this pipe for %d s", path, PIPE_MS / 1000);
	return n > 0 ? E_OK : err_sys(t, "%s", path);
}

static enum err
read_pipe(int fd, struct buf *b, const char *path, struct errtext *t)
{
	int flags = fcntl(fd, F_GETFL);
	enum err e = wait_for_pipe(fd, path, t);

	/* The description may be shared with who gave us the pipe, but what is read here is read once. */
	if (e == E_OK && (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0))
		e = err_sys(t, "%s", path);
	return e == E_OK ? read_all(fd, b, path, t) : e;
}

static bool
may_be_read(const struct stat *st, bool may_be_pipe)
{
	return S_ISREG(st->st_mode) || (may_be_pipe && S_ISFIFO(st->st_mode));
}

static enum err
read_file(struct buf *b, const char *path, bool may_be_pipe, struct errtext *t)
{
	struct stat st;
	enum err e;
	int fd;

	/* Non-blocking, so that a named pipe does not hang us before its type is known. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return err_set(t, E_MISSING, "%s: there is no such file", path);
	if (fd < 0)
		return err_sys(t, "%s: cannot open", path);
	if (fstat(fd, &st) != 0)
		e = err_sys(t, "%s", path);
	else if (!may_be_read(&st, may_be_pipe))
		e = err_set(t, E_CONF, "%s: is %s", path,
			may_be_pipe ? "neither a regular file nor a pipe" : "not a regular file");
	else if (st.st_mode & S_IWOTH)
		e = err_set(t, E_CONF, "%s: everyone may write this file, so it is not read: chmod o-w %s",
			path, path);
	else {
		b->max = FILE_MAX + 8192;
		e = S_ISFIFO(st.st_mode) ? read_pipe(fd, b, path, t) : read_all(fd, b, path, t);
	}
	close(fd);
	return e;
}

enum err
conf_read_file(struct buf *b, const char *path, struct errtext *t)
{
	return read_file(b, path, false, t);
}

/* A pipe gives what it has once. Who reads its settings again stays with that. */
static bool
take_from_first(struct conf *c, enum conf_option option, const char *path)
{
	const struct conf *first = c->first;
	struct stat st;

	if (first == NULL || strcmp(first->origin[option].where, path) != 0 || stat(path, &st) != 0 ||
		!S_ISFIFO(st.st_mode))
		return false;
	opt_borrow(&conf_rows[option], &c->o, &first->o);
	c->origin[option] = first->origin[option];
	return true;
}

/* One URL a line; blank lines and lines with # are skipped. */
static enum err
load_secret(struct conf *c, enum conf_option option, enum conf_option file_option, struct errtext *t)
{
	const struct conf_origin *value = &c->origin[option], *file = &c->origin[file_option];
	const char *path = *(const char *const *)((const char *)&c->o + conf_rows[file_option].offset);
	struct span rest, line, items[16];
	size_t n = 0;
	struct buf b;
	enum err e;

	if (*path == '\0' || file->source < value->source)
		return E_OK;
	/* When settings are read again, what a flag's file gave the first time is there already. */
	if (file->source == value->source && strcmp(value->where, path) != 0)
		return err_set(t, E_CONF, "%s (%s) and %s (%s) are both set: keep one of them",
			conf_rows[option].name, value->where, conf_rows[file_option].name, file->where);
	if (take_from_first(c, option, path))
		return E_OK;
	buf_init(&b, 0);
	e = read_file(&b, path, true, t);
	for (rest = buf_span(&b); e == E_OK && rest.ptr != NULL;) {
		line = span_trim(span_split(&rest, '\n'));
		if (line.len == 0 || line.ptr[0] == '#')
			continue;
		if (n == ARRAY_LEN(items))
			e = err_set(t, E_CONF, "%s: more than %zu lines", path, ARRAY_LEN(items));
		else
			items[n++] = line;
	}
	if (e == E_OK && n == 0)
		e = err_set(t, E_CONF, "%s: there is no URL in it", path);
	if (e == E_OK && n > 1 && !opt_is_list(&conf_rows[option]))
		e = err_set(t, E_CONF, "%s: there is more than one URL in it", path);
	if (e == E_OK) {
		e = opt_is_list(&conf_rows[option])
			? conf_set_items(c, &conf_rows[option], items, n, file->source, path, t)
			: conf_set(c, &conf_rows[option], items[0], file->source, path, t);
		if (e != E_OK)
			err_prefix(t, e, "%s", path);
	} else
		err_prefix(t, e, "%s", conf_rows[file_option].name);
	if (b.data != NULL)
		explicit_bzero(b.data, b.cap);
	buf_release(&b);
	return e == E_MISSING || e == E_SYS ? E_CONF : e;
}

enum err
conf_load_secrets(struct conf *c, struct errtext *t)
{
	enum err e = load_secret(c, CONF_OPT_broker, CONF_OPT_broker_file, t);

	return e != E_OK ? e : load_secret(c, CONF_OPT_result_backend, CONF_OPT_result_backend_file, t);
}

/* The file in the current folder may be a trap when somebody else put it there. */
static bool
local_file_is_ours(void)
{
	struct stat st;

	return stat(LOCAL_FILE, &st) == 0 && S_ISREG(st.st_mode) && (st.st_uid == 0 || st.st_uid == geteuid());
}

enum err
conf_load(struct conf *c, const char *path, struct errtext *t)
{
	enum err e = E_OK;

	if (path == NULL || *path == '\0')
		path = getenv("WARREN_CONFIG");
	if (path != NULL && *path != '\0')
		e = conf_load_file(c, path, t);
	else if (local_file_is_ours())
		e = conf_load_file(c, LOCAL_FILE, t);
	else if (access(SYSTEM_FILE, F_OK) == 0)
		e = conf_load_file(c, SYSTEM_FILE, t);
	if (e == E_OK)
		e = conf_load_env(c, t);
	if (e == E_OK)
		e = conf_load_secrets(c, t);
	return e;
}

const struct conf_queue *
conf_find_queue(const struct conf *c, struct span name)
{
	size_t i;

	for (i = 0; i < c->n_queues; i++)
		if (span_is(name, c->queues[i].item.name))
			return &c->queues[i];
	return NULL;
}

const struct conf_task *
conf_find_task(const struct conf *c, struct span name)
{
	size_t i;

	for (i = 0; i < c->n_tasks; i++)
		if (text_glob(span_of(c->tasks[i].item.name), name))
			return &c->tasks[i];
	return NULL;
}
