/* Waiting: nothing is missed between looking and listening, lost messages are made up for, handles end where they should. */
#include "fixture.h"

#define KEY "celery-task-meta-U1"
#define STARTED "{\"status\": \"STARTED\", \"result\": null, \"task_id\": \"U1\"}"
#define SUCCESS "{\"status\": \"SUCCESS\", \"result\": 5, \"task_id\": \"U1\"}"

struct waiter {
	struct world *w;
	struct backend_wait *handle;
	struct buf seen;
	bool close_in_fn, cancel_in_fn;
	struct waiter *cancel_other;
};

static void
on_state(void *p, enum err e, const struct result *r, const char *why)
{
	struct waiter *x = p;

	(void)why;
	if (e == E_OK)
		buf_addf(&x->seen, "%.*s ", SPAN_FMT(r->state));
	else
		buf_addf(&x->seen, "(%s) ", err_name(e));
	if (e == E_OK && result_is_ready(r->state))
		x->handle = NULL;
	if (x->cancel_in_fn) {
		backend_wait_cancel(x->handle);
		x->handle = NULL;
	}
	if (x->cancel_other) {
		backend_wait_cancel(x->cancel_other->handle);
		x->cancel_other->handle = NULL;
	}
	if (x->close_in_fn) {
		backend_close(x->w->b);
		x->w->b = NULL;
	}
}

/* Both connections: `main` is the one that looks, w->f.fd the one that listens. */
struct stage {
	struct world w;
	int main;
};

static void
wait_for(struct stage *s, struct waiter *x)
{
	x->w = &s->w;
	assert_int_equal(backend_wait(&x->handle, s->w.b, SPAN("U1"), on_state, x), E_OK);
	assert_int_equal(x->seen.len, 0);
}

static void
use(struct stage *s, int *fd)
{
	int other = s->w.f.fd;

	/* What was read of the other connection must have been dealt with. */
	assert_int_equal(s->w.f.len, 0);
	s->w.f.fd = *fd;
	*fd = other;
}

static void
swap(struct stage *s)
{
	use(s, &s->main);
}

static void
say_bulk(struct fake *f, const char *text)
{
	char frame[512];

	snprintf(frame, sizeof(frame), "$%zu\r\n%s\r\n", strlen(text), text);
	fake_say(f, frame);
}

static void
publish(struct fake *f, const char *text)
{
	fake_say(f, "*3\r\n$7\r\nmessage\r\n$19\r\n" KEY "\r\n");
	say_bulk(f, text);
}

#define CONFIRM "*3\r\n$9\r\nsubscribe\r\n$19\r\n" KEY "\r\n:1\r\n"

static void
listener_connects(struct stage *s)
{
	fake_hello(&s->w.f);
	fake_command(&s->w.f, "SUBSCRIBE " KEY);
}

static void
open_stage(struct stage *s, struct loop *l, struct waiter *x)
{
	world_open(&s->w, l, (struct backend_conf){ 0 });
	wait_for(s, x);
	s->main = s->w.f.fd;
	listener_connects(s);
}

static void
close_stage(struct stage *s, struct waiter *x, size_t n)
{
	close(s->main);
	world_close(&s->w);
	for (size_t i = 0; i < n; i++)
		buf_release(&x[i].seen);
}

static bool
saw(const struct waiter *x, const char *states)
{
	return span_is(buf_span(&x->seen), states);
}

static void
it_looks_only_once_the_subscription_stands(void **state)
{
	struct stage s;
	struct waiter x = { 0 };

	open_stage(&s, *state, &x);
	swap(&s);
	for (int i = 0; i < 5; i++)
		loop_turn(s.w.f.l, 0);
	assert_false(fake_take(&s.w.f));
	swap(&s);
	fake_say(&s.w.f, CONFIRM);
	swap(&s);
	fake_command(&s.w.f, "GET " KEY);
	fake_say(&s.w.f, "$-1\r\n");
	TURN_UNTIL(s.w.f.l, x.seen.len);
	assert_true(saw(&x, "(not found) "));
	swap(&s);
	publish(&s.w.f, STARTED);
	publish(&s.w.f, SUCCESS);
	/* It is over: unsubscribed, and what still comes is for nobody. */
	fake_command(&s.w.f, "UNSUBSCRIBE " KEY);
	publish(&s.w.f, SUCCESS);
	loop_turn(s.w.f.l, 0);
	assert_true(saw(&x, "(not found) STARTED SUCCESS "));
	assert_null(x.handle);
	close_stage(&s, &x, 1);
}

