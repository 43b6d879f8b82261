/*
 * Loads task modules. Whatever a file can be instead of a good module is told apart here, before the child
 * says hello: no such file, not a library, symbols that nobody has, a library without tasks, a module built
 * for another ABI, names that clash.
 */
#include "host/module.h"

#include "base/alloc.h"
#include "base/text.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#define START_ERROR_MAX 256

/* The loader's words, which mostly begin with the path. */
static const char *
without_path(const char *why, const char *path)
{
	size_t n = strlen(path);

	return strncmp(why, path, n) == 0 && strncmp(why + n, ": ", 2) == 0 ? why + n + 2 : why;
}

/*
 * A bare file name means the one in the current folder, when there is one, and not a search along the library
 * path.
 */
static void *
open_library(const char *path, struct errtext *t)
{
	char *here = NULL;
	void *handle;
	const char *why;

	if (!strchr(path, '/') && access(path, F_OK) == 0) {
		here = alloc_printf("./%s", path);
		if (!here) {
			err_set(t, E_NOMEM, "cannot load %s: out of memory", path);
			return NULL;
		}
	}
	handle = dlopen(here ? here : path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		why = dlerror();
		if (!why)
			why = "unknown error";
		if (strstr(why, "undefined symbol"))
			err_set(t, E_CONF, "cannot load %s: %s; link the library that has it into the module",
				path, why);
		else if (strchr(path, '/') && access(path, F_OK) != 0)
			err_set(t, E_MISSING,
				"cannot load %s: there is no such file; name a task module, such as "
				"./tasks.so",
				path);
		else
			err_set(t, E_CONF,
				"cannot load %s: %s; a module is a shared library (cc -shared -fPIC -o tasks.so "
				"tasks.c)",
				path, without_path(why, here ? here : path));
	}
	alloc_free(here);
	return handle;
}

static const struct warren_task_entry *
entry_at(const struct warren_module *table, size_t i)
{
	return (const void *)((const char *)table->tasks + i * table->entry_size);
}

static enum err
check_table(const struct warren_module *table, const char *path, struct errtext *t)
{
	const struct warren_task_entry *e;
	size_t i;

	if (table->abi != WARREN_TASK_ABI)
		return err_set(t, E_CONF,
			"cannot use %s: it was built for version %u of warren/task.h and this is version %u; "
			"build it again",
			path, (unsigned)table->abi, (unsigned)WARREN_TASK_ABI);
	if (table->entry_size < sizeof(*e) || table->entry_size % sizeof(void *) != 0 ||
		(table->task_count && !table->tasks))
		return err_set(t, E_CONF,
			"cannot use %s: its table of tasks is damaged; let WARREN_MODULE() make it", path);
	if (!table->task_count)
		return err_set(
			t, E_CONF, "cannot use %s: it has no tasks; list them in WARREN_MODULE()", path);
	for (i = 0; i < table->task_count; i++) {
		e = entry_at(table, i);
		if (!e->name || !e->name[0])
			return err_set(t, E_CONF, "cannot use %s: entry %zu of WARREN_MODULE() has no name",
				path, i + 1);
		if (!text_is_utf8(span_of(e->name)))
			return err_set(t, E_CONF,
				"cannot use %s: the name of entry %zu of WARREN_MODULE() is not UTF-8", path,
				i + 1);
		if (!e->run)
			return err_set(t, E_CONF, "cannot use %s: task '%s' has no function; set .run", path,
				e->name);
	}
	return E_OK;
}

static enum err
load(struct module *m, const char *path, struct errtext *t)
{
	void *handle = open_library(path, t);

	if (!handle)
		return E_CONF;
	m->path = path;
	m->table = dlsym(handle, "warren_module");
	if (!m->table)
		return err_set(t, E_CONF,
			"cannot use %s: it is a library but no task module, it has no warren_module; "
			"add WARREN_MODULE() from warren/task.h",
			path);
	return check_table(m->table, path, t);
}

static int
by_name(const void *a, const void *b)
{
	const struct module_task *x = a, *y = b;

	return strcmp(x->entry->name, y->entry->name);
}

static enum err
merge(struct modules *m, struct errtext *t)
{
	const struct module_task *a, *b;
	size_t i, j;

	for (i = 0; i < m->n; i++)
		m->task_count += m->list[i].table->task_count;
	m->tasks = alloc_zero(m->task_count * sizeof(*m->tasks));
	if (!m->tasks)
		return err_set(t, E_NOMEM, "out of memory for %zu tasks", m->task_count);
	m->task_count = 0;
	for (i = 0; i < m->n; i++)
		for (j = 0; j < m->list[i].table->task_count; j++)
			m->tasks[m->task_count++] =
				(struct module_task){ entry_at(m->list[i].table, j), &m->list[i] };
	qsort(m->tasks, m->task_count, sizeof(*m->tasks), by_name);
	for (i = 1; i < m->task_count; i++) {
		a = &m->tasks[i - 1];
		b = &m->tasks[i];
		if (strcmp(a->entry->name, b->entry->name) == 0)
			return err_set(t, E_EXISTS, "task '%s' is in %s and in %s; rename one of them",
				a->entry->name, a->module->path, b->module->path);
	}
	return E_OK;
}

enum err
modules_load(struct modules *m, char *const *paths, size_t n, struct errtext *t)
{
	enum err e = E_OK;

	*m = (struct modules){ .list = alloc_zero(n * sizeof(*m->list)) };
	if (!m->list)
		return err_set(t, E_NOMEM, "out of memory for %zu modules", n);
	while (e == E_OK && m->n < n) {
		e = load(&m->list[m->n], paths[m->n], t);
		m->n++;
	}
	return e == E_OK ? merge(m, t) : e;
}

enum err
modules_start(const struct modules *m, struct errtext *t)
{
	char why[START_ERROR_MAX];
	size_t i;

	for (i = 0; i < m->n; i++) {
		why[0] = '\0';
		if (!m->list[i].table->start || m->list[i].table->start(why, sizeof(why)))
			continue;
		why[sizeof(why) - 1] = '\0';
		return err_set(t, E_CONF, "%s could not start: %s", m->list[i].path,
			why[0] ? why : "it does not say why");
	}
	return E_OK;
}

void
modules_stop(const struct modules *m)
{
	size_t i;

	for (i = m->n; i > 0; i--)
		if (m->list[i - 1].table->stop)
			m->list[i - 1].table->stop();
}

void
modules_release(struct modules *m)
{
	alloc_free(m->list);
	alloc_free(m->tasks);
	*m = (struct modules){ .list = NULL };
}

/* The order of by_name, for a name that may hold a NUL. */
static int
compare(struct span have, struct span name)
{
	int order = memcmp(have.ptr, name.ptr, have.len < name.len ? have.len : name.len);

	if (order == 0 && have.len != name.len)
		order = have.len < name.len ? -1 : 1;
	return order;
}

const struct warren_task_entry *
modules_find(const struct modules *m, struct span name)
{
	size_t low = 0, high = m->task_count, mid;
	int order;

	while (low < high) {
		mid = low + (high - low) / 2;
		order = compare(span_of(m->tasks[mid].entry->name), name);
		if (order == 0)
			return m->tasks[mid].entry;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
