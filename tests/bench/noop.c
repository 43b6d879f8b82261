/* The C side of the benchmark's no-op task: what is left is the cost of the way to a task and back. */
#include <warren/task.h>

static enum warren_end
noop(struct warren_task *t)
{
	return warren_return_null(t);
}

WARREN_MODULE({ .name = "bench.noop", .run = noop, .help = "does nothing, successfully" }, );
