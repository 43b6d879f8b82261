/*
 * The option engine. One parser and one printer per type; bounds are checked here, so that nothing behind it has to.
 * It knows neither files nor flags: conf.c, file.c and the command line bring it texts and say where they stood.
 */
#include "conf/opt.h"

#include "base/js.h"
#include "base/jscan.h"
#include "base/text.h"
#include "base/url.h"

#include <inttypes.h>
#include <strings.h>

#define ITEMS_MAX 256

static void *
field(const struct opt_row *row, void *base)
{
	return (char *)base + row->offset;
}

static const void *
field_get(const struct opt_row *row, const void *base)
{
	return (const char *)base + row->offset;
}

bool
opt_is_list(const struct opt_row *row)
{
	return row->type == OPT_T_list || row->type == OPT_T_words || row->type == OPT_T_pairs;
}

static const size_t sizes[] = {
	[OPT_T_text] = sizeof(OPT_CTYPE_text),
	[OPT_T_int] = sizeof(OPT_CTYPE_int),
	[OPT_T_bool] = sizeof(OPT_CTYPE_bool),
	[OPT_T_dur] = sizeof(OPT_CTYPE_dur),
	[OPT_T_size] = sizeof(OPT_CTYPE_size),
	[OPT_T_choice] = sizeof(OPT_CTYPE_choice),
	[OPT_T_list] = sizeof(OPT_CTYPE_list),
	[OPT_T_words] = sizeof(OPT_CTYPE_words),
	[OPT_T_pairs] = sizeof(OPT_CTYPE_pairs),
	[OPT_T_json] = sizeof(OPT_CTYPE_json),
};

bool
opt_is_same(const struct opt_row *row, const void *a, const void *b)
{
	const void *x = (const char *)a + row->offset, *y = (const char *)b + row->offset;
	const struct opt_list *list = x, *other = y;

	switch (row->type) {
	case OPT_T_text:
	case OPT_T_choice:
	case OPT_T_json:
		return strcmp(*(const char *const *)x, *(const char *const *)y) == 0;
	case OPT_T_list:
	case OPT_T_words:
	case OPT_T_pairs:
		for (size_t i = 0; i < list->n && list->n == other->n; i++)
			if (strcmp(list->items[i], other->items[i]) != 0)
				return false;
		return list->n == other->n;
	case OPT_T_int:
	case OPT_T_bool:
	case OPT_T_dur:
	case OPT_T_size:
		break;
	}
	return memcmp(x, y, sizes[row->type]) == 0;
}

void
opt_borrow(const struct opt_row *row, void *to, const void *from)
{
	memcpy((char *)to + row->offset, (const char *)from + row->offset, sizes[row->type]);
}

enum err
opt_set_defaults(const struct opt_row *rows, size_t n, void *base, struct arena *a)
{
	enum err e;
	size_t i;

	for (i = 0; i < n; i++) {
		if (rows[i].def == NULL)
			continue;
		e = opt_set(&rows[i], base, span_of(rows[i].def), a, NULL);
		if (e == E_NOMEM)
			return e;
		assert(e == E_OK);
	}
	return E_OK;
}

/* A value quoted for an error message, or nothing where it may hold a password. */
static enum err
bad_value(const struct opt_row *row, struct span text, struct errtext *t, const char *what)
{
	struct buf b;
	enum err e;

	buf_init(&b, 0);
	text_add_printable(&b, text, 60);
	if (row->flags & OPT_URL)
		e = err_set(t, E_CONF, "%s", what);
	else
		e = err_set(t, E_CONF, "'%s' %s", buf_text(&b), what);
	buf_release(&b);
	return e;
}

static void
add_number(struct buf *b, const struct opt_row *row, int64_t v)
{
	if (row->type == OPT_T_dur)
		text_add_duration(b, v);
	else if (row->type == OPT_T_size)
		text_add_size(b, v);
	else
		buf_addf(b, "%" PRId64, v);
}

static enum err
check_bounds(const struct opt_row *row, int64_t v, struct span text, struct errtext *t)
{
	struct buf b;
	enum err e;

	if (v >= row->min && (row->max == 0 || v <= row->max))
		return E_OK;
	buf_init(&b, 0);
	buf_adds(&b, v < row->min ? "is too small: the least is " : "is too large: the most is ");
	add_number(&b, row, v < row->min ? row->min : row->max);
	e = bad_value(row, text, t, buf_text(&b));
	buf_release(&b);
	return e;
}

