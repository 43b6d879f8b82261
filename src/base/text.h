/*
 * Text that people write and read: numbers, durations, sizes, times, patterns, names. Parsers take the whole
 * span or refuse it; they never accept a prefix.
 */
#ifndef WARREN_BASE_TEXT_H
#define WARREN_BASE_TEXT_H

#include "base/buf.h"

/* Decimal, with an optional sign; false on overflow. */
bool text_parse_int(struct span s, int64_t *out);
/* Decimal and finite, whatever the locale. */
bool text_parse_double(struct span s, double *out);
/* As text_parse_double, but what is too large becomes infinite instead of being refused. */
bool text_scan_double(struct span s, double *out);
/* true/false yes/no on/off 1/0, in any case. */
bool text_parse_bool(struct span s, bool *out);
/* "250ms" "30s" "5min" "1h" "2d" "1h30min" "1.5s"; a bare number is seconds. */
bool text_parse_duration(struct span s, ms_t *out);
/* Bytes: "512" "64K" "20M" "1.5G", with an optional "B" or "iB", by factors of 1024. */
bool text_parse_size(struct span s, int64_t *out);

/* The shortest text that reads back the same, as Python's repr: "1.0", "1e-07", "1e+16". `d` is finite. */
#define TEXT_DOUBLE_MAX 32
size_t text_format_double(double d, char out[TEXT_DOUBLE_MAX]);

/* ISO 8601 as Celery peers write it: offset, Z or none (= UTC), fraction, 'T' or blank. Years 1-9999; a date alone
 * is its midnight. Digits below the microsecond are dropped. */
bool text_parse_time(struct span s, us_t *out);
/* "2026-11-21T02:56:00.651564+00:00"; the fraction is left out when zero, as Python does. out needs TEXT_TIME_MAX.
 * Returns the length. Times outside of the years 1-9999 are shown as the nearest one inside. */
#define TEXT_TIME_MAX 40
size_t text_format_time(us_t t, char out[TEXT_TIME_MAX]);

void text_add_duration(struct buf *b, ms_t d);    /* "250ms", "1.5s", "3min 20s", "2h 5min", "3d 4h" */
void text_add_size(struct buf *b, int64_t bytes); /* "512 B", "1.5 MiB" */
/* Bytes of a stranger for a terminal or log: control characters, invalid UTF-8 and the characters that turn the writing
 * direction as \xNN, \n \r \t by name. At most max bytes of input are shown, then "..."; 0 = all. */
void text_add_printable(struct buf *b, struct span s, size_t max);

bool text_is_utf8(struct span s);
/* What a name may be: 1 to max bytes of UTF-8 without control characters. */
bool text_is_plain(struct span s, size_t max);
/* Shell-style pattern over the whole text: * ? [a-z] [!a-z]; '*' also matches dots and slashes, '?' one character of
 * UTF-8. A '[' without its ']' stands for itself. */
bool text_glob(struct span pattern, struct span text);

/* Splits like a simple shell: blanks separate, '...' "..." and \ quote. *argv is one block to alloc_free, NULL-ended.
 * E_FORMAT when a quote is left open. */
enum err text_split_words(struct span s, char ***argv, size_t *argc, struct errtext *t) MUSTCHECK;

/*
 * Node names, celery-wire.md section 9: "w1@%h" -> "w1@host"; "w1" -> "celery@w1" (a name without @ is a
 * host); NULL -> "celery@host". %h host, %n host without domain, %d domain, %i 0, %I "", %% percent.
 * Appends to out; E_CONF for another %x, for characters that do not belong into a name, and for more than TEXT_NODE_MAX bytes.
 */
#define TEXT_NODE_MAX 200
enum err text_node_name(const char *pattern, const char *host, struct buf *out, struct errtext *t) MUSTCHECK;

#endif
