/*
 * The file: {"version": 1, "entries": {"nightly": {"schedule": "cron 0 2 * * * Europe/Berlin", "done": "2026-11-21T01:00:00+00:00",
 * "ran": "2026-11-21T01:00:00+00:00", "runs": 3}}}.
 *
 * Writing: <file>.tmp (O_EXCL after an unlink, O_NOFOLLOW), fsync, rename over <file>, fsync of the folder. All of it relative to the folder as it was
 * opened, so that a link that somebody plants in the path leads nowhere. The lock is an OFD lock on <file>.lock.
 */
#include "beat/state.h"

#include "base/alloc.h"
#include "base/jscan.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES_MAX (64 << 20)

/* --- where ------------------------------------------------------------------------------------------------------------- */

static char *
default_path(void)
{
	const char *given = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	/* systemd separates several by colons; the first is ours. */
	if (given && *given)
		return must_printf("%.*s/beat.json", (int)strcspn(given, ":"), given);
	if (xdg && *xdg == '/')
		return must_printf("%s/warren/beat.json", xdg);
	if (home && *home == '/')
		return must_printf("%s/.local/state/warren/beat.json", home);
	return NULL;
}

/* The folder and those above it that are missing. */
static enum err
make_folder(const char *path, struct errtext *t)
{
	char *copy = must_dup(span_of(path));
	enum err e = E_OK;

	for (char *p = copy + 1; e == E_OK && p != NULL; p = p[0] ? p + 1 : NULL) {
		p = strchr(p, '/');
		if (p)
			*p = '\0';
		if (mkdir(copy, 0700) != 0 && errno != EEXIST)
			e = err_sys(t, "cannot make the folder %s", copy);
		if (p)
			*p = '/';
		else
			break;
	}
	alloc_free(copy);
	return e;
}

static enum err
open_folder(struct state *s, struct errtext *t)
{
	char *copy = must_dup(span_of(s->path)), *folder = dirname(copy);
	enum err e = E_OK;

	s->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->folder < 0 && errno == ENOENT) {
		e = make_folder(folder, t);
		if (e == E_OK)
			s->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (e == E_OK && s->folder < 0)
		e = err_sys(t, "cannot open the folder %s", folder);
	alloc_free(copy);
	return e;
}

static const char *
file_name(const struct state *s)
{
	const char *slash = strrchr(s->path, '/');

	return slash ? slash + 1 : s->path;
}

static enum err
take_lock(struct state *s, struct errtext *t)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char *name = must_printf("%s.lock", file_name(s));
	enum err e = E_OK;

	s->lock = openat(s->folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock < 0)
		e = err_sys(t, "cannot open %s.lock", s->path);
	else if (fcntl(s->lock, F_OFD_SETLK, &whole) != 0)
		e = errno == EAGAIN || errno == EACCES
			? err_set(t, E_EXISTS, "%s belongs to another scheduler that runs", s->path)
			: err_sys(t, "cannot lock %s.lock", s->path);
	alloc_free(name);
	return e;
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

static void
free_row(void *p)
{
	struct row *row = p;

	alloc_free((char *)row->schedule);
	alloc_free(row);
}

static bool
read_row(struct state *s, const struct jscan_iter *it, struct buf *name, struct buf *text)
{
	struct row row;

	/* The key without its quotes: put them back to decode it. */
	buf_reset(name);
	jscan_add_string(name, (struct span){ it->key.ptr - 1, it->key.len + 2 });
	return name->err == E_OK && row_read(&row, it->value, text) &&
		state_set(s, buf_span(name), &row) == E_OK;
}

static bool
read_rows(struct state *s, struct span json)
{
	struct buf name, text;
	struct jscan_iter it;
	int64_t version;
	bool ok;

	if (jscan_check(json, NULL, NULL, NULL) != E_OK || jscan_kind(json) != JSCAN_OBJECT)
		return false;
	if (!jscan_int(jscan_member(json, "version"), &version) || version != 1)
		return false;
	buf_init(&name, 0);
	buf_init(&text, 0);
	ok = jscan_begin(&it, jscan_member(json, "entries")) && it.is_object;
	while (ok && jscan_next(&it))
		ok = read_row(s, &it, &name, &text);
	buf_release(&name);
	buf_release(&text);
	return ok;
}

