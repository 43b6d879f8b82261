/*
 * Looks at /proc. The tree is walked downwards from the process by the lists of children that the kernel keeps for each thread, so the cost
 * depends on that tree alone and not on what else runs on the machine. A process that ends meanwhile counts as nothing.
 */
#include "loop/usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/text.h"

/* A fork bomb is not counted to its end. */
#define TREE_MAX 4096

struct pids {
	int *all;
	size_t n;
};

static struct span
read_small(const char *path, char *room, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, room, size) : -1;

	if (fd >= 0)
		close(fd);
	return (struct span){ room, n > 0 ? (size_t)n : 0 };
}

int64_t
usage_rss(int pid)
{
	char path[64], room[256];
	int64_t pages = 0;
	struct span rest;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	rest = read_small(path, room, sizeof(room));
	span_split(&rest, ' ');
	if (!text_parse_int(span_split(&rest, ' '), &pages))
		return 0;
	return pages * sysconf(_SC_PAGESIZE);
}

static void
add_children(struct pids *p, int pid, const char *thread)
{
	char path[128], room[8192];
	struct span rest;
	int64_t child;

	snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children", pid, thread);
	rest = read_small(path, room, sizeof(room));
	while (rest.len > 0 && p->n < TREE_MAX)
		if (text_parse_int(span_split(&rest, ' '), &child) && child > 0 && child <= INT32_MAX)
			p->all[p->n++] = (int)child;
}

static void
add_all_children(struct pids *p, int pid)
{
	char path[64];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (dir == NULL)
		return;
	/* The stream is ours alone. */
	while ((d = readdir(dir)) != NULL) /* cppcheck-suppress readdirCalled */
		if (d->d_name[0] != '.')
			add_children(p, pid, d->d_name);
	closedir(dir);
}

int64_t
usage_tree_rss(int pid)
{
	struct pids p = { .all = alloc_bytes(sizeof(*p.all) * TREE_MAX) };
	int64_t sum = 0;

	if (p.all == NULL)
		return usage_rss(pid);
	p.all[p.n++] = pid;
	for (size_t i = 0; i < p.n; i++) {
		sum += usage_rss(p.all[i]);
		add_all_children(&p, p.all[i]);
	}
	alloc_free(p.all);
	return sum;
}
