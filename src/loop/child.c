/*
 * Child processes, the parent's half.
 *
 *   spawn -> RUNNING -> ENDED (on_exit; the zombie keeps pid and group from being reused) -> closed: group killed, reaped, freed
 *                   \-> closed while running: group killed; freed once its end is seen
 *
 * child_spawn forks, and then waits for the exec, which is short: what can take long (finding the program, making pipes) comes before,
 * and a close-on-exec pipe tells at once whether the program could be started, so that a missing one is an error of this call
 * and no mysterious exit code. It also makes sure that no descriptor of ours is shared with a child once it returns.
 */
#include "loop/child_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "loop/child_exec.h"
#include "loop/internal.h"

/* How long loop_free waits for a child that it has killed. */
#define LAST_WAIT_MS 1000

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
child_free(void *p)
{
	struct child *c = p;

	loop_fd_release(&c->watch);
	list_unlink(&c->link);
	list_unlink(&c->remnant.link);
	close_fd(&c->channel);
	close_fd(&c->out);
	close_fd(&c->err);
	close_fd(&c->pid_fd);
	alloc_free(c);
}

/* The kernel's waitid also tells what was used; glibc's does not. WNOWAIT leaves the zombie, and so the pid, in place. */
enum look { LOOK_RUNS, LOOK_ENDED, LOOK_NOT_OURS };

static enum look
look(const struct child *c, struct child_end *end)
{
	siginfo_t info = { 0 };
	struct rusage ru = { 0 };

	if (syscall(SYS_waitid, P_PIDFD, c->pid_fd, &info, WEXITED | WNOHANG | WNOWAIT, &ru) != 0)
		return errno == ECHILD ? LOOK_NOT_OURS : LOOK_RUNS;
	if (info.si_pid == 0)
		return LOOK_RUNS;
	*end = (struct child_end){
		.signaled = info.si_code != CLD_EXITED,
		.code = info.si_status,
		.core = info.si_code == CLD_DUMPED,
		.max_rss = (int64_t)ru.ru_maxrss * 1024,
		.user_us = (us_t)ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec,
		.system_us = (us_t)ru.ru_stime.tv_sec * 1000000 + ru.ru_stime.tv_usec,
	};
	return LOOK_ENDED;
}

/* Or lets its parent do that. */
static void
reap_zombie(struct child *c)
{
	siginfo_t info;

	if (c->maker_ops != NULL)
		c->maker_ops->on_gone(c->maker, c);
	else if (c->pid_fd >= 0)
		(void)waitid(P_PIDFD, (id_t)c->pid_fd, &info, WEXITED | WNOHANG);
}

void
child_on_end(struct child *c, const struct child_end *end)
{
	if (c->ended)
		return;
	c->ended = true;
	loop_fd_release(&c->watch);
	if (c->closed) {
		reap_zombie(c);
		loop_reap(c->loop, child_free, c);
		return;
	}
	c->ops->on_exit(c->owner, end);
}

static void
on_pid_fd(void *owner)
{
	struct child *c = owner;
	struct child_end end;

	switch (look(c, &end)) {
	case LOOK_RUNS:
		break;
	case LOOK_ENDED:
		child_on_end(c, &end);
		break;
	case LOOK_NOT_OURS:
		/* Its parent knows how it has ended, and will say so; when that is gone, nobody does. */
		loop_fd_release(&c->watch);
		if (c->maker_ops != NULL)
			c->maker_ops->on_died(c->maker, c);
		else
			child_on_end(c, &(struct child_end){ .unknown = true });
		break;
	}
}

/* The loop goes away while a killed child has not been seen to end. */
static void
on_loop_free(void *owner)
{
	struct child *c = owner;
	struct pollfd p = { .fd = c->pid_fd, .events = POLLIN };

	/* Of one that another process forks, that one is gone by now or ends with us. */
	c->maker_ops = NULL;
	if (c->pid_fd >= 0)
		(void)poll(&p, 1, LAST_WAIT_MS);
	reap_zombie(c);
	child_free(c);
}

/* A descriptor that a child gets must not lie where it is to be put. */
static bool
lift(int *fd)
{
	int higher;

	if (*fd > 3)
		return true;
	higher = fcntl(*fd, F_DUPFD_CLOEXEC, 4);
	if (higher < 0)
		return false;
	close(*fd);
	*fd = higher;
	return true;
}

