/* The connection, against a scripted Redis: order, deadlines, losses, refusals, subscriptions. */
#include "fake/fakeredis.h"

#include "base/alloc.h"
#include "store/redis.h"

struct client {
	struct rds *r;
	int n_up, n_down;
	struct rds_down down;
	char why[256];
	struct buf log; /* replies and messages, in order */
	bool close_in_fn, command_in_fn, close_in_down, in_call;
};

static void
on_up(void *p)
{
	struct client *c = p;

	assert_false(c->in_call);
	c->n_up++;
}

static void
on_down(void *p, const struct rds_down *d)
{
	struct client *c = p;

	assert_false(c->in_call);
	c->n_down++;
	c->down = *d;
	snprintf(c->why, sizeof(c->why), "%s", d->text);
	assert_non_null(strstr(d->url, "unix://"));
	if (c->close_in_down) {
		rds_close(c->r);
		c->r = NULL;
	}
}

static void
on_message(void *p, struct span channel, struct span payload)
{
	buf_addf(&((struct client *)p)->log, "%.*s=%.*s ", SPAN_FMT(channel), SPAN_FMT(payload));
}

static void
on_subscribed(void *p, struct span channel)
{
	buf_addf(&((struct client *)p)->log, "sub:%.*s ", SPAN_FMT(channel));
}

static const struct rds_ops ops = { on_up, on_down, on_message, on_subscribed };

static void
fn(void *p, enum err e, const struct rds_reply *r)
{
	struct client *c = p;

	assert_false(c->in_call);
	if (e != E_OK)
		buf_addf(&c->log, "%s ", err_name(e));
	else if (r->type == RDS_INTEGER)
		buf_addf(&c->log, "%lld ", (long long)r->integer);
	else
		buf_addf(&c->log, "%.*s ", SPAN_FMT(r->str));
	if (c->command_in_fn)
		assert_int_equal(rds_command(c->r, &SPAN("PING"), 1, 0, fn, c), e == E_OK ? E_OK : E_CLOSED);
	if (c->close_in_fn && c->r) {
		rds_close(c->r);
		c->r = NULL;
	}
}

static void
begin(struct client *c, struct fake *f, struct loop *l, struct rds_conf conf)
{
	*c = (struct client){ 0 };
	fake_start(f, l);
	if (!conf.url)
		conf.url = f->url;
	assert_int_equal(rds_new(&c->r, l, &conf, &ops, c, NULL), E_OK);
	rds_start(c->r);
}

static void
begin_up(struct client *c, struct fake *f, struct loop *l)
{
	begin(c, f, l, (struct rds_conf){ 0 });
	fake_hello(f);
	TURN_UNTIL(l, c->n_up == 1);
}

static void
end(struct client *c, struct fake *f)
{
	rds_close(c->r);
	loop_turn(f->l, 0);
	buf_release(&c->log);
	fake_stop(f);
}

static enum err
ask(struct client *c, const char *word, ms_t limit)
{
	struct span argv[] = { span_of(word) };
	enum err e;

	c->in_call = true;
	e = rds_command(c->r, argv, 1, limit, fn, c);
	c->in_call = false;
	return e;
}

static void
replies_go_to_their_commands_in_order(void **state)
{
	struct client c;
	struct fake f;

	begin_up(&c, &f, *state);
	assert_true(rds_is_up(c.r));
	for (int i = 0; i < 40; i++)
		assert_int_equal(ask(&c, "A", 0), E_OK);
	loop_turn(f.l, 0);
	for (int i = 0; i < 39; i++)
		fake_say(&f, ":1\r\n");
	fake_say(&f, "$3\r\nend\r\n");
	TURN_UNTIL(f.l, c.log.len == 39 * 2 + 4);
	assert_true(span_ends(buf_span(&c.log), "1 end "));
	end(&c, &f);
}

static void
before_it_is_up_commands_are_refused(void **state)
{
	struct client c;
	struct fake f;

	begin(&c, &f, *state, (struct rds_conf){ 0 });
	assert_int_equal(ask(&c, "A", 0), E_CLOSED);
	fake_accept(&f);
	fake_expect(&f, HELLO);
	assert_int_equal(ask(&c, "A", 0), E_CLOSED);
	assert_int_equal(c.log.len, 0);
	end(&c, &f);
}