static void
what_is_there_already_is_found(void **state)
{
	struct stage s;
	struct waiter x = { 0 };

	open_stage(&s, *state, &x);
	fake_say(&s.w.f, CONFIRM);
	swap(&s);
	fake_command(&s.w.f, "GET " KEY);
	say_bulk(&s.w.f, SUCCESS);
	TURN_UNTIL(s.w.f.l, saw(&x, "SUCCESS "));
	close_stage(&s, &x, 1);
}

static void
a_lost_message_is_made_up_for_by_the_poll(void **state)
{
	struct stage s;
	struct waiter x = { 0 };

	clock_fake(0, 1);
	open_stage(&s, *state, &x);
	fake_say(&s.w.f, CONFIRM);
	swap(&s);
	fake_command(&s.w.f, "GET " KEY);
	fake_say(&s.w.f, "$-1\r\n");
	TURN_UNTIL(s.w.f.l, x.seen.len);
	clock_fake(999 * 1000, 1);
	loop_turn(s.w.f.l, 0);
	assert_false(fake_take(&s.w.f));
	clock_fake(1000 * 1000, 1);
	fake_command(&s.w.f, "GET " KEY);
	say_bulk(&s.w.f, STARTED);
	TURN_UNTIL(s.w.f.l, saw(&x, "(not found) STARTED "));
	/* The next one comes later than the first. */
	clock_fake(2900 * 1000, 1);
	loop_turn(s.w.f.l, 0);
	assert_false(fake_take(&s.w.f));
	clock_fake(3000 * 1000, 1);
	fake_command(&s.w.f, "GET " KEY);
	say_bulk(&s.w.f, SUCCESS);
	TURN_UNTIL(s.w.f.l, saw(&x, "(not found) STARTED SUCCESS "));
	close_stage(&s, &x, 1);
}

static void
after_a_loss_of_the_listener_it_looks_again(void **state)
{
	struct stage s;
	struct waiter x = { 0 };

	open_stage(&s, *state, &x);
	fake_say(&s.w.f, CONFIRM);
	swap(&s);
	fake_command(&s.w.f, "GET " KEY);
	fake_say(&s.w.f, "$-1\r\n");
	TURN_UNTIL(s.w.f.l, x.seen.len);
	swap(&s);
	fake_drop(&s.w.f);
	listener_connects(&s);
	fake_say(&s.w.f, CONFIRM);
	swap(&s);
	fake_command(&s.w.f, "GET " KEY);
	say_bulk(&s.w.f, SUCCESS);
	TURN_UNTIL(s.w.f.l, saw(&x, "(not found) SUCCESS "));
	assert_int_equal(s.w.n_down, 0);
	close_stage(&s, &x, 1);
}

static void
an_answer_from_before_the_subscription_is_not_the_last_word(void **state)
{
	struct stage s;
	struct waiter x = { 0 };

	clock_fake(0, 1);
	open_stage(&s, *state, &x);
	/* The poll comes first, because the confirmation is slow. */
	clock_fake(1000 * 1000, 1);
	swap(&s);
	fake_command(&s.w.f, "GET " KEY);
	swap(&s);
	fake_say(&s.w.f, CONFIRM);
	for (int i = 0; i < 5; i++)
		loop_turn(s.w.f.l, 0);
	swap(&s);
	fake_say(&s.w.f, "$-1\r\n");
	fake_command(&s.w.f, "GET " KEY);
	say_bulk(&s.w.f, SUCCESS);
	TURN_UNTIL(s.w.f.l, saw(&x, "(not found) SUCCESS "));
	close_stage(&s, &x, 1);
}

