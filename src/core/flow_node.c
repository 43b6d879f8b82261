/*
 * Reading and writing the tree. Options stay raw: the few that make up the structure of a canvas are taken out of them, and put back when the
 * signature is written again. A null option counts as absent, as it does in Celery.
 */
#include "core/flow_node.h"

#include "base/js.h"

/* Options that are the structure, not the task's. */
static const char *const structure[] = {
	"task_id",
	"group_id",
	"group_index",
	"root_id",
	"parent_id",
	"chord",
	"chain",
	"link",
	"link_error",
};

static bool
is_structure(struct span key)
{
	for (size_t i = 0; i < ARRAY_LEN(structure); i++)
		if (span_is(key, structure[i]))
			return true;
	return false;
}

enum err
flow_keep(struct flow *f, struct buf *b, struct span *out)
{
	enum err e = b->err;

	*out = SPAN_NONE;
	if (e == E_OK) {
		*out = arena_dup(&f->arena, buf_span(b));
		e = out->ptr == NULL ? E_NOMEM : E_OK;
	}
	buf_release(b);
	return e;
}

struct span
flow_inner(struct span list)
{
	list = span_trim(list);
	return list.len >= 2 ? span_trim((struct span){ list.ptr + 1, list.len - 2 }) : SPAN("");
}

bool
flow_is_some(struct span raw)
{
	return raw.len > 0 && jscan_kind(raw) != JSCAN_NULL;
}

enum err
flow_join(struct flow *f, struct span first, struct span second, struct span *out)
{
	struct buf b;

	buf_init(&b, 0);
	buf_addc(&b, '[');
	buf_add(&b, first);
	if (first.len > 0 && second.len > 0)
		buf_adds(&b, ", ");
	buf_add(&b, second);
	buf_addc(&b, ']');
	return flow_keep(f, &b, out);
}

static struct span
member(struct span object, const char *key)
{
	struct span raw = object.ptr != NULL ? jscan_member(object, key) : SPAN_NONE;

	return flow_is_some(raw) ? raw : SPAN_NONE;
}

struct span
node_option(const struct node *n, const char *key)
{
	struct span raw = member(n->over, key);

	return raw.ptr != NULL ? raw : member(n->sig.options, key);
}

static enum err
to_text(struct flow_source *s, struct span raw, struct span *out)
{
	struct buf b;

	*out = SPAN_NONE;
	if (jscan_kind(raw) != JSCAN_STRING || jscan_plain_string(raw, out))
		return E_OK;
	buf_init(&b, 0);
	jscan_add_string(&b, raw);
	return flow_keep(s->f, &b, out);
}

enum err
node_option_text(struct flow_source *s, const struct node *n, const char *key, struct span *out)
{
	return to_text(s, node_option(n, key), out);
}

bool
node_option_number(const struct node *n, const char *key, double *out)
{
	struct span raw = node_option(n, key);

	return raw.ptr != NULL && jscan_double(raw, out);
}

/* link and link_error: one signature or a list of them. */
static enum err
list_option(struct flow_source *s, const struct sig *sig, const char *key, struct span *out)
{
	struct span raw = member(sig->options, key);

	*out = SPAN_NONE;
	if (raw.ptr == NULL || (jscan_kind(raw) == JSCAN_ARRAY && jscan_count(raw) == 0))
		return E_OK;
	if (jscan_kind(raw) != JSCAN_ARRAY)
		return flow_join(s->f, raw, SPAN(""), out);
	*out = raw;
	return E_OK;
}

static enum err
read_structure(struct flow_source *s, struct node *n)
{
	const struct {
		const char *key;
		struct span *out;
	} texts[] = {
		{ "task_id", &n->id },
		{ "group_id", &n->group },
		{ "root_id", &n->root },
		{ "parent_id", &n->parent },
	};
	struct span raw = member(n->sig.options, "group_index");
	enum err e = E_OK;
	int64_t index;

	for (size_t i = 0; i < ARRAY_LEN(texts) && e == E_OK; i++)
		e = to_text(s, member(n->sig.options, texts[i].key), texts[i].out);
	if (e == E_OK)
		e = list_option(s, &n->sig, "link", &n->links);
	if (e == E_OK)
		e = list_option(s, &n->sig, "link_error", &n->errlinks);
	n->chord = member(n->sig.options, "chord");
	n->chain = member(n->sig.options, "chain");
	if (jscan_kind(n->chord) != JSCAN_OBJECT)
		n->chord = SPAN_NONE;
	if (jscan_kind(n->chain) != JSCAN_ARRAY)
		n->chain = SPAN_NONE;
	if (raw.ptr != NULL && jscan_int(raw, &index) && index >= 0 && index < INT32_MAX)
		n->index = (int)index;
	if (n->id.ptr != NULL && !task_id_is_valid(n->id))
		return err_set(s->why, E_FORMAT, "signature of %.*s: its task_id cannot be one",
			SPAN_FMT(n->sig.task));
	return e;
}

