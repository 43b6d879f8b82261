/* Remote control: stats, in the form of Celery's (celery-wire.md 8.5), which Flower and others read by name. */
#include "worker/ctl.h"

#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/url.h"

static void
add_int(struct js *js, const char *key, int64_t value)
{
	js_key(js, key);
	js_int(js, value);
}

static void
add_text(struct js *js, const char *key, const char *value)
{
	js_key(js, key);
	js_text(js, value);
}

static void
add_bool(struct js *js, const char *key, bool value)
{
	js_key(js, key);
	js_bool(js, value);
}

static void
add_total(struct ctl *c)
{
	struct map_iter it = { 0 };

	js_key(c->js, "total");
	js_object(c->js);
	while (map_next(&c->worker->totals, &it)) {
		js_key_span(c->js, it.key);
		js_int(c->js, *(const int64_t *)it.value);
	}
	js_object_end(c->js);
}

/* How the runs are spread over the slots: "0.66, 0.34". */
static void
add_writes(struct ctl *c)
{
	struct worker *w = c->worker;
	struct buf avg, all, raw;
	int64_t total = 0;
	size_t slots = 0;

	buf_init(&avg, 0);
	buf_init(&all, 0);
	buf_init(&raw, 0);
	for (size_t i = 0; i < w->n_pools; i++)
		for (size_t k = 0; k < w->pools[i].n_slots; k++, slots++)
			total += w->pools[i].slots[k]->runs;
	for (size_t i = 0; i < w->n_pools; i++)
		for (size_t k = 0; k < w->pools[i].n_slots; k++) {
			int64_t runs = w->pools[i].slots[k]->runs;

			buf_addf(&all, "%s%.2f", all.len > 0 ? ", " : "",
				total > 0 ? (double)runs / (double)total : 0.0);
			buf_addf(&raw, "%s%lld", raw.len > 0 ? ", " : "", (long long)runs);
		}
	js_key(c->js, "writes");
	js_object(c->js);
	add_int(c->js, "total", total);
	js_key(c->js, "avg");
	buf_addf(&avg, "%.2f", total > 0 ? 1.0 / (double)slots : 0.0);
	js_string(c->js, buf_span(&avg));
	js_key(c->js, "all");
	js_string(c->js, buf_span(&all));
	js_key(c->js, "raw");
	js_string(c->js, buf_span(&raw));
	add_text(c->js, "strategy", "fair");
	js_key(c->js, "inqueues");
	js_object(c->js);
	add_int(c->js, "total", (int64_t)slots);
	add_int(c->js, "active", (int64_t)worker_active(w));
	js_object_end(c->js);
	js_object_end(c->js);
	buf_release(&avg);
	buf_release(&all);
	buf_release(&raw);
}

static void
add_processes(struct ctl *c)
{
	struct worker *w = c->worker;

	js_key(c->js, "processes");
	js_array(c->js);
	for (size_t i = 0; i < w->n_pools; i++)
		for (size_t k = 0; k < w->pools[i].n_slots; k++)
			if (w->pools[i].slots[k]->child != NULL)
				js_int(c->js, child_pid(w->pools[i].slots[k]->child));
	js_array_end(c->js);
}

static int64_t
slots_of(const struct worker *w)
{
	int64_t n = 0;

	for (size_t i = 0; i < w->n_pools; i++)
		n += (int64_t)w->pools[i].size;
	return n;
}

static void
add_pool(struct ctl *c)
{
	const struct task_rule *rule = &c->worker->rules.tasks.fallback;
	int64_t max_tasks = c->worker->n_pools > 0 ? c->worker->pools[0].conf->max_tasks_per_child : 0;

	js_key(c->js, "pool");
	js_object(c->js);
	add_text(c->js, "implementation", "warren:process");
	add_int(c->js, "max-concurrency", slots_of(c->worker));
	add_processes(c);
	if (max_tasks > 0)
		add_int(c->js, "max-tasks-per-child", max_tasks);
	else
		add_text(c->js, "max-tasks-per-child", "N/A");
	add_bool(c->js, "put-guarded-by-semaphore", false);
	js_key(c->js, "timeouts");
	js_array(c->js);
	js_double(c->js, rule->soft_time_limit);
	js_double(c->js, rule->time_limit);
	js_array_end(c->js);
	add_writes(c);
	js_object_end(c->js);
}

static void
add_broker(struct ctl *c)
{
	const char *text = bus_conn_url(c->worker->consume);
	struct url url = { .scheme = NULL };
	bool known = url_parse(&url, text, NULL) == E_OK;

	js_key(c->js, "broker");
	js_object(c->js);
	add_text(c->js, "hostname", known ? url.host : NULL);
	add_text(c->js, "userid", known && url.user != NULL ? url.user : "guest");
	add_text(c->js, "virtual_host", known && url.path != NULL ? url.path : "/");
	add_int(c->js, "port", known && url.port > 0 ? url.port : 5672);
	add_bool(c->js, "insist", false);
	add_bool(c->js, "ssl", known && strcmp(url.scheme, "amqps") == 0);
	add_text(c->js, "transport", "amqp");
	js_key(c->js, "connect_timeout");
	js_double(c->js, (double)c->worker->conf->broker.connect_ms / 1000);
	js_key(c->js, "transport_options");
	js_object(c->js);
	js_object_end(c->js);
	add_text(c->js, "login_method", "PLAIN");
	add_text(c->js, "uri_prefix", NULL);
	js_key(c->js, "heartbeat");
	js_double(c->js, c->worker->conf->broker.heartbeat_s > 0 ? c->worker->conf->broker.heartbeat_s : 30);
	add_text(c->js, "failover_strategy", "round-robin");
	js_key(c->js, "alternates");
	js_array(c->js);
	js_array_end(c->js);
	js_object_end(c->js);
	url_release(&url);
}