static enum err
set_number(const struct opt_row *row, void *base, struct span text, struct errtext *t)
{
	int64_t v = 0;
	enum err e;

	if (row->type == OPT_T_int && !text_parse_int(text, &v))
		return bad_value(row, text, t, "is not a whole number");
	if (row->type == OPT_T_dur && row->choices != NULL && (span_is(text, "true") || span_is(text, "false")))
		v = span_is(text, "true") ? 1000 : 0;
	else if (row->type == OPT_T_dur && !text_parse_duration(text, &v))
		return bad_value(row, text, t,
			"is not a duration (write 30s, 5min, 1h30min; a bare number is seconds)");
	if (row->type == OPT_T_size && !text_parse_size(text, &v))
		return bad_value(row, text, t, "is not a size (write 512K, 20M, 1G; a bare number is bytes)");
	e = check_bounds(row, v, text, t);
	if (e == E_OK)
		*(int64_t *)field(row, base) = v;
	return e;
}

static enum err
set_choice(const struct opt_row *row, void *base, struct span text, struct arena *a, struct errtext *t)
{
	struct span rest = span_of(row->choices), choice, copy;
	struct buf b;
	enum err e;

	while (rest.ptr != NULL) {
		choice = span_split(&rest, '|');
		if (choice.len != text.len || strncasecmp(choice.ptr, text.ptr, text.len) != 0)
			continue;
		copy = arena_dup(a, choice);
		if (copy.ptr == NULL)
			return err_set(t, E_NOMEM, "out of memory");
		*(const char **)field(row, base) = copy.ptr;
		return E_OK;
	}
	buf_init(&b, 0);
	buf_adds(&b, "is not known: choose one of ");
	for (rest = span_of(row->choices); rest.ptr != NULL;) {
		buf_add(&b, span_split(&rest, '|'));
		if (rest.ptr != NULL)
			buf_adds(&b, ", ");
	}
	e = bad_value(row, text, t, buf_text(&b));
	buf_release(&b);
	return e;
}

