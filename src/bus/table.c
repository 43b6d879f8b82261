/*
 * AMQP field tables. Three walks over the same grammar:
 *
 *	check    bytes of a stranger, before librabbitmq decodes them: bounds, types, depth
 *	import   librabbitmq's decoded table -> struct table in a message's arena
 *	export   struct table -> librabbitmq's table, for its encoder
 *
 * Integers: every width arrives as VAL_INT. 'L' is unsigned in librabbitmq's reading and signed in RabbitMQ's and py-amqp's, who send
 * it; the bits are taken as signed. On the way out 'I' is used when the value fits 32 bits, else 'l'.
 */
#include "bus/table.h"

static uint32_t
be32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static enum err
take(struct span *s, size_t n)
{
	if (s->len < n)
		return E_FORMAT;
	s->ptr += n;
	s->len -= n;
	return E_OK;
}

/* Takes 4 bytes of length and that many bytes behind them. */
static enum err
take_long(struct span *s, struct span *inner)
{
	size_t len;

	if (s->len < 4)
		return E_FORMAT;
	len = be32(s->ptr);
	if (s->len - 4 < len)
		return E_FORMAT;
	*inner = (struct span){ s->ptr + 4, len };
	return take(s, 4 + len);
}

static enum err check_items(struct span s, bool keys, int depth);

static enum err
check_value(struct span *s, int depth)
{
	struct span inner;
	enum err e;
	char kind;

	if (s->len < 1)
		return E_FORMAT;
	kind = *s->ptr;
	e = take(s, 1);
	switch (kind) {
	case AMQP_FIELD_KIND_BOOLEAN:
	case AMQP_FIELD_KIND_I8:
	case AMQP_FIELD_KIND_U8:
		return take(s, 1);
	case AMQP_FIELD_KIND_I16:
	case AMQP_FIELD_KIND_U16:
		return take(s, 2);
	case AMQP_FIELD_KIND_I32:
	case AMQP_FIELD_KIND_U32:
	case AMQP_FIELD_KIND_F32:
		return take(s, 4);
	case AMQP_FIELD_KIND_I64:
	case AMQP_FIELD_KIND_U64:
	case AMQP_FIELD_KIND_F64:
	case AMQP_FIELD_KIND_TIMESTAMP:
		return take(s, 8);
	case AMQP_FIELD_KIND_DECIMAL:
		return take(s, 5);
	case AMQP_FIELD_KIND_VOID:
		return e;
	case AMQP_FIELD_KIND_UTF8:
	case AMQP_FIELD_KIND_BYTES:
		return take_long(s, &inner);
	case AMQP_FIELD_KIND_ARRAY:
	case AMQP_FIELD_KIND_TABLE:
		e = take_long(s, &inner);
		return e != E_OK ? e : check_items(inner, kind == AMQP_FIELD_KIND_TABLE, depth + 1);
	default:
		return E_FORMAT;
	}
}

static enum err
check_items(struct span s, bool keys, int depth)
{
	enum err e = depth > BUS_TABLE_DEPTH_MAX ? E_TOOBIG : E_OK;

	while (e == E_OK && s.len > 0) {
		if (keys)
			e = take(&s, 1 + (size_t)(unsigned char)*s.ptr);
		if (e == E_OK)
			e = check_value(&s, depth);
	}
	return e;
}

enum err
bus_table_check(struct span bytes, size_t *used)
{
	struct span inner;

	*used = 0;
	if (take_long(&bytes, &inner) != E_OK)
		return E_FORMAT;
	*used = 4 + inner.len;
	return check_items(inner, true, 1);
}

static enum err
import_bytes(struct span *to, amqp_bytes_t from, struct arena *a)
{
	*to = arena_dup(a, span_of_amqp(from));
	return to->ptr != NULL ? E_OK : E_NOMEM;
}

static enum err import_table(struct table *to, const amqp_table_t *from, struct arena *a, int depth);
static enum err import_array(struct val *to, const amqp_array_t *from, struct arena *a, int depth);