static void
two_wait_for_the_same_id_and_one_may_end_the_other(void **state)
{
	struct stage s;
	struct waiter x[3] = { 0 };

	open_stage(&s, *state, &x[0]);
	fake_say(&s.w.f, CONFIRM);
	swap(&s);
	fake_command(&s.w.f, "GET " KEY);
	fake_say(&s.w.f, "$-1\r\n");
	TURN_UNTIL(s.w.f.l, x[0].seen.len);
	/* No second subscription: it looks at once. */
	wait_for(&s, &x[1]);
	wait_for(&s, &x[2]);
	fake_command(&s.w.f, "GET " KEY);
	fake_command(&s.w.f, "GET " KEY);
	fake_say(&s.w.f, "$-1\r\n$-1\r\n");
	TURN_UNTIL(s.w.f.l, x[2].seen.len);
	x[0].cancel_other = &x[1];
	x[0].cancel_in_fn = true;
	swap(&s);
	publish(&s.w.f, STARTED);
	publish(&s.w.f, SUCCESS);
	fake_command(&s.w.f, "UNSUBSCRIBE " KEY);
	assert_true(saw(&x[0], "(not found) STARTED "));
	assert_true(saw(&x[1], "(not found) "));
	assert_true(saw(&x[2], "(not found) STARTED SUCCESS "));
	close_stage(&s, x, 3);
}

static void
a_cancelled_wait_is_silent_also_with_a_look_on_its_way(void **state)
{
	struct stage s;
	struct waiter x = { 0 };

	open_stage(&s, *state, &x);
	fake_say(&s.w.f, CONFIRM);
	swap(&s);
	fake_command(&s.w.f, "GET " KEY);
	backend_wait_cancel(x.handle);
	fake_say(&s.w.f, "$-1\r\n");
	for (int i = 0; i < 5; i++)
		loop_turn(s.w.f.l, 0);
	assert_true(saw(&x, ""));
	backend_wait_cancel(NULL);
	close_stage(&s, &x, 1);
}

static void
the_backend_may_be_closed_when_the_result_is_there(void **state)
{
	struct stage s;
	struct waiter x[2] = { 0 };

	/* Heard. */
	open_stage(&s, *state, &x[0]);
	wait_for(&s, &x[1]);
	x[0].close_in_fn = true;
	fake_say(&s.w.f, CONFIRM);
	publish(&s.w.f, SUCCESS);
	TURN_UNTIL(s.w.f.l, !s.w.b);
	assert_true(saw(&x[0], "SUCCESS "));
	assert_true(saw(&x[1], ""));
	close_stage(&s, x, 2);
	/* Looked up. */
	x[0] = x[1] = (struct waiter){ 0 };
	open_stage(&s, *state, &x[0]);
	x[0].close_in_fn = true;
	fake_say(&s.w.f, CONFIRM);
	swap(&s);
	fake_command(&s.w.f, "GET " KEY);
	say_bulk(&s.w.f, SUCCESS);
	TURN_UNTIL(s.w.f.l, !s.w.b);
	assert_true(saw(&x[0], "SUCCESS "));
	close_stage(&s, x, 1);
	/* With a cancelled wait whose look is still on its way. */
	x[0] = (struct waiter){ 0 };
	open_stage(&s, *state, &x[0]);
	fake_say(&s.w.f, CONFIRM);
	swap(&s);
	fake_command(&s.w.f, "GET " KEY);
	backend_wait_cancel(x[0].handle);
	close_stage(&s, x, 1);
}

static void
a_wait_outlives_a_loss_of_both_connections(void **state)
{
	struct stage s;
	struct waiter x = { 0 };

	open_stage(&s, *state, &x);
	fake_say(&s.w.f, CONFIRM);
	swap(&s);
	fake_command(&s.w.f, "GET " KEY);
	/* The first connection goes with the question: it is asked again by the next. */
	fake_drop(&s.w.f);
	TURN_UNTIL(s.w.f.l, s.w.n_down);
	world_connect(&s.w);
	fake_command(&s.w.f, "GET " KEY);
	say_bulk(&s.w.f, SUCCESS);
	TURN_UNTIL(s.w.f.l, saw(&x, "SUCCESS "));
	close_stage(&s, &x, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(it_looks_only_once_the_subscription_stands),
		LOOP_TEST(what_is_there_already_is_found),
		LOOP_TEST(a_lost_message_is_made_up_for_by_the_poll),
		LOOP_TEST(after_a_loss_of_the_listener_it_looks_again),
		LOOP_TEST(an_answer_from_before_the_subscription_is_not_the_last_word),
		LOOP_TEST(two_wait_for_the_same_id_and_one_may_end_the_other),
		LOOP_TEST(a_cancelled_wait_is_silent_also_with_a_look_on_its_way),
		LOOP_TEST(the_backend_may_be_closed_when_the_result_is_there),
		LOOP_TEST(a_wait_outlives_a_loss_of_both_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