static void
signing_in_and_the_database_come_first(void **state)
{
	struct client c;
	struct fake f;
	char url[128];

	fake_start(&f, *state);
	snprintf(url, sizeof(url), "unix://me:pass@%s?db=3", f.path);
	c = (struct client){ 0 };
	assert_int_equal(rds_new(&c.r, f.l, &(struct rds_conf){ .url = url }, &ops, &c, NULL), E_OK);
	assert_null(strstr(rds_url(c.r), "pass"));
	rds_start(c.r);
	fake_accept(&f);
	fake_expect(&f,
		"*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$4\r\npass\r\n" HELLO "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n");
	fake_say(&f, "+OK\r\n+OK\r\n");
	loop_turn(f.l, 0);
	assert_int_equal(c.n_up, 0);
	fake_say(&f, "+OK\r\n");
	TURN_UNTIL(f.l, c.n_up);
	end(&c, &f);
}

static void
a_wrong_password_is_fatal_but_tried_again(void **state)
{
	struct client c;
	struct fake f;
	char url[128];

	clock_fake(0, 1);
	fake_start(&f, *state);
	snprintf(url, sizeof(url), "unix://:sesame@%s", f.path);
	c = (struct client){ 0 };
	assert_int_equal(rds_new(&c.r, f.l, &(struct rds_conf){ .url = url }, &ops, &c, NULL), E_OK);
	rds_start(c.r);
	fake_accept(&f);
	fake_expect(&f, "*2\r\n$4\r\nAUTH\r\n$6\r\nsesame\r\n" HELLO);
	fake_say(&f,
		"-WRONGPASS invalid username-password pair or user is disabled.\r\n-NOAUTH Authentication required.\r\n");
	TURN_UNTIL(f.l, c.n_down);
	assert_int_equal(c.n_up, 0);
	assert_true(c.down.fatal);
	assert_false(c.down.was_up);
	assert_int_equal(c.down.err, E_REFUSED);
	assert_string_equal(
		c.why, "signing in: WRONGPASS invalid username-password pair or user is disabled.");
	assert_true(c.down.retry_ms >= 1000);
	clock_fake(c.down.retry_ms * 1000, 1);
	fake_accept(&f);
	end(&c, &f);
}

static void
a_missing_password_is_noticed_at_once(void **state)
{
	struct client c;
	struct fake f;

	begin(&c, &f, *state, (struct rds_conf){ 0 });
	fake_accept(&f);
	fake_expect(&f, HELLO);
	fake_say(&f, "-NOAUTH Authentication required.\r\n");
	TURN_UNTIL(f.l, c.n_down);
	assert_true(c.down.fatal);
	assert_int_equal(c.n_up, 0);
	end(&c, &f);
}

static void
a_refused_name_does_not_matter(void **state)
{
	struct client c;
	struct fake f;

	begin(&c, &f, *state, (struct rds_conf){ 0 });
	fake_accept(&f);
	fake_expect(&f, HELLO);
	fake_say(&f, "-ERR unknown command 'CLIENT'\r\n");
	TURN_UNTIL(f.l, c.n_up);
	end(&c, &f);
}

static void
too_many_clients_is_not_fatal(void **state)
{
	struct client c;
	struct fake f;

	begin(&c, &f, *state, (struct rds_conf){ 0 });
	fake_accept(&f);
	fake_say(&f, "-ERR max number of clients reached\r\n");
	fake_drop(&f);
	TURN_UNTIL(f.l, c.n_down);
	assert_false(c.down.fatal);
	assert_string_equal(c.why, "greeting: ERR max number of clients reached");
	end(&c, &f);
}

