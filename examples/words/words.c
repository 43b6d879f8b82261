/*
 * Tasks in C for the demo: they count the words of texts.
 *
 *	cc -shared -fPIC -o words.so words.c
 *	warren worker --runner "warren runner ./words.so"
 *
 *	words.count(text)              -> {"characters": 12, "words": 2, "lines": 1}
 *	words.top(text, n=10)          -> [["the", 7], ["a", 3], ...]
 *	words.count_file(path)         -> as words.count, for a file in the folder WORDS_DIR, with progress
 */
#include <warren/task.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct count {
	long characters, words, lines;
	bool in_word;
};

/* ASCII letters and digits, the apostrophe, and all bytes of other letters in UTF-8. */
static bool
is_word_byte(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '\'' ||
		c >= 0x80;
}

static void
count_bytes(struct count *n, const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		bool word = is_word_byte(c);

		n->characters += (c & 0xc0) != 0x80;
		n->words += word && !n->in_word;
		n->lines += c == '\n';
		n->in_word = word;
	}
}

static enum warren_end
return_count(struct warren_task *t, const struct count *n)
{
	char json[128];

	snprintf(json, sizeof(json), "{\"characters\": %ld, \"words\": %ld, \"lines\": %ld}", n->characters,
		n->words, n->lines);
	return warren_return_json(t, json);
}

static enum warren_end
words_count(struct warren_task *t)
{
	struct count n = { 0 };
	const char *text;
	size_t len;

	if (!warren_arg_text(t, 0, &text, &len) && !warren_kwarg_text(t, "text", &text, &len))
		return warren_fail(t, "TypeError", "words.count needs a text");
	count_bytes(&n, text, len);
	return return_count(t, &n);
}

/* --- words.top ------------------------------------------------------------------------------------------ */

struct word {
	const char *start;
	size_t len;
	long count;
};

static int
by_text(const void *a, const void *b)
{
	const struct word *x = a, *y = b;
	int order = memcmp(x->start, y->start, x->len < y->len ? x->len : y->len);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

static int
by_count(const void *a, const void *b)
{
	const struct word *x = a, *y = b;

	return x->count != y->count ? (x->count < y->count) - (x->count > y->count) : by_text(a, b);
}

/* Cuts the text, made lower-case in place, into words; NULL when out of memory. */
static struct word *
cut(char *text, size_t len, size_t *n)
{
	struct word *list = malloc((len / 2 + 1) * sizeof(*list));
	size_t i = 0;

	*n = 0;
	while (list && i < len) {
		size_t from;

		while (i < len && !is_word_byte((unsigned char)text[i]))
			i++;
		for (from = i; i < len && is_word_byte((unsigned char)text[i]); i++)
			if (text[i] >= 'A' && text[i] <= 'Z')
				text[i] = (char)(text[i] + ('a' - 'A'));
		if (i > from)
			list[(*n)++] = (struct word){ text + from, i - from, 1 };
	}
	return list;
}

/* Makes one of equal words, with its count, and puts the most frequent first. Returns how many are left. */
static size_t
rank(struct word *list, size_t n)
{
	size_t i, kept = 0;

	qsort(list, n, sizeof(*list), by_text);
	for (i = 0; i < n; i++) {
		if (kept && by_text(&list[kept - 1], &list[i]) == 0)
			list[kept - 1].count++;
		else
			list[kept++] = list[i];
	}
	qsort(list, kept, sizeof(*list), by_count);
	return kept;
}

static enum warren_end
return_words(struct warren_task *t, const struct word *list, size_t n)
{
	enum warren_end end;
	char *json = NULL;
	size_t size, i;
	FILE *f = open_memstream(&json, &size);

	if (!f)
		return warren_fail(t, "MemoryError", "%s", strerror(errno));
	fputc('[', f);
	/* Words hold no character that JSON would have to escape. */
	for (i = 0; i < n; i++)
		fprintf(f, "%s[\"%.*s\", %ld]", i ? ", " : "", (int)list[i].len, list[i].start, list[i].count);
	fputc(']', f);
	if (fclose(f) == 0)
		end = warren_return_json(t, json);
	else
		end = warren_fail(t, "MemoryError", "%s", strerror(errno));
	free(json);
	return end;
}

static enum warren_end
words_top(struct warren_task *t)
{
	const char *text;
	size_t len, n;
	int64_t most = 10;
	struct word *list;
	enum warren_end end;
	char *copy;

	if (!warren_arg_text(t, 0, &text, &len) && !warren_kwarg_text(t, "text", &text, &len))
		return warren_fail(t, "TypeError", "words.top needs a text");
	if (!warren_arg_int(t, 1, &most))
		warren_kwarg_int(t, "n", &most);
	if (most < 0)
		return warren_fail(t, "ValueError", "n is at least 0, not %lld", (long long)most);
	copy = malloc(len + 1);
	list = copy ? cut(memcpy(copy, text, len), len, &n) : NULL;
	if (list) {
		n = rank(list, n);
		end = return_words(t, list, n < (uint64_t)most ? n : (size_t)most);
	} else {
		end = warren_fail(t, "MemoryError", "a text of %zu bytes is too long", len);
	}
	free(list);
	free(copy);
	return end;
}

/* --- words.count_file ----------------------------------------------------------------------------------- */

static enum warren_end
count_stream(struct warren_task *t, FILE *f)
{
	struct count n = { 0 };
	char piece[4096];
	long size = 0, done = 0;
	size_t len;

	if (fseek(f, 0, SEEK_END) == 0)
		size = ftell(f);
	rewind(f);
	while ((len = fread(piece, 1, sizeof(piece), f)) > 0) {
		if (warren_cancelled(t))
			return warren_fail_cancelled(t);
		count_bytes(&n, piece, len);
		done += (long)len;
		warren_progress(t, (double)done, (double)size, "counting");
	}
	if (ferror(f))
		return warren_retry(t, 5, 3, "OSError", "%s", strerror(errno));
	return return_count(t, &n);
}

static enum warren_end
words_count_file(struct warren_task *t)
{
	const char *name, *dir = getenv("WORDS_DIR");
	char path[4096];
	enum warren_end end;
	FILE *f;

	if (!warren_arg_text(t, 0, &name, NULL))
		return warren_fail(t, "TypeError", "words.count_file needs the name of a file");
	/* The name comes from a message: it must not lead out of the folder. */
	if (strchr(name, '/') || name[0] == '.')
		return warren_fail(t, "ValueError", "%s is not the name of a file in WORDS_DIR", name);
	if (snprintf(path, sizeof(path), "%s/%s", dir ? dir : ".", name) >= (int)sizeof(path))
		return warren_fail(t, "ValueError", "the name is too long");
	f = fopen(path, "r");
	if (!f)
		return warren_fail(t, errno == ENOENT ? "FileNotFoundError" : "OSError", "%s: %s", path,
			strerror(errno));
	end = count_stream(t, f);
	fclose(f);
	return end;
}

WARREN_MODULE({ .name = "words.count", .run = words_count, .help = "characters, words and lines of a text" },
	{ .name = "words.top", .run = words_top, .help = "the most frequent words of a text" },
	{ .name = "words.count_file",
		.run = words_count_file,
		.help = "characters, words and lines of a file in WORDS_DIR" }, );
