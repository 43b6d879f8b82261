/*
 * The limit that the benchmark compares with: what librabbitmq and hiredis do on this machine with nothing around them.
 *
 *	consume   prefetch N; for each delivery SET + PUBLISH of a result in one Redis round trip, then the acknowledgement
 *	publish   persistent, mandatory Celery task messages with a sliding window of unconfirmed ones
 *	declare   the queue, durable
 *	delete    the queue and what is in it
 *
 * One thread, blocking calls, no task is run and nothing is recovered from: any surprise ends the program with one line.
 * Stands alone on purpose, with none of warren's own code: it must not get faster or slower when warren does.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <hiredis/hiredis.h>

enum { CHANNEL = 1, FRAME_MAX = 131072, ID_LEN = 36, HEADERS = 17 };

struct opts {
	const char *broker;
	const char *redis;
	const char *queue;
	const char *task;
	int prefetch;
	uint64_t window;
	uint64_t count;
};

static const char task_body[] =
	"[[], {}, {\"callbacks\": null, \"errbacks\": null, \"chain\": null, \"chord\": null}]";

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void
die(const char *fmt, ...)
{
	va_list ap;

	fputs("rawloop: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static double
seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- AMQP ---------------------------------------------------------------------------------------------------------- */

static void
need_status(int status, const char *what)
{
	if (status != AMQP_STATUS_OK)
		die("%s: %s", what, amqp_error_string2(status));
}

