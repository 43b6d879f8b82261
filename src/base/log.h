/*
 * One line per event. Rows in tbl/logs.def give each event its level and its sentence; a call names the row
 * and the fields that the sentence mentions. As text the sentence is printed, as JSON each field has its key:
 *
 *   LOG(TASK_SUCCEEDED, LOG_STR("task", t->name), LOG_STR("id", t->id), LOG_SEC("runtime", us));
 *   [2026-11-21 02:56:00,651: INFO/worker] Task add[4f1c...] succeeded in 0.012s
 *
 * Nothing here blocks: when the sink is full the line is dropped and counted, and the count is printed once
 * there is room again. Values are data: control characters are escaped and long ones cut.
 */
#ifndef WARREN_BASE_LOG_H
#define WARREN_BASE_LOG_H

#include "base/buf.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_CRITICAL };

enum log_id {
#define LOGROW(id, level, sentence) LOG_ID_##id,
#include "tbl/logs.def"
#undef LOGROW
	LOG_ID_COUNT
};

enum log_field_type { LOG_F_END, LOG_F_SPAN, LOG_F_LINES, LOG_F_INT, LOG_F_SECONDS };

struct log_field {
	const char *key;
	enum log_field_type type;
	struct span span;
	int64_t number; /* LOG_F_INT: as it is; LOG_F_SECONDS: microseconds */
};

/* It would put each brace on a line of its own. */
/* clang-format off */
#define LOG_SPAN(key, s)  { (key), LOG_F_SPAN, (s), 0 }
#define LOG_STR(key, c)   { (key), LOG_F_SPAN, span_of(c), 0 }
/* Text of several lines, such as a traceback: each goes on a line of its own below the sentence. */
#define LOG_LINES(key, s) { (key), LOG_F_LINES, (s), 0 }
#define LOG_INT(key, i)   { (key), LOG_F_INT, SPAN_NONE, (int64_t)(i) }
#define LOG_SEC(key, us)  { (key), LOG_F_SECONDS, SPAN_NONE, (us) }
#define LOG(id, ...) log_emit(LOG_ID_##id, (const struct log_field[]){ __VA_ARGS__ __VA_OPT__(,) { 0 } })
/* clang-format on */

struct log_conf {
	enum log_level level;
	bool json;
	bool color;
	const char *process; /* the word after the level, "worker" */
	int fd;              /* where lines go; 2 by default; not closed by us */
};

/* May be called again (reload). Before the first call: level INFO, text, stderr. */
void log_setup(const struct log_conf *conf);
bool log_is_on(enum log_level level);
/* debug, info, warning, error, critical, in any case */
bool log_parse_level(struct span text, enum log_level *out);
void log_emit(enum log_id id, const struct log_field *fields);
/* Tests: every line goes to `fn` instead; NULL ends that. */
void log_capture(void (*fn)(void *owner, enum log_id id, const char *line), void *owner);
/* Lines dropped so far because the sink was full. */
uint64_t log_dropped(void);

#endif