static void
a_loss_answers_what_is_under_way_and_dials_again(void **state)
{
	struct client c;
	struct fake f;

	clock_fake(0, 1);
	begin_up(&c, &f, *state);
	assert_int_equal(ask(&c, "A", 0), E_OK);
	assert_int_equal(ask(&c, "B", 0), E_OK);
	c.command_in_fn = true;
	fake_expect(&f, "*1\r\n$1\r\nA\r\n*1\r\n$1\r\nB\r\n");
	fake_drop(&f);
	TURN_UNTIL(f.l, c.n_down);
	assert_string_equal(buf_text(&c.log), "closed closed ");
	assert_true(c.down.was_up);
	assert_true(c.down.retry_ms > 0 && c.down.retry_ms <= 50);
	c.command_in_fn = false;
	clock_fake(50 * 1000, 1);
	fake_hello(&f);
	TURN_UNTIL(f.l, c.n_up == 2);
	assert_int_equal(c.n_down, 1);
	end(&c, &f);
}

static void
the_back_off_grows_until_a_connection_is_steady(void **state)
{
	struct client c;
	struct fake f;
	ms_t now = 0, longest = 0;

	id_fake(1);
	clock_fake(0, 1);
	begin_up(&c, &f, *state);
	close(f.listener);
	fake_drop(&f);
	for (int i = 1; i <= 30; i++) {
		TURN_UNTIL(f.l, c.n_down == i);
		assert_true(c.down.retry_ms <= 5000);
		if (c.down.retry_ms > longest)
			longest = c.down.retry_ms;
		now += c.down.retry_ms;
		clock_fake(now * 1000, 1);
	}
	assert_true(longest > 2000);
	f.listener = dup(0);
	end(&c, &f);
}

static void
a_missed_deadline_drops_the_connection(void **state)
{
	struct client c;
	struct fake f;

	clock_fake(0, 1);
	begin_up(&c, &f, *state);
	assert_int_equal(ask(&c, "SLOW", 10000), E_OK);
	assert_int_equal(ask(&c, "FAST", 100), E_OK);
	fake_expect(&f, "*1\r\n$4\r\nSLOW\r\n*1\r\n$4\r\nFAST\r\n");
	clock_fake(99 * 1000, 1);
	loop_turn(f.l, 0);
	assert_int_equal(c.n_down, 0);
	clock_fake(100 * 1000, 1);
	loop_turn(f.l, 0);
	assert_int_equal(c.n_down, 1);
	assert_int_equal(c.down.err, E_TIMEOUT);
	assert_string_equal(buf_text(&c.log), "closed timed out ");
	/* The late replies belong to nobody. */
	assert_int_equal(send(f.fd, ":1\r\n:2\r\n", 8, MSG_NOSIGNAL), -1);
	end(&c, &f);
}

static void
an_answered_deadline_does_not_fire(void **state)
{
	struct client c;
	struct fake f;

	clock_fake(0, 1);
	begin_up(&c, &f, *state);
	assert_int_equal(ask(&c, "A", 100), E_OK);
	fake_expect(&f, "*1\r\n$1\r\nA\r\n");
	fake_say(&f, ":1\r\n");
	TURN_UNTIL(f.l, c.log.len);
	clock_fake(50 * 1000, 1);
	assert_int_equal(ask(&c, "B", 100), E_OK);
	clock_fake(149 * 1000, 1);
	loop_turn(f.l, 0);
	assert_int_equal(c.n_down, 0);
	clock_fake(150 * 1000, 1);
	loop_turn(f.l, 0);
	assert_int_equal(c.n_down, 1);
	end(&c, &f);
}

static void
a_server_that_is_the_wrong_one_is_left(void **state)
{
	struct client c;
	struct fake f;

	begin_up(&c, &f, *state);
	assert_int_equal(ask(&c, "W", 0), E_OK);
	fake_expect(&f, "*1\r\n$1\r\nW\r\n");
	fake_say(&f, "-READONLY You can't write against a read only replica.\r\n");
	TURN_UNTIL(f.l, c.n_down);
	assert_string_equal(buf_text(&c.log), "READONLY You can't write against a read only replica. ");
	assert_string_equal(c.why, "READONLY You can't write against a read only replica.");
	fake_drop(&f);
	fake_hello(&f);
	TURN_UNTIL(f.l, c.n_up == 2);
	end(&c, &f);
}

