/* Tasks in C that the tests send: those of tasks.py that make sense here, under the same names and with the same results. */
#include <warren/task.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void
nap(double seconds)
{
	struct timespec ts = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };

	nanosleep(&ts, NULL);
}

static void
wait_for_file(const char *path)
{
	while (access(path, F_OK) != 0)
		nap(0.002);
}

static bool
write_line(const char *path, const char *text)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "%s\n", text),
	    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write(fd, line, (size_t)n) == n;

	if (fd >= 0)
		close(fd);
	return ok;
}

static enum warren_end
add(struct warren_task *t)
{
	int64_t x, y;

	if (!warren_arg_int(t, 0, &x) || !warren_arg_int(t, 1, &y))
		return warren_fail(t, "TypeError", "add needs two whole numbers");
	return warren_return_int(t, x + y);
}

static enum warren_end
echo(struct warren_task *t)
{
	const char *args = warren_args_json(t), *kwargs = warren_kwargs_json(t);
	size_t size = strlen(args) + strlen(kwargs) + 8;
	char *json = malloc(size);
	enum warren_end end;

	if (json == NULL)
		return warren_fail(t, "MemoryError", "no memory for %zu bytes", size);
	snprintf(json, size, "[%s, %s]", args, kwargs);
	end = warren_return_json(t, json);
	free(json);
	return end;
}

static enum warren_end
fail(struct warren_task *t)
{
	const char *message;

	if (!warren_arg_text(t, 0, &message, NULL))
		return warren_fail(t, "TypeError", "fail needs a message");
	return warren_fail(t, "ValueError", "%s", message);
}

static enum warren_end
hold(struct warren_task *t)
{
	const char *gate, *journal;

	if (!warren_arg_text(t, 0, &gate, NULL))
		return warren_fail(t, "TypeError", "hold needs a path");
	if (warren_arg_text(t, 1, &journal, NULL) && !write_line(journal, warren_id(t)))
		return warren_fail(t, "OSError", "cannot write to %s", journal);
	wait_for_file(gate);
	return warren_return_text(t, "held");
}

static enum warren_end
steps(struct warren_task *t)
{
	const char *gate;

	if (!warren_arg_text(t, 0, &gate, NULL))
		return warren_fail(t, "TypeError", "steps needs a path");
	warren_progress(t, 1, 2, "first");
	wait_for_file(gate);
	warren_progress(t, 2, 2, "second");
	return warren_return_int(t, 2);
}

static enum warren_end
own_state(struct warren_task *t)
{
	const char *gate;

	if (!warren_arg_text(t, 0, &gate, NULL))
		return warren_fail(t, "TypeError", "own_state needs a path");
	if (!warren_state(t, "DIGGING", "{\"depth\": 3}"))
		return warren_fail(t, "RuntimeError", "the state was refused");
	wait_for_file(gate);
	return warren_return_null(t);
}

static enum warren_end
journal(struct warren_task *t)
{
	const char *path;
	int64_t number;
	double seconds = 0;
	char line[32];

	if (!warren_arg_text(t, 0, &path, NULL) || !warren_arg_int(t, 1, &number))
		return warren_fail(t, "TypeError", "journal needs a path and a number");
	snprintf(line, sizeof(line), "%lld", (long long)number);
	if (!write_line(path, line))
		return warren_fail(t, "OSError", "cannot write to %s", path);
	if (warren_arg_double(t, 2, &seconds))
		nap(seconds);
	return warren_return_int(t, number * number);
}

static enum warren_end
big(struct warren_task *t)
{
	int64_t n;
	char *text;
	enum warren_end end;

	if (!warren_arg_int(t, 0, &n) || n < 0 || (text = malloc((size_t)n + 1)) == NULL)
		return warren_fail(t, "TypeError", "big needs a size");
	memset(text, 'x', (size_t)n);
	text[n] = '\0';
	end = warren_return_text(t, text);
	free(text);
	return end;
}

static enum warren_end
length(struct warren_task *t)
{
	const char *text;
	size_t len;

	if (!warren_arg_text(t, 0, &text, &len))
		return warren_fail(t, "TypeError", "length needs a text");
	return warren_return_int(t, (int64_t)len);
}

static enum warren_end
say(struct warren_task *t)
{
	const char *text;

	if (!warren_arg_text(t, 0, &text, NULL))
		return warren_fail(t, "TypeError", "say needs a text");
	printf("%s\n", text);
	fflush(stdout);
	fprintf(stderr, "%s\n", text);
	return warren_return_null(t);
}

static enum warren_end
die(struct warren_task *t)
{
	const char *how;
	int64_t code;

	if (warren_arg_int(t, 0, &code))
		_exit((int)code);
	if (!warren_arg_text(t, 0, &how, NULL))
		return warren_fail(t, "TypeError", "die needs an exit code or the name of a signal");
	raise(strcmp(how, "SIGSEGV") == 0 ? SIGSEGV : SIGKILL);
	return warren_return_null(t);
}

WARREN_MODULE({ .name = "add", .run = add, .help = "the sum of two numbers" },
	{ .name = "echo", .run = echo, .help = "its arguments" },
	{ .name = "fail", .run = fail, .help = "a ValueError" },
	{ .name = "hold", .run = hold, .help = "runs until a file exists" },
	{ .name = "steps", .run = steps, .help = "shows progress" },
	{ .name = "own_state", .run = own_state, .help = "shows a state of its own" },
	{ .name = "journal", .run = journal, .help = "notes that it ran" },
	{ .name = "big", .run = big, .help = "a long text" },
	{ .name = "length", .run = length, .help = "the bytes of a text" },
	{ .name = "say", .run = say, .help = "prints" },
	{ .name = "die", .run = die, .help = "ends its process" }, );