static void
need_reply(amqp_rpc_reply_t r, const char *what)
{
	if (r.reply_type == AMQP_RESPONSE_NORMAL)
		return;
	if (r.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
		die("%s: %s", what, amqp_error_string2(r.library_error));
	if (r.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && r.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
		const amqp_channel_close_t *m = r.reply.decoded;
		die("%s: %.*s", what, (int)m->reply_text.len, (const char *)m->reply_text.bytes);
	}
	if (r.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && r.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
		const amqp_connection_close_t *m = r.reply.decoded;
		die("%s: %.*s", what, (int)m->reply_text.len, (const char *)m->reply_text.bytes);
	}
	die("%s: the broker closed the connection", what);
}

static amqp_connection_state_t
broker_open(const char *url)
{
	amqp_connection_state_t conn = amqp_new_connection();
	struct amqp_connection_info at;
	char *copy = strdup(url);
	amqp_socket_t *sock;
	size_t len;

	if (!conn || !copy)
		die("out of memory");
	/* "//" is how Celery writes the virtual host "/"; the library wants nothing or %2f there. */
	len = strlen(copy);
	if (len > 2 && strcmp(copy + len - 2, "//") == 0)
		copy[len - 2] = '\0';
	amqp_default_connection_info(&at);
	need_status(amqp_parse_url(copy, &at), url);
	sock = amqp_tcp_socket_new(conn);
	if (!sock)
		die("out of memory");
	need_status(amqp_socket_open(sock, at.host, at.port), "connect to the broker");
	need_reply(amqp_login(conn, at.vhost, 0, FRAME_MAX, 0, AMQP_SASL_METHOD_PLAIN, at.user, at.password),
		"login");
	amqp_channel_open(conn, CHANNEL);
	need_reply(amqp_get_rpc_reply(conn), "open a channel");
	free(copy);
	return conn;
}

/* Closing in good order waits for the broker's answer, so every acknowledgement sent before has been handled by then. */
static void
broker_close(amqp_connection_state_t conn)
{
	need_reply(amqp_channel_close(conn, CHANNEL, AMQP_REPLY_SUCCESS), "close the channel");
	need_reply(amqp_connection_close(conn, AMQP_REPLY_SUCCESS), "close the connection");
	amqp_destroy_connection(conn);
}

static void
queue_declare(amqp_connection_state_t conn, const char *queue)
{
	amqp_queue_declare(conn, CHANNEL, amqp_cstring_bytes(queue), 0, 1, 0, 0, amqp_empty_table);
	need_reply(amqp_get_rpc_reply(conn), "declare the queue");
}

/* --- consume ------------------------------------------------------------------------------------------------------- */

static redisContext *
redis_open(const char *url)
{
	char host[128];
	int port = 6379, db = 0;
	redisContext *redis;
	redisReply *reply;

	if (sscanf(url, "redis://%127[^:/]:%d/%d", host, &port, &db) < 1)
		die("%s: not of the form redis://HOST:PORT/DB", url);
	redis = redisConnect(host, port);
	if (!redis || redis->err)
		die("connect to %s: %s", url, redis ? redis->errstr : "out of memory");
	reply = redisCommand(redis, "SELECT %d", db);
	if (!reply || reply->type == REDIS_REPLY_ERROR)
		die("SELECT %d: %s", db, reply ? reply->str : redis->errstr);
	freeReplyObject(reply);
	return redis;
}

static void
reply_expect(redisContext *redis, int type)
{
	void *got;
	redisReply *reply;

	if (redisGetReply(redis, &got) != REDIS_OK)
		die("Redis: %s", redis->errstr);
	reply = got;
	if (reply->type != type)
		die("Redis: %s", reply->type == REDIS_REPLY_ERROR ? reply->str : "a reply of the wrong type");
	freeReplyObject(reply);
}

/* What a Celery client reads, with both commands in one round trip. */
static void
result_store(redisContext *redis, amqp_bytes_t id)
{
	char key[64 + 1], value[320], date[40];
	struct timespec t;
	struct tm tm;
	int key_len, value_len;
	size_t n;

	if (id.len != ID_LEN)
		die("a message has no UUID as its correlation id");
	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	n = strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(date + n, sizeof(date) - n, ".%06ld", t.tv_nsec / 1000);
	key_len = snprintf(key, sizeof(key), "celery-task-meta-%.*s", ID_LEN, (const char *)id.bytes);
	value_len = snprintf(value, sizeof(value),
		"{\"status\": \"SUCCESS\", \"result\": null, \"traceback\": null, \"children\": [], "
		"\"date_done\": \"%s\", \"task_id\": \"%.*s\"}",
		date, ID_LEN, (const char *)id.bytes);
	redisAppendCommand(redis, "SETEX %b 86400 %b", key, (size_t)key_len, value, (size_t)value_len);
	redisAppendCommand(redis, "PUBLISH %b %b", key, (size_t)key_len, value, (size_t)value_len);
	reply_expect(redis, REDIS_REPLY_STATUS);
	reply_expect(redis, REDIS_REPLY_INTEGER);
}

static void
run_consume(const struct opts *o)
{
	amqp_connection_state_t conn = broker_open(o->broker);
	redisContext *redis = redis_open(o->redis);
	amqp_envelope_t env;

	queue_declare(conn, o->queue);
	amqp_basic_qos(conn, CHANNEL, 0, (uint16_t)o->prefetch, 0);
	need_reply(amqp_get_rpc_reply(conn), "set the prefetch");
	amqp_basic_consume(
		conn, CHANNEL, amqp_cstring_bytes(o->queue), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
	need_reply(amqp_get_rpc_reply(conn), "consume");
	printf("ready\n");
	fflush(stdout);
	for (uint64_t i = 0; i < o->count; i++) {
		amqp_maybe_release_buffers(conn);
		need_reply(amqp_consume_message(conn, &env, NULL, 0), "wait for a message");
		result_store(redis, env.message.properties.correlation_id);
		need_status(amqp_basic_ack(conn, CHANNEL, env.delivery_tag, 0), "acknowledge");
		amqp_destroy_envelope(&env);
	}
	redisFree(redis);
	broker_close(conn);
}

/* --- publish ------------------------------------------------------------------------------------------------------- */

struct confirms {
	uint8_t *seen; /* by delivery tag: the broker may confirm out of order */
	uint64_t sent, done;
	uint64_t low; /* every tag up to here is confirmed */
};

static void
confirms_mark(struct confirms *c, uint64_t tag)
{
	if (tag == 0 || tag > c->sent)
		die("the broker confirmed message %" PRIu64 ", which was not sent", tag);
	if (!c->seen[tag]) {
		c->seen[tag] = 1;
		c->done++;
	}
}

static void
confirms_wait(struct confirms *c, amqp_connection_state_t conn)
{
	amqp_frame_t frame;

	amqp_maybe_release_buffers(conn);
	need_status(amqp_simple_wait_frame(conn, &frame), "wait for a confirm");
	if (frame.frame_type != AMQP_FRAME_METHOD)
		return;
	if (frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
		die("the broker answered %s instead of a confirm", amqp_method_name(frame.payload.method.id));

	const amqp_basic_ack_t *ack = frame.payload.method.decoded;
	if (ack->multiple)
		for (uint64_t tag = c->low + 1; tag < ack->delivery_tag; tag++)
			confirms_mark(c, tag);
	confirms_mark(c, ack->delivery_tag);
	while (c->low < c->sent && c->seen[c->low + 1])
		c->low++;
}

/* A random UUID (version 4); random bytes are fetched for many at once. */
static void
id_next(char out[static ID_LEN + 1])
{
	static uint8_t pool[256];
	static size_t used = sizeof(pool);
	const uint8_t *b;
	size_t at = 0;

	if (used == sizeof(pool)) {
		if (getrandom(pool, sizeof(pool), 0) != (ssize_t)sizeof(pool))
			die("getrandom: %s", strerror(errno));
		used = 0;
	}
	b = pool + used;
	used += 16;
	for (int i = 0; i < 16; i++) {
		uint8_t byte = b[i];

		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[at++] = '-';
		if (i == 6)
			byte = (byte & 0x0f) | 0x40;
		if (i == 8)
			byte = (byte & 0x3f) | 0x80;
		out[at++] = "0123456789abcdef"[byte >> 4];
		out[at++] = "0123456789abcdef"[byte & 15];
	}
	out[at] = '\0';
}

static amqp_table_entry_t
header_text(const char *key, const char *text)
{
	amqp_table_entry_t e = { .key = amqp_cstring_bytes(key) };

	e.value.kind = text ? AMQP_FIELD_KIND_UTF8 : AMQP_FIELD_KIND_VOID;
	if (text)
		e.value.value.bytes = amqp_cstring_bytes(text);
	return e;
}

static amqp_table_entry_t
header_int(const char *key, int32_t i)
{
	amqp_table_entry_t e = { .key = amqp_cstring_bytes(key) };

	e.value.kind = AMQP_FIELD_KIND_I32;
	e.value.value.i32 = i;
	return e;
}

/* The headers of protocol 2 in Celery's order. id is read anew for each message, the rest is the same in all. */
static void
headers_fill(amqp_table_entry_t h[static HEADERS], const char *task, const char *id, const char *origin)
{
	static amqp_field_value_t no_limits[2] = { { .kind = AMQP_FIELD_KIND_VOID },
		{ .kind = AMQP_FIELD_KIND_VOID } };
	size_t n = 0;

	h[n++] = header_text("lang", "py");
	h[n++] = header_text("task", task);
	h[n++] = header_text("id", id);
	h[n++] = header_text("shadow", NULL);
	h[n++] = header_text("eta", NULL);
	h[n++] = header_text("expires", NULL);
	h[n++] = header_text("group", NULL);
	h[n++] = header_text("group_index", NULL);
	h[n++] = header_int("retries", 0);
	h[n] = (amqp_table_entry_t){ .key = amqp_cstring_bytes("timelimit") };
	h[n].value.kind = AMQP_FIELD_KIND_ARRAY;
	h[n++].value.value.array = (amqp_array_t){ .num_entries = 2, .entries = no_limits };
	h[n++] = header_text("root_id", id);
	h[n++] = header_text("parent_id", NULL);
	h[n++] = header_text("argsrepr", "()");
	h[n++] = header_text("kwargsrepr", "{}");
	h[n++] = header_text("origin", origin);
	h[n] = (amqp_table_entry_t){ .key = amqp_cstring_bytes("ignore_result") };
	h[n].value.kind = AMQP_FIELD_KIND_BOOLEAN;
	h[n++].value.value.boolean = 0;
	h[n++] = header_int("replaced_task_nesting", 0);
}

static void
run_publish(const struct opts *o)
{
	amqp_connection_state_t conn = broker_open(o->broker);
	amqp_bytes_t queue = amqp_cstring_bytes(o->queue), body = amqp_cstring_bytes(task_body);
	char id[ID_LEN + 1], reply_to[ID_LEN + 1], origin[160], host[100] = "";
	struct confirms c = { .seen = calloc(o->count + 1, 1) };
	amqp_table_entry_t headers[HEADERS];
	amqp_basic_properties_t p = { 0 };
	double began;

	if (!c.seen)
		die("out of memory");
	queue_declare(conn, o->queue);
	amqp_confirm_select(conn, CHANNEL);
	need_reply(amqp_get_rpc_reply(conn), "switch confirms on");
	gethostname(host, sizeof(host) - 1);
	snprintf(origin, sizeof(origin), "gen%d@%s", (int)getpid(), host);
	id_next(reply_to);
	id_next(id);
	headers_fill(headers, o->task, id, origin);
	p._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG | AMQP_BASIC_HEADERS_FLAG |
		AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG |
		AMQP_BASIC_REPLY_TO_FLAG;
	p.content_type = amqp_cstring_bytes("application/json");
	p.content_encoding = amqp_cstring_bytes("utf-8");
	p.headers = (amqp_table_t){ .num_entries = HEADERS, .entries = headers };
	p.delivery_mode = AMQP_DELIVERY_PERSISTENT;
	p.correlation_id = amqp_cstring_bytes(id);
	p.reply_to = amqp_cstring_bytes(reply_to);

	began = seconds_now();
	while (c.sent < o->count) {
		id_next(id);
		need_status(amqp_basic_publish(conn, CHANNEL, amqp_empty_bytes, queue, 1, 0, &p, body),
			"publish");
		c.sent++;
		while (c.sent - c.done >= o->window)
			confirms_wait(&c, conn);
	}
	while (c.done < c.sent)
		confirms_wait(&c, conn);
	printf("{\"published\": %" PRIu64 ", \"seconds\": %.6f}\n", c.done, seconds_now() - began);
	free(c.seen);
	broker_close(conn);
}

/* --- the queue ----------------------------------------------------------------------------------------------------- */

static void
run_declare(const struct opts *o)
{
	amqp_connection_state_t conn = broker_open(o->broker);

	queue_declare(conn, o->queue);
	broker_close(conn);
}

static void
run_delete(const struct opts *o)
{
	amqp_connection_state_t conn = broker_open(o->broker);

	amqp_queue_delete(conn, CHANNEL, amqp_cstring_bytes(o->queue), 0, 0);
	need_reply(amqp_get_rpc_reply(conn), "delete the queue");
	broker_close(conn);
}

static const struct mode {
	const char *name;
	void (*run)(const struct opts *o);
} modes[] = {
	{ "consume", run_consume },
	{ "publish", run_publish },
	{ "declare", run_declare },
	{ "delete", run_delete },
};

static uint64_t
number_parse(const char *text, const char *what, uint64_t max)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || n == 0 || n > max)
		die("%s: %s is not a whole number from 1 to %" PRIu64, what, text, max);
	return n;
}

static void
usage(void)
{
	die("usage: rawloop consume|publish|declare|delete [--broker URL] [--redis URL] [--queue NAME]\n"
	    "         [--task NAME] [--prefetch N] [--window N] [--count N]");
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "broker", required_argument, NULL, 'b' },
		{ "redis", required_argument, NULL, 'r' },
		{ "queue", required_argument, NULL, 'q' },
		{ "task", required_argument, NULL, 't' },
		{ "prefetch", required_argument, NULL, 'p' },
		{ "window", required_argument, NULL, 'w' },
		{ "count", required_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	struct opts o = {
		.broker = "amqp://guest:guest@127.0.0.1:5672//",
		.redis = "redis://127.0.0.1:6379/0",
		.queue = "bench",
		.task = "bench.noop",
		.prefetch = 1,
		.window = 1000,
		.count = 1,
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'b':
			o.broker = optarg;
			break;
		case 'r':
			o.redis = optarg;
			break;
		case 'q':
			o.queue = optarg;
			break;
		case 't':
			o.task = optarg;
			break;
		case 'p':
			o.prefetch = (int)number_parse(optarg, "--prefetch", UINT16_MAX);
			break;
		case 'w':
			o.window = number_parse(optarg, "--window", 1000000);
			break;
		case 'n':
			o.count = number_parse(optarg, "--count", 100000000);
			break;
		default:
			usage();
		}
	if (optind != argc - 1)
		usage();
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i].name, argv[optind]) == 0) {
			modes[i].run(&o);
			return 0;
		}
	usage();
}