static enum err
check_url(struct span text, struct errtext *t)
{
	struct url u;
	char *copy;
	enum err e;

	if (text.len == 0 || span_is(text, "none") || span_is(text, "disabled"))
		return E_OK;
	copy = alloc_dup(text);
	if (copy == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	e = url_parse(&u, copy, t);
	if (e == E_OK)
		url_release(&u);
	explicit_bzero(copy, text.len);
	alloc_free(copy);
	return e == E_NOMEM || e == E_OK ? e : E_CONF;
}

static bool
has_byte(struct span s, char c)
{
	return s.len > 0 && memchr(s.ptr, c, s.len) != NULL;
}

static enum err
set_text(const struct opt_row *row, void *base, struct span text, struct arena *a, struct errtext *t)
{
	struct span copy;
	enum err e;

	if (has_byte(text, '\0'))
		return err_set(t, E_CONF, "the value holds a NUL byte");
	if ((int64_t)text.len < row->min)
		return err_set(t, E_CONF, "the value is empty");
	if (row->max != 0 && (int64_t)text.len > row->max)
		return err_set(t, E_CONF, "the value is longer than %" PRId64 " bytes", row->max);
	if (row->flags & OPT_URL) {
		e = check_url(text, t);
		if (e != E_OK)
			return e;
	}
	copy = arena_dup(a, text);
	if (copy.ptr == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	*(const char **)field(row, base) = copy.ptr;
	return E_OK;
}

/* JSON of one value, or nothing. */
static enum err
set_json(const struct opt_row *row, void *base, struct span text, struct arena *a, struct errtext *t)
{
	struct errtext why = { "" };

	if (text.len > 0 && jscan_check(text, NULL, NULL, &why) != E_OK)
		return err_set(t, E_CONF, "this is not JSON: %s", why.text);
	return set_text(row, base, text, a, t);
}

static enum err
check_item(const struct opt_row *row, struct span item, struct errtext *t)
{
	if (has_byte(item, '\0'))
		return err_set(t, E_CONF, "the value holds a NUL byte");
	if (row->flags & OPT_URL)
		return check_url(item, t);
	if (row->type == OPT_T_list && item.len == 0)
		return err_set(t, E_CONF, "an item of the list is empty");
	/* Names of queues, modules, variables; what is repeatable may be a path, which is any bytes. */
	if (row->type == OPT_T_list && !(row->flags & OPT_REPEAT) && !text_is_utf8(item))
		return err_set(t, E_CONF, "an item of the list is not UTF-8");
	if (row->type == OPT_T_pairs && (!has_byte(item, '=') || item.ptr[0] == '='))
		return bad_value(row, item, t, "is not KEY=value");
	return E_OK;
}

enum err
opt_set_items(const struct opt_row *row, void *base, const struct span *items, size_t n, struct arena *a,
	struct errtext *t)
{
	struct opt_list *list = field(row, base);
	size_t old = row->flags & OPT_REPEAT ? list->n : 0, i;
	const char **all;
	struct span copy;
	enum err e;

	if (old + n == 0 && row->min > 0)
		return err_set(t, E_CONF, "the value is empty");
	if ((int64_t)(old + n) < row->min || (row->max != 0 && (int64_t)(old + n) > row->max))
		return err_set(t, E_CONF, "%zu items: there must be %" PRId64 " to %" PRId64, old + n,
			row->min, row->max);
	all = arena_zero(a, (old + n + 1) * sizeof(*all));
	if (all == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	for (i = 0; i < old; i++)
		all[i] = list->items[i];
	for (i = 0; i < n; i++) {
		e = check_item(row, items[i], t);
		if (e != E_OK)
			return e;
		copy = arena_dup(a, items[i]);
		if (copy.ptr == NULL)
			return err_set(t, E_NOMEM, "out of memory");
		all[old + i] = copy.ptr;
	}
	list->items = all;
	list->n = old + n;
	return E_OK;
}

/* "a, b": also at ';' for URLs, as Celery writes a list of brokers. Items of a repeatable flag are not split. */
static enum err
set_list(const struct opt_row *row, void *base, struct span text, struct arena *a, struct errtext *t)
{
	struct span items[ITEMS_MAX], rest = text;
	size_t n = 0, i;

	if (row->flags & OPT_REPEAT)
		return opt_set_items(row, base, &text, 1, a, t);
	while (span_trim(rest).len > 0) {
		if (n == ITEMS_MAX)
			return err_set(t, E_CONF, "more than %d items", ITEMS_MAX);
		for (i = 0;
			i < rest.len && rest.ptr[i] != ',' && !(rest.ptr[i] == ';' && row->flags & OPT_URL);)
			i++;
		items[n++] = span_trim((struct span){ rest.ptr, i });
		i += i < rest.len;
		rest.ptr += i;
		rest.len -= i;
	}
	return opt_set_items(row, base, items, n, a, t);
}

static enum err
set_words(const struct opt_row *row, void *base, struct span text, struct arena *a, struct errtext *t)
{
	struct span items[ITEMS_MAX];
	char **argv = NULL;
	size_t n = 0, i;
	enum err e;

	e = text_split_words(text, &argv, &n, t);
	if (e != E_OK)
		return e == E_NOMEM ? e : E_CONF;
	if (n > ITEMS_MAX)
		e = err_set(t, E_CONF, "more than %d words", ITEMS_MAX);
	for (i = 0; e == E_OK && i < n; i++)
		items[i] = span_of(argv[i]);
	if (e == E_OK)
		e = opt_set_items(row, base, items, n, a, t);
	alloc_free(argv);
	return e;
}

enum err
opt_set(const struct opt_row *row, void *base, struct span text, struct arena *a, struct errtext *t)
{
	switch (row->type) {
	case OPT_T_text:
		return set_text(row, base, text, a, t);
	case OPT_T_bool:
		if (!text_parse_bool(text, field(row, base)))
			return bad_value(row, text, t, "is neither true nor false");
		return E_OK;
	case OPT_T_choice:
		return set_choice(row, base, text, a, t);
	case OPT_T_json:
		return set_json(row, base, text, a, t);
	case OPT_T_list:
	case OPT_T_pairs:
		return set_list(row, base, text, a, t);
	case OPT_T_words:
		return set_words(row, base, text, a, t);
	case OPT_T_int:
	case OPT_T_dur:
	case OPT_T_size:
		break;
	}
	return set_number(row, base, text, t);
}

static bool
name_fits(const char *known, struct span name)
{
	size_t i;

	for (i = 0; i < name.len; i++)
		if (known[i] == '\0' || (known[i] != name.ptr[i] && !(known[i] == '_' && name.ptr[i] == '-')))
			return false;
	return known[i] == '\0';
}

const struct opt_row *
opt_find(const struct opt_row *rows, size_t n, struct span name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (name_fits(rows[i].name, name))
			return &rows[i];
	return NULL;
}

static void
add_safe(struct buf *b, const struct opt_row *row, const char *text)
{
	struct url u;

	if (!(row->flags & OPT_URL) || strstr(text, "://") == NULL)
		buf_adds(b, text);
	else if (url_parse(&u, text, NULL) == E_OK) {
		url_add_safe(b, &u);
		url_release(&u);
	}
}

void
opt_add_value(struct buf *b, const struct opt_row *row, const void *base)
{
	const void *p = field_get(row, base);
	const struct opt_list *list = p;
	size_t i;

	switch (row->type) {
	case OPT_T_text:
	case OPT_T_choice:
	case OPT_T_json:
		add_safe(b, row, *(const char *const *)p);
		break;
	case OPT_T_bool:
		buf_adds(b, *(const bool *)p ? "true" : "false");
		break;
	case OPT_T_int:
	case OPT_T_dur:
	case OPT_T_size:
		add_number(b, row, *(const int64_t *)p);
		break;
	case OPT_T_list:
	case OPT_T_words:
	case OPT_T_pairs:
		for (i = 0; i < list->n; i++) {
			if (i > 0)
				buf_adds(b, row->type == OPT_T_words ? " " : ", ");
			add_safe(b, row, list->items[i]);
		}
		break;
	}
}

static void
add_json_text(struct buf *b, const struct opt_row *row, const char *text)
{
	struct buf safe;

	buf_init(&safe, 0);
	add_safe(&safe, row, text);
	js_add_string(b, (struct span){ buf_text(&safe), safe.len });
	buf_release(&safe);
}

void
opt_add_json(struct buf *b, const struct opt_row *row, const void *base)
{
	const void *p = field_get(row, base);
	const struct opt_list *list = p;
	struct js w;
	size_t i;

	js_init(&w, b);
	switch (row->type) {
	case OPT_T_text:
	case OPT_T_choice:
		add_json_text(b, row, *(const char *const *)p);
		break;
	case OPT_T_json:
		js_raw(&w, span_of(*(const char *const *)p));
		break;
	case OPT_T_bool:
		js_bool(&w, *(const bool *)p);
		break;
	case OPT_T_int:
	case OPT_T_size:
		js_int(&w, *(const int64_t *)p);
		break;
	case OPT_T_dur:
		js_double(&w, (double)*(const ms_t *)p / 1000);
		break;
	case OPT_T_list:
	case OPT_T_words:
	case OPT_T_pairs:
		buf_addc(b, '[');
		for (i = 0; i < list->n; i++) {
			buf_adds(b, i > 0 ? ", " : "");
			add_json_text(b, row, list->items[i]);
		}
		buf_addc(b, ']');
		break;
	}
}

const char *
opt_arg(const struct opt_row *row)
{
	static const char *const words[] = {
		[OPT_T_text] = "TEXT",
		[OPT_T_int] = "N",
		[OPT_T_bool] = "",
		[OPT_T_dur] = "TIME",
		[OPT_T_size] = "SIZE",
		[OPT_T_choice] = "WORD",
		[OPT_T_list] = "A,B",
		[OPT_T_words] = "COMMAND",
		[OPT_T_pairs] = "KEY=VALUE",
		[OPT_T_json] = "JSON",
	};

	if (row->arg != NULL)
		return row->arg;
	if (row->flags & OPT_URL)
		return "URL";
	if (row->type == OPT_T_choice)
		return row->choices;
	if (row->type == OPT_T_text && span_ends(span_of(row->name), "_file"))
		return "FILE";
	return words[row->type];
}