static void
add_rusage(struct ctl *c)
{
	struct rusage r = { .ru_maxrss = 0 };

	/* Cannot fail for oneself; then all is zero. */
	if (getrusage(RUSAGE_SELF, &r) != 0)
		r = (struct rusage){ .ru_maxrss = 0 };
	js_key(c->js, "rusage");
	js_object(c->js);
	js_key(c->js, "utime");
	js_double(c->js, (double)r.ru_utime.tv_sec + (double)r.ru_utime.tv_usec / 1e6);
	js_key(c->js, "stime");
	js_double(c->js, (double)r.ru_stime.tv_sec + (double)r.ru_stime.tv_usec / 1e6);
	add_int(c->js, "maxrss", r.ru_maxrss);
	add_int(c->js, "ixrss", r.ru_ixrss);
	add_int(c->js, "idrss", r.ru_idrss);
	add_int(c->js, "isrss", r.ru_isrss);
	add_int(c->js, "minflt", r.ru_minflt);
	add_int(c->js, "majflt", r.ru_majflt);
	add_int(c->js, "nswap", r.ru_nswap);
	add_int(c->js, "inblock", r.ru_inblock);
	add_int(c->js, "oublock", r.ru_oublock);
	add_int(c->js, "msgsnd", r.ru_msgsnd);
	add_int(c->js, "msgrcv", r.ru_msgrcv);
	add_int(c->js, "nsignals", r.ru_nsignals);
	add_int(c->js, "nvcsw", r.ru_nvcsw);
	add_int(c->js, "nivcsw", r.ru_nivcsw);
	js_object_end(c->js);
}

/* Of all pools that scale together: Celery knows one. `qty` is how many slots are about to be added or to go. */
static void
add_autoscaler(struct ctl *c)
{
	const struct worker *w = c->worker;
	int64_t min = 0, max = 0, current = 0, size = 0;

	for (size_t i = 0; i < w->n_pools; i++) {
		const struct pool *p = &w->pools[i];

		if (p->scaling.max == 0)
			continue;
		min += p->scaling.min;
		max += p->scaling.max;
		size += (int64_t)p->size;
		for (size_t k = 0; k < p->n_slots; k++)
			current += !p->slots[k]->fresh;
	}
	if (max == 0)
		return;
	js_key(c->js, "autoscaler");
	js_object(c->js);
	add_int(c->js, "max", max);
	add_int(c->js, "min", min);
	add_int(c->js, "current", current);
	add_int(c->js, "qty", current > size ? current - size : size - current);
	js_object_end(c->js);
}

/* What Celery's has no place for. */
static void
add_own(struct ctl *c)
{
	struct worker *w = c->worker;

	js_key(c->js, "warren");
	js_object(c->js);
	add_text(c->js, "version", w->conf->version);
	add_int(c->js, "events_sent", (int64_t)w->pulse.sent);
	add_int(c->js, "events_dropped", (int64_t)w->pulse.dropped);
	add_int(c->js, "results_waiting", (int64_t)backend_pending(w->backend));
	js_key(c->js, "pools");
	js_object(c->js);
	for (size_t i = 0; i < w->n_pools; i++) {
		const struct pool *p = &w->pools[i];

		js_key_span(c->js, span_of(p->conf->name));
		js_object(c->js);
		add_int(c->js, "concurrency", (int64_t)p->size);
		add_int(c->js, "window", p->feed.window);
		add_int(c->js, "held", (int64_t)list_count(&p->jobs));
		if (p->scaling.max > 0) {
			add_int(c->js, "min", p->scaling.min);
			add_int(c->js, "max", p->scaling.max);
		}
		js_key(c->js, "queues");
		js_array(c->js);
		for (size_t k = 0; k < p->n_queues; k++)
			if (p->queues[k].wanted)
				js_text(c->js, p->queues[k].topo.name);
		js_array_end(c->js);
		js_object_end(c->js);
	}
	js_object_end(c->js);
	js_object_end(c->js);
}

void
ctl_stats(struct ctl *c)
{
	char clock[32];

	snprintf(clock, sizeof(clock), "%lld", (long long)c->worker->clock.value);
	js_object(c->js);
	add_total(c);
	add_int(c->js, "pid", getpid());
	add_text(c->js, "clock", clock);
	add_int(c->js, "uptime", (clock_mono_ms() - c->worker->started) / 1000);
	add_pool(c);
	add_broker(c);
	add_int(c->js, "prefetch_count", slots_of(c->worker));
	add_autoscaler(c);
	add_rusage(c);
	add_own(c);
	js_object_end(c->js);
}