/* All the integer kinds of librabbitmq's union. */
static bool
import_int(struct val *to, const amqp_field_value_t *from)
{
	to->type = VAL_INT;
	switch (from->kind) {
	case AMQP_FIELD_KIND_I8:
		to->u.integer = from->value.i8;
		return true;
	case AMQP_FIELD_KIND_U8:
		to->u.integer = from->value.u8;
		return true;
	case AMQP_FIELD_KIND_I16:
		to->u.integer = from->value.i16;
		return true;
	case AMQP_FIELD_KIND_U16:
		to->u.integer = from->value.u16;
		return true;
	case AMQP_FIELD_KIND_I32:
		to->u.integer = from->value.i32;
		return true;
	case AMQP_FIELD_KIND_U32:
		to->u.integer = from->value.u32;
		return true;
	case AMQP_FIELD_KIND_I64:
	case AMQP_FIELD_KIND_U64:
		to->u.integer = from->value.i64;
		return true;
	default:
		return false;
	}
}

static enum err
import_value(struct val *to, const amqp_field_value_t *from, struct arena *a, int depth)
{
	if (import_int(to, from))
		return E_OK;
	switch (from->kind) {
	case AMQP_FIELD_KIND_BOOLEAN:
		*to = val_bool(from->value.boolean != 0);
		return E_OK;
	case AMQP_FIELD_KIND_F32:
		to->type = VAL_DOUBLE;
		to->u.number = (double)from->value.f32;
		return E_OK;
	case AMQP_FIELD_KIND_F64:
		to->type = VAL_DOUBLE;
		to->u.number = from->value.f64;
		return E_OK;
	case AMQP_FIELD_KIND_DECIMAL:
		to->type = VAL_DECIMAL;
		to->u.decimal.scale = from->value.decimal.decimals;
		to->u.decimal.value = (int32_t)from->value.decimal.value;
		return E_OK;
	case AMQP_FIELD_KIND_TIMESTAMP:
		to->type = VAL_TIME;
		to->u.integer = (int64_t)from->value.u64;
		return E_OK;
	case AMQP_FIELD_KIND_UTF8:
	case AMQP_FIELD_KIND_BYTES:
		to->type = from->kind == AMQP_FIELD_KIND_UTF8 ? VAL_STRING : VAL_BYTES;
		return import_bytes(&to->u.string, from->value.bytes, a);
	case AMQP_FIELD_KIND_ARRAY:
		return import_array(to, &from->value.array, a, depth + 1);
	case AMQP_FIELD_KIND_TABLE:
		to->type = VAL_TABLE;
		to->u.table = arena_zero(a, sizeof(*to->u.table));
		return to->u.table == NULL ? E_NOMEM
					   : import_table(to->u.table, &from->value.table, a, depth + 1);
	default: /* VOID; the check let no other kind pass */
		*to = val_void();
		return E_OK;
	}
}

static enum err
import_array(struct val *to, const amqp_array_t *from, struct arena *a, int depth)
{
	size_t n = (size_t)from->num_entries;
	enum err e = E_OK;

	if (depth > BUS_TABLE_DEPTH_MAX)
		return E_TOOBIG;
	to->type = VAL_ARRAY;
	to->u.array.count = 0;
	to->u.array.items = arena_alloc(a, n * sizeof(struct val));
	if (to->u.array.items == NULL)
		return E_NOMEM;
	for (size_t i = 0; i < n && e == E_OK; i++, to->u.array.count++)
		e = import_value(&to->u.array.items[i], &from->entries[i], a, depth);
	return e;
}

static enum err
import_table(struct table *to, const amqp_table_t *from, struct arena *a, int depth)
{
	size_t n = (size_t)from->num_entries;
	enum err e = E_OK;

	if (depth > BUS_TABLE_DEPTH_MAX)
		return E_TOOBIG;
	to->count = 0;
	to->cap = n;
	to->pairs = arena_alloc(a, n * sizeof(struct pair));
	if (to->pairs == NULL)
		return E_NOMEM;
	for (size_t i = 0; i < n && e == E_OK; i++, to->count++) {
		e = import_bytes(&to->pairs[i].key, from->entries[i].key, a);
		if (e == E_OK)
			e = import_value(&to->pairs[i].value, &from->entries[i].value, a, depth);
	}
	return e;
}

enum err
bus_table_import(struct table *to, const amqp_table_t *from, struct arena *a)
{
	return import_table(to, from, a, 1);
}

