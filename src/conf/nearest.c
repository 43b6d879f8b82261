/*
 * "did you mean": the edit distance (insert, delete, replace, swap of neighbours) between what was written and each known
 * word. Only for words up to a length that a person would type.
 */
#include "conf/opt.h"

#include "base/text.h"

#define WORD_MAX 64

void
nearest_init(struct nearest *n, struct span word)
{
	*n = (struct nearest){ .word = word, .distance = word.len / 3 + 1 < 3 ? word.len / 3 + 1 : 3 };
	n->distance++; /* the first that is strictly nearer than this wins */
}

static char
fold(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c == '-' ? '_' : c;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t
distance(struct span a, const char *b, size_t b_len)
{
	size_t rows[3][WORD_MAX + 1], i, j;
	size_t *before = rows[0], *last = rows[1], *now = rows[2], *spare;

	for (j = 0; j <= b_len; j++)
		last[j] = j;
	for (i = 1; i <= a.len; i++) {
		now[0] = i;
		for (j = 1; j <= b_len; j++) {
			char x = fold(a.ptr[i - 1]), y = fold(b[j - 1]);

			now[j] = least(least(now[j - 1], last[j]) + 1, last[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == fold(b[j - 2]) && y == fold(a.ptr[i - 2]))
				now[j] = least(now[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[b_len];
}

void
nearest_try(struct nearest *n, const char *known)
{
	size_t len = strlen(known), d;

	if (n->word.len > WORD_MAX || len > WORD_MAX)
		return;
	d = distance(n->word, known, len);
	if (d < n->distance) {
		n->best = known;
		n->distance = d;
	}
}

void
nearest_add(struct buf *b, const struct nearest *n)
{
	if (n->best != NULL)
		buf_addf(b, ": did you mean '%s'?", n->best);
}
