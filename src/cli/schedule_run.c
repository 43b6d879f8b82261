/* warren schedule run: an entry now, beside its schedule. Sent from here, so no scheduler has to be up. */
#include "cli/schedule_cmd.h"

#include "cli/out.h"

#include "base/clock.h"
#include "base/js.h"

#include <unistd.h>

struct fate {
	enum err err;
	struct errtext why;
};

static void
on_sent(void *owner, const struct client_sent *s)
{
	struct fate *f = owner;

	f->err = err_set(&f->why, s->err, "%s", s->text);
}

static enum err
send(struct schedule_job *j, struct entry *e, struct client *client, struct errtext *t)
{
	struct fate fate = { .err = E_CLOSED };
	char host[256] = "localhost", origin[300];
	us_t now = clock_wall_us();
	enum err err;
	struct msg m;

	/* Due now: the id is one of this moment's. */
	e->fire = (struct plan_fire){
		.due = now, .following = schedule_next(&e->plan.schedule, now), .run = true
	};
	gethostname(host, sizeof(host) - 1);
	snprintf(origin, sizeof(origin), "gen%d@%s", (int)getpid(), host);
	err = entry_make_id(j->cli->conf.o.beat_group, e->conf->name, now, e->id, t);
	if (err == E_OK && e->conf->queue != NULL)
		err = client_ensure_queue(client, e->conf->queue, t);
	if (err != E_OK)
		return err;
	msg_init(&m, 0);
	err = entry_encode(e, origin, now, &m, t);
	if (err == E_OK)
		err = client_publish(client, &m, 0, on_sent, &fate, t);
	if (err == E_OK)
		err = client_flush(client, t);
	if (err == E_OK && fate.err != E_OK)
		err = err_set(t, fate.err, "%s", fate.why.text);
	msg_release(&m);
	return err;
}

static void
print_id(const struct schedule_job *j, const struct entry *e)
{
	struct buf b;
	struct js w;

	if (!j->cli->common.json) {
		out_line(span_of(e->id));
		return;
	}
	buf_init(&b, 0);
	js_init(&w, &b);
	js_object(&w);
	js_key(&w, "name");
	js_text(&w, e->conf->name);
	js_key(&w, "id");
	js_text(&w, e->id);
	js_object_end(&w);
	out_json(&b);
	buf_release(&b);
}

static int
run_one(struct schedule_job *j, const char *name, struct client *client)
{
	const struct when_entry *found = listing_find(&j->listing, span_of(name));
	struct errtext t = { "" };
	struct zones zones;
	struct entry e;
	enum err err;

	if (found == NULL)
		return schedule_no_such(j, name);
	zones_init(&zones);
	err = entry_init(&e, found->conf, &zones, &t);
	if (err == E_OK)
		err = send(j, &e, client, &t);
	if (err == E_OK)
		print_id(j, &e);
	else
		out_error("schedule run: %s: %s", name, t.text);
	zones_release(&zones);
	return err == E_OK ? 0 : exit_of(err);
}

int
schedule_run(struct schedule_job *j)
{
	struct client *client = NULL;
	int code = setup_client(j->cli, true, &client), one;

	for (size_t i = 1; client != NULL && i < j->cli->n_args; i++) {
		one = run_one(j, j->cli->args[i], client);
		code = one > code ? one : code;
	}
	client_free(client);
	return code;
}
