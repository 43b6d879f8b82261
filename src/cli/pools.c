/*
 * Pools of a worker from flags, settings, and what their applications say (app.h): what runs in the slots, with which environment. A Python
 * runner finds the package warren_runner where it was installed, or in the source tree when this program is run from its build folder.
 */
#include "cli/app.h"

#include "base/text.h"

#include <stdio.h>
#include <unistd.h>

#define PYTHON_PACKAGE "src/runners/python"
/* A child with less than this cannot be. */
#define LEAST_MEMORY (1 << 20)

static const char *
keep_text(struct cli *cli, const char *text)
{
	struct span copy = arena_dup(&cli->arena, span_of(text));

	return copy.ptr != NULL ? copy.ptr : must_dup(span_of(text));
}

/* NULL-ended; `n` items and room for one more in front of the end. */
static const char **
new_list(struct cli *cli, size_t n)
{
	const char **list = arena_zero(&cli->arena, (n + 2) * sizeof(*list));

	return list != NULL ? list : must_alloc((n + 2) * sizeof(*list));
}

static bool
has_runner(const char *folder)
{
	char probe[3300];

	snprintf(probe, sizeof(probe), "%.3200s/warren_runner/__main__.py", folder);
	return access(probe, R_OK) == 0;
}

/*
 * By the place of the program itself: in a build folder, which is the one with config.status, at most two levels below the sources; in
 * an installation that was moved as a whole, or is not in its place yet.
 */
