/* The files of tests/vectors as C data. json-c reads them: the code under test must not check itself. */
#include "vectors.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static char *
vectors_path(const char *name)
{
	const char *root = getenv("WARREN_VECTORS");

	return alloc_printf("%s/%s", root ? root : "tests/vectors", name);
}

static int
is_json_file(const struct dirent *d)
{
	return span_ends(span_of(d->d_name), ".json");
}

int
vectors_each(const char *folder, void (*check)(const char *name, struct json_object *v))
{
	char *path = vectors_path(folder), *file;
	struct dirent **names = NULL;
	struct json_object *v;
	int i, n;

	assert_non_null(path);
	n = scandir(path, &names, is_json_file, alphasort);
	if (n < 1)
		fail_msg("no vectors in %s", path);
	for (i = 0; i < n; i++) {
		file = alloc_printf("%s/%s", path, names[i]->d_name);
		assert_non_null(file);
		v = json_object_from_file(file);
		if (!v)
			fail_msg("%s: %s", file, json_util_get_last_err());
		check(names[i]->d_name, v);
		json_object_put(v);
		alloc_free(file);
		free(names[i]);
	}
	free(names);
	alloc_free(path);
	return n;
}

int
vectors_each_line(const char *file, void (*check)(const char *name, struct span line))
{
	char *path = vectors_path(file), *line = NULL;
	size_t cap = 0;
	ssize_t len;
	FILE *f;
	int n = 0;

	assert_non_null(path);
	f = fopen(path, "r");
	if (!f)
		fail_msg("cannot open %s", path);
	while ((len = getline(&line, &cap, f)) > 0) {
		assert_int_equal(line[len - 1], '\n');
		check(file, (struct span){ line, (size_t)len - 1 });
		n++;
	}
	free(line);
	fclose(f);
	alloc_free(path);
	return n;
}

struct json_object *
vector_get(struct json_object *v, const char *key)
{
	struct json_object *member;

	if (!json_object_object_get_ex(v, key, &member))
		fail_msg("vector without '%s'", key);
	return member;
}

struct span
vector_text(struct json_object *v, const char *key)
{
	struct json_object *s;

	if (!json_object_object_get_ex(v, key, &s) || !s)
		return SPAN_NONE;
	assert_true(json_object_is_type(s, json_type_string));
	return (struct span){ json_object_get_string(s), (size_t)json_object_get_string_len(s) };
}

void
vector_base64(struct json_object *v, const char *key, struct buf *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct span s = vector_text(v, key);
	uint32_t bits = 0;
	int n = 0;
	size_t i;

	buf_init(out, 0);
	for (i = 0; i < s.len && s.ptr[i] != '='; i++) {
		assert_non_null(strchr(digits, s.ptr[i]));
		bits = bits << 6 | (uint32_t)(strchr(digits, s.ptr[i]) - digits);
		n += 6;
		if (n >= 8) {
			n -= 8;
			buf_addc(out, (char)(bits >> n & 0xff));
		}
	}
	assert_int_equal(out->err, E_OK);
}

static struct span
keep(struct arena *a, struct span s)
{
	struct span copy = SPAN_NONE;

	if (s.ptr) {
		copy = arena_dup(a, s);
		assert_non_null(copy.ptr);
	}
	return copy;
}

static void to_table(struct json_object *pairs, struct table *t, struct arena *a);

static struct val
to_val(struct json_object *o, struct arena *a)
{
	struct val v = val_void();
	struct span type = vector_text(o, "type");
	struct json_object *value;
	size_t i;

	assert_int_equal(type.len, 1);
	json_object_object_get_ex(o, "value", &value);
	switch (type.len ? type.ptr[0] : 0) {
	case 'S':
		return val_string(keep(a, vector_text(o, "value")));
	case 't':
		return val_bool(json_object_get_boolean(value));
	case 'I':
	case 'L':
		return val_int(json_object_get_int64(value));
	case 'd':
		return (struct val){ .type = VAL_DOUBLE, .u.number = json_object_get_double(value) };
	case 'A':
		v.type = VAL_ARRAY;
		v.u.array.count = json_object_array_length(value);
		v.u.array.items = arena_zero(a, (v.u.array.count + 1) * sizeof(struct val));
		assert_non_null(v.u.array.items);
		for (i = 0; i < v.u.array.count; i++)
			v.u.array.items[i] = to_val(json_object_array_get_idx(value, i), a);
		return v;
	case 'F':
		v.type = VAL_TABLE;
		v.u.table = arena_zero(a, sizeof(*v.u.table));
		assert_non_null(v.u.table);
		to_table(value, v.u.table, a);
		return v;
	default:
		assert_span(type, "V");
		return v;
	}
}

static void
to_table(struct json_object *pairs, struct table *t, struct arena *a)
{
	struct json_object *o;
	size_t i;

	for (i = 0; i < json_object_array_length(pairs); i++) {
		o = json_object_array_get_idx(pairs, i);
		assert_int_equal(table_add(t, a, keep(a, vector_text(o, "key")), to_val(o, a)), E_OK);
	}
}

void
vector_to_msg(struct json_object *v, struct msg *m)
{
	struct json_object *p = vector_get(v, "properties"), *priority;
	struct arena *a = &m->arena;
	struct buf body;

	m->exchange = keep(a, vector_text(v, "exchange"));
	m->routing_key = keep(a, vector_text(v, "routing_key"));
	m->content_type = keep(a, vector_text(p, "content_type"));
	m->content_encoding = keep(a, vector_text(p, "content_encoding"));
	m->correlation_id = keep(a, vector_text(p, "correlation_id"));
	m->reply_to = keep(a, vector_text(p, "reply_to"));
	m->expiration = keep(a, vector_text(p, "expiration"));
	m->delivery_mode = json_object_get_int(vector_get(p, "delivery_mode"));
	if (json_object_object_get_ex(p, "priority", &priority) && priority)
		m->priority = json_object_get_int(priority);
	m->has_headers = true;
	to_table(vector_get(v, "headers"), &m->headers, a);
	vector_base64(v, "body", &body);
	m->body = keep(a, buf_span(&body));
	buf_release(&body);
}

void
assert_span_eq(const char *what, struct span got, struct span expected)
{
	if ((got.ptr == NULL) != (expected.ptr == NULL) || !span_eq(got, expected))
		fail_msg("%s is %s\"%.*s\", expected %s\"%.*s\"", what, got.ptr ? "" : "none ", SPAN_FMT(got),
			expected.ptr ? "" : "none ", SPAN_FMT(expected));
}