static bool
make_pipe(int p[2])
{
	return pipe2(p, O_CLOEXEC) == 0 && lift(&p[0]) && lift(&p[1]);
}

static bool
set_nonblocking(int fd)
{
	return fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

bool
child_make_ends(struct child_ends *x, bool channel, bool status)
{
	if (status) {
		x->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (x->null_fd < 0 || !lift(&x->null_fd) || !make_pipe(x->status))
			return false;
	}
	if (!make_pipe(x->out) || !make_pipe(x->err))
		return false;
	/* Only our ends: to the child they are ordinary, blocking descriptors. */
	if (!set_nonblocking(x->out[0]) || !set_nonblocking(x->err[0]))
		return false;
	return !channel ||
		(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, x->channel) == 0 &&
			lift(&x->channel[0]) && lift(&x->channel[1]) && set_nonblocking(x->channel[0]));
}

void
child_release_ends(struct child_ends *x)
{
	close_fd(&x->null_fd);
	for (int i = 0; i < 2; i++) {
		close_fd(&x->out[i]);
		close_fd(&x->err[i]);
		close_fd(&x->channel[i]);
		close_fd(&x->status[i]);
	}
}

/* A passing want is no fault of the program. Keeps errno. */
static enum err
err_of_errno(int code)
{
	switch (code) {
	case EAGAIN:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return E_AGAIN;
	case ENOENT:
		return E_MISSING;
	default:
		return E_SYS;
	}
}

enum err
child_start_failed(struct errtext *t, const char *what, const char *program, int code)
{
	(void)err_set(t, E_SYS, "%s \"%s\": %s", what, program, strerror(code));
	errno = code;
	return err_of_errno(code);
}

static enum err
say_trouble(const struct child_trouble *trouble, const struct child_plan *plan, struct errtext *t)
{
	int code = trouble->sys_errno;
	enum err e;

	switch (trouble->step) {
	case CHILD_STEP_CWD:
		e = child_start_failed(t, "cannot enter the directory", plan->conf->cwd, code);
		break;
	case CHILD_STEP_LIMITS:
		e = child_start_failed(t, "cannot set the limits of", plan->program, code);
		break;
	case CHILD_STEP_EXEC:
		/* A script whose interpreter is missing gives the same error as a missing script. */
		e = child_start_failed(t,
			code == ENOENT && access(plan->program, F_OK) == 0 ? "cannot find the interpreter of"
									   : "cannot start",
			plan->program, code);
		break;
	default:
		e = child_start_failed(t, "cannot prepare the process for", plan->program, code);
	}
	errno = code;
	return e;
}

/* Signals stay blocked around the fork: a handler of the loop must not run in the child, where it would write to our pipe. */
static int
fork_blocked(const struct child_plan *plan)
{
	sigset_t all, before;
	int pid, code;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	errno = FAIL_ERRNO("fork");
	pid = errno != 0 ? -1 : fork();
	if (pid == 0)
		child_exec(plan);
	code = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = code;
	return pid;
}

/* Waits for the exec, or for the word why it failed; then the child has exited and is reaped. */
static enum err
await_exec(int pid, int status_fd, const struct child_plan *plan, struct errtext *t)
{
	struct child_trouble trouble;
	ssize_t n;

	do {
		n = read(status_fd, &trouble, sizeof(trouble));
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return E_OK;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof(trouble))
		return child_start_failed(t, "cannot start", plan->program, EIO);
	return say_trouble(&trouble, plan, t);
}

enum err
child_watch(struct child *c)
{
	return loop_fd_init(&c->watch, c->loop, c->pid_fd, on_pid_fd, c);
}

static enum err
open_and_watch(struct child *c, struct errtext *t)
{
	int code;

	c->pid_fd = pidfd_open(c->pid, 0);
	if (c->pid_fd >= 0 && child_watch(c) == E_OK)
		return E_OK;
	code = c->pid_fd < 0 ? errno : ENOMEM;
	/* A child that cannot be watched cannot be kept. It is ours and not reaped, so the pid is still its own. */
	kill(-c->pid, SIGKILL);
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	errno = code;
	(void)err_sys(t, "cannot watch a child process");
	errno = code;
	return err_of_errno(code);
}