static bool
find_python(char *out, size_t size)
{
	static const char *const ups[] = { "", "../", "../../" };
	char folder[3000], probe[3100];
	ssize_t len = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
	char *slash;
	size_t i;

	if (len <= 0)
		return false;
	folder[len] = '\0';
	slash = strrchr(folder, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	snprintf(out, size, "%s/../share/warren/python", folder);
	if (has_runner(out))
		return true;
	snprintf(probe, sizeof(probe), "%s/config.status", folder);
	if (access(probe, F_OK) != 0)
		return false;
	for (i = 0; i < ARRAY_LEN(ups); i++) {
		snprintf(out, size, "%s/%s" PYTHON_PACKAGE, folder, ups[i]);
		if (has_runner(out))
			return true;
	}
	return false;
}

static const char *
python_path(struct cli *cli)
{
	const char *set = getenv("WARREN_PYTHONDIR"), *before = getenv("PYTHONPATH");
	char found[3200];
	const char *path;
	char *all;

	if (set == NULL || *set == '\0')
		set = find_python(found, sizeof(found)) ? found : WARREN_PYTHONDIR;
	if (before == NULL || *before == '\0')
		all = must_printf("PYTHONPATH=%s", set);
	else
		all = must_printf("PYTHONPATH=%s:%s", set, before);
	path = keep_text(cli, all);
	alloc_free(all);
	return path;
}

static bool
is_python(const char *program)
{
	const char *slash = strrchr(program, '/');

	return span_starts(span_of(slash != NULL ? slash + 1 : program), "python");
}

/* The pool's own variables, and where Python finds the runner unless the pool says so itself. */
static const char *const *
pool_env(struct cli *cli, const struct opt_list *own, const char *program)
{
	const char **env = new_list(cli, own->n);
	size_t i;
	bool set = false;

	for (i = 0; i < own->n; i++) {
		env[i] = own->items[i];
		set |= span_starts(span_of(env[i]), "PYTHONPATH=");
	}
	if (!set && is_python(program))
		env[i] = python_path(cli);
	return env;
}

static const char *const *
runner_argv(struct cli *cli, const struct runner_flags *r)
{
	static const char *const python[] = { "python3", "-m", "warren_runner", "-A" };
	const char **argv;
	size_t i;

	if (r->runner.n > 0)
		return r->runner.items;
	if (r->module.n > 0) {
		argv = new_list(cli, r->module.n + 2);
		argv[0] = "warren";
		argv[1] = "runner";
		for (i = 0; i < r->module.n; i++)
			argv[2 + i] = r->module.items[i];
		return argv;
	}
	argv = new_list(cli, ARRAY_LEN(python) + 1);
	memcpy(argv, python, sizeof(python));
	argv[ARRAY_LEN(python)] = r->app;
	return argv;
}

static int
count_runners(const struct runner_flags *r)
{
	return (*r->app != '\0') + (r->module.n > 0) + (r->runner.n > 0);
}

bool
setup_has_runner(const struct runner_flags *r)
{
	return count_runners(r) > 0;
}

/* Those named, or what the application consumes from (which has the named ones, and its own beside them), or the default queue. */
static const struct bus_topo_queue *
pool_queues(struct cli *cli, const struct opt_list *names, const struct app *app, size_t *n)
{
	size_t of_app = app != NULL ? app->n_queues : 0,
	       count = of_app > 0 ? of_app
		: names->n > 0    ? names->n
				  : 1,
	       i;
	struct bus_topo_queue *queues = arena_zero(&cli->arena, count * sizeof(*queues));
	const char *name;

	if (queues == NULL)
		queues = must_alloc(count * sizeof(*queues));
	for (i = 0; i < count; i++) {
		name = cli->conf.o.default_queue;
		if (of_app > 0)
			name = app->queues[i].name;
		else if (names->n > 0)
			name = names->items[i];
		queues[i] = setup_queue(cli, name);
	}
	*n = count;
	return queues;
}

static int
slots(const struct cli *cli, int64_t own)
{
	long cpus;

	if (own == 0)
		own = cli->conf.o.concurrency;
	if (own > 0)
		return (int)own;
	cpus = sysconf(_SC_NPROCESSORS_ONLN);
	return cpus > 0 ? (int)cpus : 1;
}

static bool
is_given(const struct conf_pool *pool, const char *key)
{
	return conf_is_given(conf_section("pools"), pool, key);
}

static enum err
set_scaling(struct scale_conf *c, struct span key, struct span value, struct errtext *t)
{
	int64_t n;

	if (span_is(key, "idle"))
		return text_parse_duration(value, &c->idle_ms) && c->idle_ms >= 1000
			? E_OK
			: err_set(t, E_CONF, "autoscale: idle is a time of at least 1s, not '%.*s'",
				  SPAN_FMT(value));
	if (!span_is(key, "min") && !span_is(key, "max"))
		return err_set(t, E_CONF, "autoscale: '%.*s' is none of min, max and idle", SPAN_FMT(key));
	if (!text_parse_int(value, &n) || n < 1 || n > POOL_SLOTS_MAX)
		return err_set(t, E_CONF, "autoscale: %.*s is a number from 1 to %d, not '%.*s'",
			SPAN_FMT(key), POOL_SLOTS_MAX, SPAN_FMT(value));
	*(span_is(key, "min") ? &c->min : &c->max) = (uint32_t)n;
	return E_OK;
}

static enum err
check_scaling(const struct scale_conf *c, struct errtext *t)
{
	if (c->max == 0)
		return err_set(t, E_CONF, "autoscale: max is missing");
	return c->min > c->max
		? err_set(t, E_CONF, "autoscale: min (%u) is more than max (%u)", c->min, c->max)
		: E_OK;
}

/* { min: 1, max: 8, idle: 30s } */
static enum err
pool_scaling(const struct conf_pool *from, struct scale_conf *out, struct errtext *t)
{
	struct scale_conf c = { .min = 1, .idle_ms = SCALE_IDLE_MS };
	enum err e = E_OK;

	for (size_t i = 0; e == E_OK && i < from->autoscale.n; i++) {
		struct span value = span_of(from->autoscale.items[i]), key = span_split(&value, '=');

		e = set_scaling(&c, key, value, t);
	}
	if (e != E_OK || from->autoscale.n == 0)
		return e;
	if (from->concurrency > 0)
		return err_set(t, E_CONF, "concurrency and autoscale are both given: keep one of them");
	*out = c;
	return check_scaling(&c, t);
}

enum err
setup_autoscale(const char *text, struct scale_conf *out, struct errtext *t)
{
	struct scale_conf c = { .min = 1, .idle_ms = SCALE_IDLE_MS };
	struct span rest = span_of(text), max = span_trim(span_split(&rest, ',')), min = span_trim(rest);
	enum err e;

	if (*text == '\0')
		return E_OK;
	e = set_scaling(&c, SPAN("max"), max, t);
	if (e == E_OK && min.len > 0)
		e = set_scaling(&c, SPAN("min"), min, t);
	if (e == E_OK)
		e = check_scaling(&c, t);
	if (e == E_OK)
		*out = c;
	return e == E_OK ? e : err_prefix(t, e, "--autoscale MAX,MIN");
}

/* A pool of the settings, or the one made of flags. */
static enum err
make_pool(struct cli *cli, const struct conf_pool *from, const struct runner_flags *r, const char *where,
	struct pool_conf *to, struct errtext *t)
{
	const struct options *o = &cli->conf.o;
	enum err e;

	if (count_runners(r) != 1)
		return err_set(t, E_CONF, "%s: exactly one of app, module and runner must be given", where);
	*to = (struct pool_conf){
		.name = from->item.name,
		.app = *r->app != '\0' ? r->app : NULL,
		.concurrency = slots(cli, from->concurrency),
		.runner = runner_argv(cli, r),
		.fork = *r->app != '\0' && (is_given(from, "fork") ? from->fork : o->fork),
		.cwd = *from->cwd != '\0' ? from->cwd : NULL,
		.pass_env = from->pass_env.items,
		.pass_all = *r->app != '\0' && from->pass_env.n == 0 && !is_given(from, "pass_env"),
		.memory_limit = from->memory_limit,
		.prefetch_multiplier = (int)(is_given(from, "prefetch_multiplier") ? from->prefetch_multiplier
										   : o->prefetch_multiplier),
		.max_tasks_per_child = is_given(from, "max_tasks_per_child") ? from->max_tasks_per_child
									     : o->max_tasks_per_child,
		.max_memory_per_child = is_given(from, "max_memory_per_child") ? from->max_memory_per_child
									       : o->max_memory_per_child,
		.start_ms = from->start_timeout,
	};
	if (to->max_memory_per_child > 0 && to->max_memory_per_child < LEAST_MEMORY)
		return err_set(t, E_CONF,
			"%s: max_memory_per_child is %lld bytes, less than any child takes; Celery counts in "
			"KiB: write %lldK",
			where, (long long)to->max_memory_per_child, (long long)to->max_memory_per_child);
	to->queues = pool_queues(cli, &from->queues, app_of_pool(cli, to->name), &to->n_queues);
	to->env = pool_env(cli, &from->env, to->runner[0]);
	e = pool_scaling(from, &to->scaling, t);
	return e == E_OK ? e : err_prefix(t, e, "%s", where);
}

static bool
is_chosen(const struct opt_list *chosen, const char *name)
{
	size_t i;

	for (i = 0; i < chosen->n; i++)
		if (strcmp(chosen->items[i], name) == 0)
			return true;
	return chosen->n == 0;
}

static enum err
check_chosen(const struct cli *cli, const struct opt_list *chosen, struct errtext *t)
{
	struct nearest near;
	enum err e = E_OK;
	struct buf b;
	size_t i, k;

	for (i = 0; e == E_OK && i < chosen->n; i++) {
		nearest_init(&near, span_of(chosen->items[i]));
		for (k = 0; k < cli->conf.n_pools; k++) {
			nearest_try(&near, cli->conf.pools[k].item.name);
			if (strcmp(cli->conf.pools[k].item.name, chosen->items[i]) == 0)
				break;
		}
		if (k < cli->conf.n_pools)
			continue;
		buf_init(&b, 0);
		nearest_add(&b, &near);
		e = err_set(t, E_CONF, "there is no pool '%s' in the configuration%s", chosen->items[i],
			buf_text(&b));
		buf_release(&b);
	}
	return e;
}

static enum err
pools_of_settings(
	struct cli *cli, const struct opt_list *chosen, struct pool_conf *pools, size_t *n, struct errtext *t)
{
	const struct conf *c = &cli->conf;
	struct runner_flags r;
	char where[200];
	enum err e = check_chosen(cli, chosen, t);
	size_t i;

	for (i = 0; e == E_OK && i < c->n_pools; i++) {
		const struct conf_pool *p = &c->pools[i];

		if (!is_chosen(chosen, p->item.name))
			continue;
		r = (struct runner_flags){ .app = p->app, .module = p->module, .runner = p->runner };
		snprintf(where, sizeof(where), "%s:%d: pool '%s'", c->file, p->item.line, p->item.name);
		e = make_pool(cli, p, &r, where, &pools[*n], t);
		*n += 1;
	}
	return e;
}

enum err
setup_pools(struct cli *cli, const struct runner_flags *r, const struct opt_list *queues,
	const struct opt_list *chosen, struct pool_conf **out, size_t *n, struct errtext *t)
{
	struct conf_pool plain = { .item.name = "default",
		.cwd = "",
		.start_timeout = 60000,
		.queues = *queues,
		.pass_env = r->pass_env };
	struct pool_conf *pools = arena_zero(&cli->arena, (cli->conf.n_pools + 1) * sizeof(*pools));

	*n = 0;
	*out = pools;
	if (pools == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	if (setup_has_runner(r)) {
		if (chosen->n > 0)
			return err_set(t, E_CONF,
				"--pool picks pools of the configuration: leave -A, --module and --runner out");
		*n = 1;
		return make_pool(cli, &plain, r, "command line", pools, t);
	}
	if (queues->n > 0)
		return err_set(t, E_CONF,
			"-Q needs -A, --module or --runner; the pools of the configuration name their own queues "
			"(--pool picks some of them)");
	if (cli->conf.n_pools == 0)
		return err_set(t, E_CONF,
			"nothing to run: give -A MODULE, --module LIB.so or --runner COMMAND, or pools in the configuration%s%s",
			cli->conf.file != NULL ? " " : " (no configuration file was read)",
			cli->conf.file != NULL ? cli->conf.file : "");
	return pools_of_settings(cli, chosen, pools, n, t);
}
