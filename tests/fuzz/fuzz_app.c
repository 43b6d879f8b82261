/*
 * What a program that runs tasks says before it runs any: an application of itself, a template process of its children. What decodes has all of
 * its texts, and what does not says why.
 */
#include "fuzz.h"

#include "wire/app.h"
#include "wire/fork.h"

static void
check_queue(const struct app_queue *q)
{
	CHECK(*q->name && q->binding.exchange && q->binding.exchange_type && q->binding.routing_key);
	for (size_t k = 0; k < q->n_more; k++)
		CHECK(q->more[k].exchange && q->more[k].exchange_type && q->more[k].routing_key);
	for (size_t k = 0; k < q->arguments.count; k++)
		CHECK(q->arguments.pairs[k].value.type != VAL_VOID &&
			q->arguments.pairs[k].value.type != VAL_TABLE);
}

static void
check_app(const struct app *app)
{
	CHECK(app->framework && app->version && app->name && app->result_backend);
	CHECK(app->settings.ptr && app->schedule.ptr && app->n_brokers <= APP_BROKERS_MAX);
	for (size_t i = 0; i < app->n_brokers; i++)
		CHECK(app->brokers[i]);
	for (size_t i = 0; i < app->n_queues; i++)
		check_queue(&app->queues[i]);
	for (size_t i = 0; i < app->n_routes; i++)
		CHECK(app->routes[i].pattern && app->routes[i].queue && app->routes[i].exchange &&
			app->routes[i].routing_key);
	for (size_t i = 0; i < app->n_tasks; i++)
		CHECK(app->tasks[i].name && jscan_kind(app->tasks[i].options) == JSCAN_OBJECT);
	for (size_t i = 0; i < app->n_notes; i++)
		CHECK(app->notes[i].setting && app->notes[i].note);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span line = { (const char *)data, size };
	struct errtext why = { "" };
	struct app_reply reply;
	struct fork_frame f;
	struct arena a;

	arena_init(&a, 0);
	if (app_decode(&reply, line, &a, &why) != E_OK)
		CHECK(why.text[0]);
	else if (reply.answer == APP_CELERY)
		check_app(&reply.app);
	else if (reply.answer == APP_FAILED)
		CHECK(reply.error);
	why.text[0] = '\0';
	if (fork_decode(&f, line, &a, &why) != E_OK)
		CHECK(why.text[0]);
	else if (f.type != FORK_HELLO)
		CHECK(f.slot.len > 0);
	arena_release(&a);
	return 0;
}
