/* See orphans.h. The kernel lists our children in /proc; everything here is a few short reads, done when a child has ended. */
#include "loop/orphans.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"

/* Of an environment that much is read: a task may have made it huge. */
#define ENVIRON_MAX (256 * 1024)

enum err
orphans_adopt(struct errtext *t)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		return err_sys(t, "cannot become the reaper of orphans");
	return E_OK;
}

static bool
read_file(const char *path, struct buf *b)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *room;
	ssize_t n = -1;

	if (fd < 0)
		return false;
	while ((room = buf_room(b, 4096)) != NULL && (n = read(fd, room, 4096)) > 0)
		buf_grew(b, (size_t)n);
	close(fd);
	/* Over the limit is as good as read: what is looked for stands at the front. */
	return n == 0 || b->err == E_TOOBIG;
}

/* Our children, as the kernel lists them: pids with blanks between. */
static bool
list_children(struct buf *b)
{
	char path[64];

	/* Children belong to the thread that forked them; that is the one thread of the loop. */
	snprintf(path, sizeof(path), "/proc/self/task/%ld/children", (long)syscall(SYS_gettid));
	buf_reset(b);
	return read_file(path, b);
}

static bool
has_mark(int pid, const char *mark)
{
	char path[64];
	struct buf b;
	struct span rest;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	buf_init(&b, ENVIRON_MAX);
	if (read_file(path, &b)) {
		rest = buf_span(&b);
		while (rest.ptr != NULL && !found)
			found = span_is(span_split(&rest, '\0'), mark);
	}
	buf_release(&b);
	return found;
}

static bool
next_pid(struct span *rest, int *pid)
{
	int64_t n;

	while (rest->ptr != NULL) {
		struct span word = span_trim(span_split(rest, ' '));

		if (text_parse_int(word, &n) && n > 0 && n <= INT32_MAX) {
			*pid = (int)n;
			return true;
		}
	}
	return false;
}

size_t
orphans_kill(const char *mark, orphans_is_ours_fn *is_ours, void *owner)
{
	size_t killed = 0;
	struct span rest;
	struct buf b;
	int pid;

	buf_init(&b, 0);
	if (list_children(&b)) {
		rest = buf_span(&b);
		/* It is our child and not waited for: the number cannot belong to anybody else. A zombie has no environment. */
		while (next_pid(&rest, &pid))
			if (!is_ours(owner, pid) && has_mark(pid, mark) && kill(pid, SIGKILL) == 0)
				killed++;
	}
	buf_release(&b);
	return killed;
}

void
orphans_reap(orphans_is_ours_fn *is_ours, void *owner)
{
	struct buf b;
	struct span rest;
	int pid;

	buf_init(&b, 0);
	if (list_children(&b)) {
		rest = buf_span(&b);
		while (next_pid(&rest, &pid))
			if (!is_ours(owner, pid))
				(void)waitpid(pid, NULL, WNOHANG);
	}
	buf_release(&b);
}
