/* Entries of the sections, and what was said in each: so that values from two sources can be laid over one another. */
#include "conf/conf.h"

static uint64_t
bit_of(const struct conf_section *sec, const struct opt_row *row)
{
	assert(row >= sec->rows && row < sec->rows + sec->n_rows && sec->n_rows <= 64);
	return UINT64_C(1) << (row - sec->rows);
}

const struct conf_section *
conf_section(const char *name)
{
	size_t i;

	for (i = 0; i < CONF_SECTIONS; i++)
		if (strcmp(conf_sections[i].name, name) == 0)
			return &conf_sections[i];
	return NULL;
}

bool
conf_is_given(const struct conf_section *sec, const void *item, const char *name)
{
	const struct opt_row *row = opt_find(sec->rows, sec->n_rows, span_of(name));

	return row != NULL && (((const struct conf_item *)item)->given & bit_of(sec, row)) != 0;
}

enum err
conf_set_item(struct conf *c, const struct conf_section *sec, void *item, const struct opt_row *row,
	struct span text, struct errtext *t)
{
	enum err e = opt_set(row, item, text, &c->arena, t);

	if (e == E_OK)
		((struct conf_item *)item)->given |= bit_of(sec, row);
	return e;
}

void
conf_overlay_item(const struct conf_section *sec, void *to, const void *from)
{
	const struct conf_item *head = from;
	size_t i;

	for (i = 0; i < sec->n_rows; i++)
		if (head->given & (UINT64_C(1) << i))
			opt_borrow(&sec->rows[i], to, from);
	((struct conf_item *)to)->given |= head->given;
}