static enum err
read_bytes(struct state *s, struct buf *b, struct errtext *t)
{
	int fd = openat(s->folder, file_name(s), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	ssize_t n = 0;
	enum err e = E_OK;

	if (fd < 0)
		return errno == ENOENT ? E_MISSING : err_sys(t, "cannot open %s", s->path);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		e = err_set(t, E_FORMAT, "%s is no regular file", s->path);
	while (e == E_OK) {
		char *room = buf_room(b, 65536);

		if (room == NULL) {
			e = err_set(t, b->err, "%s: %s", s->path, err_name(b->err));
			break;
		}
		n = read(fd, room, 65536);
		if (n > 0)
			buf_grew(b, (size_t)n);
		else if (n == 0)
			break;
		else if (errno != EINTR)
			e = err_sys(t, "cannot read %s", s->path);
	}
	close(fd);
	return e;
}

/* Under another name it can be looked at, and does not come into the way again. */
static enum state_open
put_aside(struct state *s, struct errtext *t)
{
	char *to = must_printf("%s.corrupt", file_name(s));
	enum state_open end = STATE_PUT_ASIDE;

	map_release(&s->rows, free_row);
	map_init(&s->rows);
	if (renameat(s->folder, file_name(s), s->folder, to) == 0)
		err_set(t, E_FORMAT,
			"%s cannot be understood; it is now %s.corrupt, and all entries begin anew", s->path,
			s->path);
	else {
		err_sys(t, "%s cannot be understood, nor renamed to %s.corrupt", s->path, s->path);
		end = STATE_NONE;
	}
	alloc_free(to);
	return end;
}

static enum state_open
read_file(struct state *s, struct errtext *t)
{
	enum state_open end = STATE_READ;
	struct buf b;
	enum err e;

	buf_init(&b, BYTES_MAX);
	e = read_bytes(s, &b, t);
	if (e == E_MISSING)
		end = STATE_NEW;
	else if (e == E_TOOBIG || (e == E_OK && !read_rows(s, buf_span(&b))))
		end = put_aside(s, t);
	else if (e != E_OK)
		end = STATE_NONE;
	buf_release(&b);
	return end;
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

enum state_open
state_open(struct state *s, const char *path, struct errtext *t)
{
	enum state_open end = STATE_NONE;

	*s = (struct state){ .folder = -1, .lock = -1 };
	map_init(&s->rows);
	s->path = path && *path ? must_dup(span_of(path)) : default_path();
	if (s->path == NULL)
		err_set(t, E_MISSING, "neither STATE_DIRECTORY nor HOME is set");
	else if (open_folder(s, t) == E_OK && take_lock(s, t) == E_OK)
		end = read_file(s, t);
	if (end == STATE_NONE) {
		state_close(s);
		map_init(&s->rows);
	}
	return end;
}

void
state_close(struct state *s)
{
	if (s->lock >= 0)
		close(s->lock);
	if (s->folder >= 0)
		close(s->folder);
	s->lock = s->folder = -1;
	alloc_free(s->path);
	s->path = NULL;
	map_release(&s->rows, free_row);
}

const struct row *
state_get(const struct state *s, struct span name)
{
	return map_get(&s->rows, name);
}

enum err
state_set(struct state *s, struct span name, const struct row *from)
{
	struct row *row = map_get(&s->rows, name);
	const char *schedule;
	enum err e;

	if (row == NULL) {
		row = must_alloc(sizeof(*row));
		e = map_set(&s->rows, name, row, NULL);
		if (e != E_OK) {
			alloc_free(row);
			return e;
		}
	}
	schedule = row->schedule;
	if (schedule == NULL || strcmp(schedule, from->schedule) != 0) {
		alloc_free((char *)schedule);
		schedule = must_dup(span_of(from->schedule));
	}
	*row = *from;
	row->schedule = schedule;
	return E_OK;
}

void
state_forget(struct state *s, struct span name)
{
	struct row *row = map_del(&s->rows, name);

	if (row)
		free_row(row);
}

/* --- writing ----------------------------------------------------------------------------------------------------------- */

static void
add_rows(const struct state *s, const struct state_source *more, struct buf *b)
{
	struct map_iter it = { 0 };
	struct js w;

	js_init(&w, b);
	js_object(&w);
	js_key(&w, "version");
	js_int(&w, 1);
	js_key(&w, "entries");
	js_object(&w);
	while (map_next(&s->rows, &it)) {
		js_key_span(&w, it.key);
		row_add(&w, it.value);
	}
	if (more != NULL)
		more->add(more->owner, &w);
	js_object_end(&w);
	js_object_end(&w);
	buf_addc(b, '\n');
}

static enum err
write_all(int fd, struct span s)
{
	ssize_t n;

	while (s.len > 0) {
		n = write(fd, s.ptr, s.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return E_SYS;
		s.ptr += n;
		s.len -= (size_t)n;
	}
	return E_OK;
}

static enum err
write_file(struct state *s, const char *tmp, struct span bytes, struct errtext *t)
{
	enum err e = E_OK;
	int fd;

	if (unlinkat(s->folder, tmp, 0) != 0 && errno != ENOENT)
		return err_sys(t, "cannot remove %s.tmp", s->path);
	fd = openat(s->folder, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(t, "cannot create %s.tmp", s->path);
	if (write_all(fd, bytes) != E_OK || fsync(fd) != 0)
		e = err_sys(t, "cannot write %s.tmp", s->path);
	if (close(fd) != 0 && e == E_OK)
		e = err_sys(t, "cannot write %s.tmp", s->path);
	if (e == E_OK && renameat(s->folder, tmp, s->folder, file_name(s)) != 0)
		e = err_sys(t, "cannot rename %s.tmp", s->path);
	if (e == E_OK && fsync(s->folder) != 0)
		e = err_sys(t, "cannot make the new %s durable", s->path);
	return e;
}

enum err
state_save(struct state *s, const struct state_source *more, struct errtext *t)
{
	struct buf b;
	char *tmp;
	enum err e;

	if (s->path == NULL)
		return E_OK;
	buf_init(&b, 0);
	add_rows(s, more, &b);
	e = b.err;
	tmp = must_printf("%s.tmp", file_name(s));
	if (e == E_OK)
		e = write_file(s, tmp, buf_span(&b), t);
	else
		err_set(t, e, "out of memory");
	alloc_free(tmp);
	buf_release(&b);
	return e;
}
