/* See note.h. The script of backend/redis_note.c reads the same text. */
#include "wire/note.h"

#include "base/text.h"

void
note_add_text(struct buf *b, const struct note *n)
{
	static const char letters[] = {
		[NOTE_TAKEN] = 'c', [NOTE_RUNS] = 'r', [NOTE_FREE] = 'f', [NOTE_MOVED] = 'm', [NOTE_OVER] = 'd'
	};

	buf_addf(b, "%lld %lld %lld %c %lld %.*s ", (long long)n->retries, (long long)n->lost,
		(long long)n->requeued, letters[n->state], (long long)n->deaths, SPAN_FMT(n->owner));
	buf_add(b, n->words);
}

static const char *const kinds[] = { [NOTE_RETRY] = "retry", [NOTE_LOST] = "lost", [NOTE_REQUEUE] = "requeue" };

void
note_add_next(struct buf *b, const struct note_next *next)
{
	buf_addf(b, "%s %lld %lld %lld", kinds[next->kind], (long long)next->lost, (long long)next->requeued,
		(long long)next->due);
}

bool
note_read_next(struct span words, struct note_next *next)
{
	struct span kind = span_split(&words, ' '), lost = span_split(&words, ' '),
		    requeued = span_split(&words, ' ');
	int64_t due;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!span_is(kind, kinds[i]))
			continue;
		next->kind = (enum note_next_kind)i;
		if (!text_parse_int(lost, &next->lost) || !text_parse_int(requeued, &next->requeued) ||
			!text_parse_int(words, &due))
			return false;
		next->due = due;
		return next->lost >= 0 && next->requeued >= 0 && due >= 0;
	}
	return false;
}