static enum err read_node(struct flow_source *s, struct span json, int depth, struct node **out);

void
node_add_kid(struct node *n, struct node *kid)
{
	if (n->last != NULL)
		n->last->next = kid;
	else
		n->kids = kid;
	n->last = kid;
	kid->next = NULL;
	n->n_kids++;
}

/* Groups in a group are one with it. In a chord's header Celery puts the members of an inner group backwards, and who reads the results counts on it. */
static void
add_flat(struct node *n, struct node *kid, bool is_backwards)
{
	struct node *it, *next, *turned = NULL;

	if (kid->sig.type != SIG_GROUP) {
		node_add_kid(n, kid);
		return;
	}
	if (is_backwards) {
		for (it = kid->kids; it != NULL; it = next) {
			next = it->next;
			it->next = turned;
			turned = it;
		}
		kid->kids = turned;
	}
	for (it = kid->kids; it != NULL; it = next) {
		next = it->next;
		add_flat(n, it, is_backwards);
	}
}

void
node_add_flat(struct node *group, struct node *kid)
{
	add_flat(group, kid, false);
}

static enum err
read_kids(struct flow_source *s, struct node *n, struct span list, int depth)
{
	struct jscan_iter it;
	struct node *kid;
	enum err e = E_OK;

	if (!jscan_begin(&it, list) || it.is_object)
		return err_set(
			s->why, E_FORMAT, "signature of %.*s: its tasks are no list", SPAN_FMT(n->sig.task));
	while (e == E_OK && jscan_next(&it)) {
		e = read_node(s, it.value, depth + 1, &kid);
		if (e != E_OK)
			break;
		if (n->sig.type == SIG_CHAIN)
			node_add_kid(n, kid);
		else
			add_flat(n, kid, n->sig.type == SIG_CHORD);
	}
	return e;
}

/* A list, or a group or chain whose tasks are meant, or one task. */
static enum err
read_header(struct flow_source *s, struct node *n, struct span raw, int depth)
{
	struct node *header;
	enum err e;

	if (jscan_kind(raw) == JSCAN_ARRAY)
		return read_kids(s, n, raw, depth);
	e = read_node(s, raw, depth + 1, &header);
	if (e != E_OK)
		return e;
	if (header->sig.type != SIG_GROUP && header->sig.type != SIG_CHAIN) {
		node_add_kid(n, header);
		return E_OK;
	}
	n->kids = header->kids;
	n->last = header->last;
	n->n_kids = header->n_kids;
	if (header->sig.type == SIG_GROUP && header->id.ptr != NULL)
		n->id = header->id;
	for (struct node *kid = n->kids; kid != NULL; kid = kid->next)
		kid->over = header->sig.options;
	return E_OK;
}

static enum err
read_parts(struct flow_source *s, struct node *n, int depth)
{
	struct span body;
	enum err e;

	if (n->sig.type == SIG_PLAIN)
		return E_OK;
	if (n->sig.type != SIG_CHORD)
		return read_kids(s, n, member(n->sig.kwargs, "tasks"), depth);
	e = read_header(s, n, member(n->sig.kwargs, "header"), depth);
	body = member(n->sig.kwargs, "body");
	if (e == E_OK && body.ptr == NULL)
		return err_set(s->why, E_FORMAT, "a chord without a body");
	return e == E_OK ? read_node(s, body, depth + 1, &n->body) : e;
}

static enum err
read_node(struct flow_source *s, struct span json, int depth, struct node **out)
{
	struct node *n = arena_zero(&s->f->arena, sizeof(*n));
	enum err e;

	if (depth > FLOW_NESTING_MAX)
		return err_set(
			s->why, E_TOOBIG, "signatures in signatures, more than %d deep", FLOW_NESTING_MAX);
	if (n == NULL)
		return E_NOMEM;
	n->index = -1;
	*out = n;
	e = sig_decode(&n->sig, json, &s->f->arena, s->why);
	if (e == E_OK && !task_name_is_valid(n->sig.task))
		return err_set(s->why, E_FORMAT, "a signature whose task has a name that cannot be one");
	if (e == E_OK)
		e = read_structure(s, n);
	return e == E_OK ? read_parts(s, n, depth) : e;
}

enum err
node_read(struct flow_source *s, struct span json, struct node **out)
{
	return read_node(s, json, 0, out);
}

struct node *
node_new(struct flow_source *s, enum sig_type type)
{
	static const char *const names[] = {
		[SIG_CHAIN] = "celery.chain", [SIG_GROUP] = "celery.group", [SIG_CHORD] = "celery.chord"
	};
	struct node *n = arena_zero(&s->f->arena, sizeof(*n));

	if (n != NULL) {
		n->index = -1;
		n->sig.type = type;
		n->sig.task = span_of(names[type]);
	}
	return n;
}

