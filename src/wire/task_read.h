/* What the readers of a task message share. Private to wire/task*.c. */
#ifndef WARREN_WIRE_TASK_READ_H
#define WARREN_WIRE_TASK_READ_H

#include "wire/task.h"

struct reader {
	struct task *t;
	struct msg *m;
	const struct task_limits *lim;
	struct errtext *why;
	struct span body; /* checked, without raw newlines */
};

/* Sets the sentence and is the fault. */
#define FAULT(r, f, ...) (err_set((r)->why, E_FORMAT, __VA_ARGS__), (f))
enum task_fault reader_no_memory(struct reader *r);

/* One value, from a header or from a protocol 1 body. */
enum task_fault reader_check_identity(struct reader *r);
enum task_fault reader_set_times(struct reader *r);
enum task_fault reader_set_limit(struct reader *r, double seconds, double *out);
enum task_fault reader_set_counts(struct reader *r, int64_t retries, int64_t group_index);
enum task_fault reader_set_arguments(struct reader *r, struct span args, struct span kwargs);
enum task_fault reader_set_follow_ups(
	struct reader *r, struct span callbacks, struct span errbacks, struct span chain, struct span chord);

/* Protocol 2: all headers. */
enum task_fault reader_headers(struct reader *r);
/* Protocol 1: the body as one object. With a task header only arguments and what follows are taken from
 * it. */
enum task_fault reader_object_body(struct reader *r, bool has_task_header);

#endif
