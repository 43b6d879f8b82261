/*
 * Between fork and exec: only calls that are safe after a fork of a process with threads, so no memory, no locks, no stdio.
 *
 *   own session -> dies with the parent -> descriptors 0..3, all others close at exec -> directory, umask, limits -> signals -> exec
 */
#include "loop/child_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

static void __attribute__((noreturn)) give_up(const struct child_plan *plan, enum child_step step)
{
	struct child_trouble trouble = { .step = step, .sys_errno = errno };

	/* Smaller than a pipe's buffer, so it is all or nothing; and with nobody to read it there is nothing more to do. */
	if (write(plan->status_fd, &trouble, sizeof(trouble)) < 0)
		_exit(126);
	_exit(127);
}

static bool
limit(int what, int64_t value)
{
	struct rlimit old, rl = { (rlim_t)value, (rlim_t)value };

	/* Nobody but root may raise the hard limit; the lower of the two is what was meant. */
	if (getrlimit(what, &old) == 0 && old.rlim_max != RLIM_INFINITY && rl.rlim_max > old.rlim_max)
		rl.rlim_cur = rl.rlim_max = old.rlim_max;
	return setrlimit(what, &rl) == 0;
}

static void
place_fds(const struct child_plan *plan)
{
	unsigned first = plan->channel_fd >= 0 ? 4 : 3;

	if (dup2(plan->null_fd, 0) < 0 || dup2(plan->out_fd, 1) < 0 || dup2(plan->err_fd, 2) < 0)
		give_up(plan, CHILD_STEP_FDS);
	if (plan->channel_fd >= 0 && dup2(plan->channel_fd, 3) < 0)
		give_up(plan, CHILD_STEP_FDS);
	/* Not closed but marked: the status pipe lives until the exec has worked. */
	if (close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
		give_up(plan, CHILD_STEP_FDS);
}

static void
reset_signals(void)
{
	/* The kernel's struct sigaction with SIG_DFL and nothing else is all zeroes, whatever its size is here. */
	static const char dfl[64];
	sigset_t none;

	/* What is ignored stays ignored over an exec, so SIGPIPE at least must be reset. Past libc, which keeps the first two real-time
	 * signals for itself: whoever started us may have ignored those too. SIGKILL and SIGSTOP cannot be set: no matter. */
	for (int i = 1; i < NSIG; i++)
		(void)syscall(SYS_rt_sigaction, i, dfl, NULL, NSIG / 8);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

void
child_exec(const struct child_plan *plan)
{
	const struct child_conf *conf = plan->conf;

	if (setsid() < 0)
		give_up(plan, CHILD_STEP_PARENT);
	/* An orphan would go on with a task that somebody else has been given. Then the parent may have ended before the call. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		give_up(plan, CHILD_STEP_PARENT);
	if (getppid() != plan->parent_pid)
		_exit(127);
	place_fds(plan);
	if (conf->cwd && chdir(conf->cwd) != 0)
		give_up(plan, CHILD_STEP_CWD);
	umask(077);
	if ((conf->rlimit_nofile > 0 && !limit(RLIMIT_NOFILE, conf->rlimit_nofile)) ||
		(conf->rlimit_core >= 0 && !limit(RLIMIT_CORE, conf->rlimit_core)) ||
		(conf->rlimit_as > 0 && !limit(RLIMIT_AS, conf->rlimit_as)))
		give_up(plan, CHILD_STEP_LIMITS);
	reset_signals();
	execve(plan->program, (char *const *)conf->argv, (char *const *)conf->envp);
	give_up(plan, CHILD_STEP_EXEC);
}

static struct span
path_of(const char *const *envp)
{
	for (; *envp; envp++)
		if (strncmp(*envp, "PATH=", 5) == 0)
			return span_of(*envp + 5);
	return SPAN(DEFAULT_PATH);
}

static bool
is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

enum err
child_find(char **out, const struct child_conf *conf, struct errtext *t)
{
	const char *name = conf->argv[0];
	struct span path, dir, rest;
	char *file;

	*out = NULL;
	if (strchr(name, '/')) {
		/* As it is: execve says best what is wrong with it. */
		*out = alloc_dup(span_of(name));
		return *out ? E_OK : err_set(t, E_NOMEM, "out of memory for a child");
	}
	path = rest = path_of(conf->envp);
	while (rest.ptr) {
		dir = span_split(&rest, ':');
		/* An empty or relative entry would mean whatever directory we happen to be in. */
		if (!span_starts(dir, "/"))
			continue;
		file = alloc_printf("%.*s/%s", SPAN_FMT(dir), name);
		if (!file)
			return err_set(t, E_NOMEM, "out of memory for a child");
		if (is_program(file)) {
			*out = file;
			return E_OK;
		}
		alloc_free(file);
	}
	errno = ENOENT;
	return err_set(
		t, E_MISSING, "cannot start \"%s\": no such program in PATH (%.*s)", name, SPAN_FMT(path));
}