/* --- writing ----------------------------------------------------------------------------------------------------------- */

static bool
has_key(struct span object, struct span key)
{
	struct jscan_iter it;

	if (object.ptr != NULL && jscan_begin(&it, object))
		while (jscan_next(&it))
			if (span_eq(it.key, key) && flow_is_some(it.value))
				return true;
	return false;
}

/* The key is raw, as it stood in its object. */
static void
add_member(struct buf *b, struct span key, struct span raw)
{
	buf_adds(b, b->len > 1 ? ", \"" : "\"");
	buf_add(b, key);
	buf_adds(b, "\": ");
	buf_add(b, raw);
}

static void
add_text_member(struct buf *b, const char *key, struct span text)
{
	if (text.ptr == NULL)
		return;
	add_member(b, span_of(key), SPAN(""));
	js_add_string(b, text);
}

void
node_add_options(struct buf *b, struct span options, struct span over, bool has_priority)
{
	struct jscan_iter it;

	if (options.ptr == NULL || !jscan_begin(&it, options))
		return;
	while (jscan_next(&it))
		if (!is_structure(it.key) && flow_is_some(it.value) && !has_key(over, it.key) &&
			!(has_priority && span_is(it.key, "priority")))
			add_member(b, it.key, it.value);
}

static void
write_options(struct flow_source *s, struct buf *b, const struct node *n)
{
	const struct {
		const char *key;
		struct span raw;
	} raws[] = {
		{ "chord", n->chord },
		{ "chain", n->chain },
		{ "link", n->links },
		{ "link_error", n->errlinks },
	};

	buf_addc(b, '{');
	node_add_options(b, n->over, SPAN_NONE, n->priority_plus1 > 0);
	node_add_options(b, n->sig.options, n->over, n->priority_plus1 > 0);
	if (n->priority_plus1 > 0) {
		add_member(b, SPAN("priority"), SPAN(""));
		buf_addf(b, "%d", n->priority_plus1 - 1);
	}
	add_text_member(b, "task_id", n->id);
	add_text_member(b, "group_id", n->group);
	add_text_member(b, "root_id", n->root);
	add_text_member(b, "parent_id", n->parent);
	if (n->sig.type == SIG_PLAIN && node_option(n, "reply_to").ptr == NULL)
		add_text_member(b, "reply_to", s->reply_to);
	for (size_t i = 0; i < ARRAY_LEN(raws); i++)
		if (raws[i].raw.ptr != NULL)
			add_member(b, span_of(raws[i].key), raws[i].raw);
	if (n->index >= 0) {
		add_member(b, SPAN("group_index"), SPAN(""));
		buf_addf(b, "%d", n->index);
	}
	buf_addc(b, '}');
}

static void write_node(struct flow_source *s, struct buf *b, const struct node *n);

static void
write_list(struct flow_source *s, struct buf *b, const struct node *first)
{
	buf_addc(b, '[');
	for (const struct node *kid = first; kid != NULL; kid = kid->next) {
		buf_adds(b, kid != first ? ", " : "");
		write_node(s, b, kid);
	}
	buf_addc(b, ']');
}

static void
write_kwargs(struct flow_source *s, struct buf *b, const struct node *n)
{
	if (n->sig.type == SIG_PLAIN) {
		buf_add(b, n->sig.kwargs.ptr != NULL ? n->sig.kwargs : SPAN("{}"));
		return;
	}
	buf_adds(b, n->sig.type == SIG_CHORD ? "{\"kwargs\": {}, \"header\": " : "{\"tasks\": ");
	write_list(s, b, n->kids);
	if (n->sig.type == SIG_CHORD) {
		buf_adds(b, ", \"body\": ");
		write_node(s, b, n->body);
	}
	buf_addc(b, '}');
}

static void
write_node(struct flow_source *s, struct buf *b, const struct node *n)
{
	struct sig sig = n->sig;
	struct buf options, kwargs;

	buf_init(&options, 0);
	buf_init(&kwargs, 0);
	write_options(s, &options, n);
	write_kwargs(s, &kwargs, n);
	sig.options = buf_span(&options);
	sig.kwargs = buf_span(&kwargs);
	if (options.err == E_OK && kwargs.err == E_OK)
		sig_encode(b, &sig);
	else
		b->err = E_NOMEM;
	buf_release(&options);
	buf_release(&kwargs);
}

enum err
node_write(struct flow_source *s, const struct node *n, struct span *out)
{
	struct buf b;

	buf_init(&b, 0);
	write_node(s, &b, n);
	return flow_keep(s->f, &b, out);
}