static enum err export_table(amqp_table_t *to, const struct table *from, amqp_pool_t *pool, int depth);
static enum err export_array(amqp_array_t *to, const struct val *from, amqp_pool_t *pool, int depth);

static enum err
export_value(amqp_field_value_t *to, const struct val *from, amqp_pool_t *pool, int depth)
{
	switch (from->type) {
	case VAL_BOOL:
		to->kind = AMQP_FIELD_KIND_BOOLEAN;
		to->value.boolean = from->u.boolean;
		break;
	case VAL_INT:
		if (from->u.integer >= INT32_MIN && from->u.integer <= INT32_MAX) {
			to->kind = AMQP_FIELD_KIND_I32;
			to->value.i32 = (int32_t)from->u.integer;
		} else {
			to->kind = AMQP_FIELD_KIND_I64;
			to->value.i64 = from->u.integer;
		}
		break;
	case VAL_DOUBLE:
		to->kind = AMQP_FIELD_KIND_F64;
		to->value.f64 = from->u.number;
		break;
	case VAL_STRING:
	case VAL_BYTES:
		if (from->u.string.len > UINT32_MAX)
			return E_TOOBIG;
		to->kind = from->type == VAL_STRING ? AMQP_FIELD_KIND_UTF8 : AMQP_FIELD_KIND_BYTES;
		to->value.bytes = amqp_of_span(from->u.string);
		break;
	case VAL_TIME:
		to->kind = AMQP_FIELD_KIND_TIMESTAMP;
		to->value.u64 = (uint64_t)from->u.integer;
		break;
	case VAL_DECIMAL:
		to->kind = AMQP_FIELD_KIND_DECIMAL;
		to->value.decimal.decimals = from->u.decimal.scale;
		to->value.decimal.value = (uint32_t)from->u.decimal.value;
		break;
	case VAL_ARRAY:
		to->kind = AMQP_FIELD_KIND_ARRAY;
		return export_array(&to->value.array, from, pool, depth + 1);
	case VAL_TABLE:
		to->kind = AMQP_FIELD_KIND_TABLE;
		return export_table(&to->value.table, from->u.table, pool, depth + 1);
	case VAL_VOID:
		to->kind = AMQP_FIELD_KIND_VOID;
		break;
	}
	return E_OK;
}

static enum err
export_array(amqp_array_t *to, const struct val *from, amqp_pool_t *pool, int depth)
{
	size_t n = from->u.array.count;
	enum err e = E_OK;

	if (depth > BUS_TABLE_DEPTH_MAX || n > INT32_MAX / sizeof(*to->entries))
		return E_TOOBIG;
	*to = amqp_empty_array;
	if (n == 0)
		return E_OK;
	to->entries = amqp_pool_alloc(pool, n * sizeof(*to->entries));
	if (to->entries == NULL)
		return E_NOMEM;
	for (size_t i = 0; i < n && e == E_OK; i++)
		e = export_value(&to->entries[i], &from->u.array.items[i], pool, depth);
	to->num_entries = (int)n;
	return e;
}

static enum err
export_table(amqp_table_t *to, const struct table *from, amqp_pool_t *pool, int depth)
{
	enum err e = E_OK;

	*to = amqp_empty_table;
	if (depth > BUS_TABLE_DEPTH_MAX || from->count > INT32_MAX / sizeof(*to->entries))
		return E_TOOBIG;
	if (from->count == 0)
		return E_OK;
	to->entries = amqp_pool_alloc(pool, from->count * sizeof(*to->entries));
	if (to->entries == NULL)
		return E_NOMEM;
	for (size_t i = 0; i < from->count && e == E_OK; i++) {
		/* The library would cut the length of a longer key to its low byte. */
		if (from->pairs[i].key.len > UINT8_MAX)
			return E_TOOBIG;
		to->entries[i].key = amqp_of_span(from->pairs[i].key);
		e = export_value(&to->entries[i].value, &from->pairs[i].value, pool, depth);
	}
	to->num_entries = (int)from->count;
	return e;
}

enum err
bus_table_export(amqp_table_t *to, const struct table *from, amqp_pool_t *pool)
{
	return export_table(to, from, pool, 1);
}