static void
what_was_not_asked_for_ends_the_connection(void **state)
{
	struct client c;
	struct fake f;

	begin_up(&c, &f, *state);
	fake_say(&f, "+OK\r\n");
	TURN_UNTIL(f.l, c.n_down);
	assert_int_equal(c.down.err, E_FORMAT);
	fake_drop(&f);
	fake_hello(&f);
	TURN_UNTIL(f.l, c.n_up == 2);
	fake_say(&f, "HTTP/1.1 400\r\n");
	TURN_UNTIL(f.l, c.n_down == 2);
	assert_non_null(strstr(c.why, "not a reply of Redis"));
	fake_drop(&f);
	fake_hello(&f);
	TURN_UNTIL(f.l, c.n_up == 3);
	fake_say(&f, "-ERR bye\r\n");
	TURN_UNTIL(f.l, c.n_down == 3);
	assert_string_equal(c.why, "ERR bye");
	end(&c, &f);
}

static void
a_reply_that_is_too_large_ends_the_connection(void **state)
{
	struct client c;
	struct fake f;

	begin(&c, &f, *state, (struct rds_conf){ .reply_max = 20 });
	fake_hello(&f);
	TURN_UNTIL(f.l, c.n_up);
	assert_int_equal(ask(&c, "G", 0), E_OK);
	fake_say(&f, "$1000\r\n0123456789");
	loop_turn(f.l, 0);
	fake_say(&f, "0123456789x");
	TURN_UNTIL(f.l, c.n_down);
	assert_int_equal(c.down.err, E_TOOBIG);
	assert_string_equal(buf_text(&c.log), "closed ");
	end(&c, &f);
}

static void
closing_in_a_callback_is_fine(void **state)
{
	struct client c;
	struct fake f;

	begin_up(&c, &f, *state);
	c.close_in_fn = true;
	assert_int_equal(ask(&c, "A", 0), E_OK);
	assert_int_equal(ask(&c, "B", 0), E_OK);
	fake_expect(&f, "*1\r\n$1\r\nA\r\n*1\r\n$1\r\nB\r\n");
	fake_say(&f, "$2\r\nhi\r\n$2\r\nho\r\n");
	TURN_UNTIL(f.l, !c.r);
	/* B is not answered: nothing is called after the close. */
	assert_string_equal(buf_text(&c.log), "hi ");
	end(&c, &f);

	begin_up(&c, &f, *state);
	c.close_in_fn = true;
	assert_int_equal(ask(&c, "A", 0), E_OK);
	assert_int_equal(ask(&c, "B", 0), E_OK);
	loop_turn(f.l, 0);
	fake_drop(&f);
	TURN_UNTIL(f.l, !c.r);
	assert_string_equal(buf_text(&c.log), "closed ");
	assert_int_equal(c.n_down, 0);
	end(&c, &f);

	begin_up(&c, &f, *state);
	c.close_in_down = true;
	fake_drop(&f);
	TURN_UNTIL(f.l, !c.r);
	end(&c, &f);
}

static void
messages_come_to_the_subscriber_also_after_a_loss(void **state)
{
	struct client c;
	struct fake f;

	begin(&c, &f, *state, (struct rds_conf){ 0 });
	assert_int_equal(rds_subscribe(c.r, SPAN("ch")), E_OK);
	fake_hello(&f);
	fake_expect(&f, "*2\r\n$9\r\nSUBSCRIBE\r\n$2\r\nch\r\n");
	fake_say(&f,
		"*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$2\r\nhi\r\n");
	TURN_UNTIL(f.l, c.log.len == 13);
	fake_drop(&f);
	fake_hello(&f);
	fake_expect(&f, "*2\r\n$9\r\nSUBSCRIBE\r\n$2\r\nch\r\n");
	assert_int_equal(rds_subscribe(c.r, SPAN("two")), E_OK);
	fake_expect(&f, "*2\r\n$9\r\nSUBSCRIBE\r\n$3\r\ntwo\r\n");
	rds_unsubscribe(c.r, SPAN("ch"));
	rds_unsubscribe(c.r, SPAN("ch"));
	fake_expect(&f, "*2\r\n$11\r\nUNSUBSCRIBE\r\n$2\r\nch\r\n");
	fake_say(&f,
		"*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$4\r\nlate\r\n*3\r\n$11\r\nunsubscribe\r\n$2\r\nch\r\n:1\r\n"
		"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nx\r\n$1\r\ny\r\n*3\r\n$7\r\nmessage\r\n$3\r\ntwo\r\n$2\r\nho\r\n");
	TURN_UNTIL(f.l, span_ends(buf_span(&c.log), "two=ho "));
	assert_string_equal(buf_text(&c.log), "sub:ch ch=hi x=y two=ho ");
	end(&c, &f);
}

