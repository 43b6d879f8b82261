/* Reads files below /usr/share/zoneinfo ($TZDIR when set, as libc does). A name from a configuration cannot lead out of it. */
#include "beat/zones.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define NAME_MAX_BYTES 100

void
zones_init(struct zones *z)
{
	map_init(&z->by_name);
}

static void
free_zone(void *zone)
{
	zone_free(zone);
}

void
zones_release(struct zones *z)
{
	map_release(&z->by_name, free_zone);
}

static bool
is_name(struct span name)
{
	struct span rest = name, part;

	if (name.len == 0 || name.len > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (!((c | 32) >= 'a' && (c | 32) <= 'z') && !(c >= '0' && c <= '9') && c != '_' &&
			c != '-' && c != '+' && c != '/')
			return false;
	}
	while (rest.ptr != NULL) {
		part = span_split(&rest, '/');
		if (part.len == 0)
			return false;
	}
	return true;
}

static enum err
read_all(int fd, struct buf *b)
{
	ssize_t n;

	do {
		char *room = buf_room(b, 4096);

		if (room == NULL)
			return b->err;
		n = read(fd, room, 4096);
		if (n > 0)
			buf_grew(b, (size_t)n);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? E_SYS : E_OK;
}

static enum err
read_zone(struct zone **out, const char *path, struct span name, struct errtext *t)
{
	struct buf b;
	enum err e;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(t, E_CONF,
			"there is no time zone '%.*s' in the tz database (%s; package tzdata)",
			SPAN_FMT(name), path);
	if (fd < 0)
		return err_sys(t, "cannot open %s", path);
	buf_init(&b, ZONE_BYTES_MAX);
	e = read_all(fd, &b);
	if (e == E_SYS)
		e = errno == EISDIR ? err_set(t, E_CONF, "'%.*s' is a group of time zones, not one of them",
					      SPAN_FMT(name))
				    : err_sys(t, "cannot read %s", path);
	else if (e != E_OK)
		err_set(t, e, "%s: %s", path, err_name(e));
	else {
		e = zone_parse(out, buf_span(&b), t);
		if (e != E_OK)
			err_prefix(t, e, "%s", path);
	}
	buf_release(&b);
	close(fd);
	return e;
}

enum err
zones_get(struct zones *z, struct span name, const struct zone **out, struct errtext *t)
{
	const char *folder = getenv("TZDIR");
	struct zone *zone = NULL;
	char path[4096];
	enum err e;

	*out = NULL;
	if (name.len == 0 || span_is(name, "UTC"))
		return E_OK;
	if (!is_name(name))
		return err_set(t, E_CONF, "'%.*s' is no name of a time zone; write it like Europe/Berlin",
			name.len > NAME_MAX_BYTES ? NAME_MAX_BYTES : (int)name.len, name.ptr);
	*out = map_get(&z->by_name, name);
	if (*out != NULL)
		return E_OK;
	if (span_is(name, "local"))
		snprintf(path, sizeof(path), "/etc/localtime");
	else
		snprintf(path, sizeof(path), "%s/%.*s", folder && *folder ? folder : "/usr/share/zoneinfo",
			SPAN_FMT(name));
	e = read_zone(&zone, path, name, t);
	if (e != E_OK)
		return e;
	if (map_set(&z->by_name, name, zone, NULL) != E_OK) {
		zone_free(zone);
		return err_set(t, E_NOMEM, "out of memory");
	}
	*out = zone;
	return E_OK;
}