static int
take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

void
child_take_ends(struct child *c, struct child_ends *x)
{
	c->out = take(&x->out[0]);
	c->err = take(&x->err[0]);
	c->channel = take(&x->channel[0]);
}

enum err
child_spawn(struct child **out, struct loop *l, const struct child_conf *conf, const struct child_ops *ops,
	void *owner, struct errtext *t)
{
	struct child_ends x = CHILD_NO_ENDS;
	struct child *c = alloc_zero(sizeof(*c));
	struct child_plan plan = { .conf = conf, .parent_pid = getpid() };
	char *program = NULL;
	enum err e;
	int code = 0;

	*out = NULL;
	if (!c)
		return err_set(t, E_NOMEM, "out of memory for a child");
	c->loop = l;
	c->ops = ops;
	c->owner = owner;
	c->pid_fd = c->channel = c->out = c->err = -1;
	e = child_find(&program, conf, t);
	if (e != E_OK)
		goto out;
	if (!child_make_ends(&x, conf->channel, true)) {
		e = child_start_failed(t, "no descriptors left to start", program, errno);
		goto out;
	}
	plan.program = program;
	plan.null_fd = x.null_fd;
	plan.out_fd = x.out[1];
	plan.err_fd = x.err[1];
	plan.channel_fd = x.channel[1];
	plan.status_fd = x.status[1];
	c->pid = fork_blocked(&plan);
	if (c->pid < 0) {
		e = child_start_failed(t, "no room for a process to start", program, errno);
		goto out;
	}
	close_fd(&x.status[1]);
	e = await_exec(c->pid, x.status[0], &plan, t);
	if (e == E_OK)
		e = open_and_watch(c, t);
	if (e != E_OK)
		goto out;
	child_take_ends(c, &x);
	list_push(&l->children, &c->link);
	*out = c;
out:
	code = errno;
	child_release_ends(&x);
	alloc_free(program);
	if (e != E_OK)
		child_free(c);
	errno = code;
	return e;
}

int
child_pid(const struct child *c)
{
	return c->pid;
}

bool
child_is_ours(const struct loop *l, int pid)
{
	struct list *it, *tmp;

	LIST_EACH (&l->children, it, tmp)
		if (container_of(it, struct child, link)->pid == pid)
			return true;
	return false;
}

bool
child_is_running(const struct child *c)
{
	return !c->ended;
}

int
child_take_channel(struct child *c)
{
	return take(&c->channel);
}

int
child_take_stdout(struct child *c)
{
	return take(&c->out);
}

int
child_take_stderr(struct child *c)
{
	return take(&c->err);
}

bool
child_signal(struct child *c, int signum)
{
	if (c->ended || c->pid == 0)
		return false;
	/* Without a pidfd it is one that another process forks: that keeps its number taken. */
	return c->pid_fd >= 0 ? pidfd_send_signal(c->pid_fd, signum, NULL, 0) == 0 : kill(c->pid, signum) == 0;
}

bool
child_signal_group(struct child *c, int signum)
{
	/* Groups have no pidfd, but as long as the leader is not reaped its number is taken. */
	return !c->ended && c->pid > 0 && kill(-c->pid, signum) == 0;
}

void
child_close(struct child *c)
{
	if (!c)
		return;
	assert(!c->closed);
	c->closed = true;
	close_fd(&c->channel);
	close_fd(&c->out);
	close_fd(&c->err);
	/* An ended child may have left others of its group behind; the zombie still holds their number. */
	if (c->pid > 0)
		(void)kill(-c->pid, SIGKILL);
	if (c->ended) {
		reap_zombie(c);
		loop_reap(c->loop, child_free, c);
		return;
	}
	loop_linger(c->loop, &c->remnant, on_loop_free, c);
}

void
child_add_end(struct buf *b, const struct child_end *end)
{
	const char *name;

	if (end->unknown) {
		buf_adds(b, "ended, and how is not known");
		return;
	}
	if (!end->signaled) {
		buf_addf(b, "exited with code %d", end->code);
		return;
	}
	name = sigabbrev_np(end->code);
	buf_addf(b, "killed by signal %d", end->code);
	if (name)
		buf_addf(b, " (SIG%s)", name);
	if (end->core)
		buf_adds(b, ", core dumped");
}