static void
it_speaks_over_a_given_descriptor(void **state)
{
	struct client c = { 0 };
	struct fake f = { .l = *state };
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	f.fd = sv[1];
	assert_int_equal(
		rds_new(&c.r, f.l, &(struct rds_conf){ .url = "unix:///nowhere/s" }, &ops, &c, NULL), E_OK);
	assert_int_equal(rds_start_fd(c.r, sv[0], NULL), E_OK);
	fake_expect(&f, HELLO);
	fake_say(&f, "+OK\r\n");
	TURN_UNTIL(f.l, c.n_up);
	assert_int_equal(ask(&c, "A", 0), E_OK);
	fake_say(&f, ":5\r\n");
	TURN_UNTIL(f.l, c.log.len);
	rds_close(c.r);
	loop_turn(f.l, 0);
	buf_release(&c.log);
	close(f.fd);
}

static void
wrong_settings_are_told_at_once(void **state)
{
	struct rds *r;
	struct errtext t;

	assert_int_equal(rds_new(&r, *state, &(struct rds_conf){ .url = "rediss://h?ssl_ca_certs=/no/ca" },
				 &ops, NULL, &t),
		E_CONF);
	assert_null(r);
	assert_non_null(strstr(t.text, "/no/ca"));
	assert_int_equal(rds_new(&r, *state, &(struct rds_conf){ .url = "http://h" }, &ops, NULL, &t), E_CONF);
}

static void
without_memory_commands_are_refused_whole(void **state)
{
	struct client c;
	struct fake f;

	begin_up(&c, &f, *state);
	for (int i = 0; i < 16; i++)
		assert_int_equal(ask(&c, "A", 0), E_OK);
	alloc_fail_after(1);
	assert_int_equal(ask(&c, "B", 0), E_NOMEM);
	alloc_fail_after(0);
	assert_int_equal(ask(&c, "C", 0), E_OK);
	loop_turn(f.l, 0);
	for (int i = 0; i < 17; i++)
		fake_say(&f, ":1\r\n");
	TURN_UNTIL(f.l, c.log.len == 17 * 2);
	end(&c, &f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(replies_go_to_their_commands_in_order),
		LOOP_TEST(before_it_is_up_commands_are_refused),
		LOOP_TEST(signing_in_and_the_database_come_first),
		LOOP_TEST(a_wrong_password_is_fatal_but_tried_again),
		LOOP_TEST(a_missing_password_is_noticed_at_once),
		LOOP_TEST(a_refused_name_does_not_matter),
		LOOP_TEST(too_many_clients_is_not_fatal),
		LOOP_TEST(a_loss_answers_what_is_under_way_and_dials_again),
		LOOP_TEST(the_back_off_grows_until_a_connection_is_steady),
		LOOP_TEST(a_missed_deadline_drops_the_connection),
		LOOP_TEST(an_answered_deadline_does_not_fire),
		LOOP_TEST(a_server_that_is_the_wrong_one_is_left),
		LOOP_TEST(what_was_not_asked_for_ends_the_connection),
		LOOP_TEST(a_reply_that_is_too_large_ends_the_connection),
		LOOP_TEST(closing_in_a_callback_is_fine),
		LOOP_TEST(messages_come_to_the_subscriber_also_after_a_loss),
		LOOP_TEST(it_speaks_over_a_given_descriptor),
		LOOP_TEST(wrong_settings_are_told_at_once),
		LOOP_TEST(without_memory_commands_are_refused_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
