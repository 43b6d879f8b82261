/*
 * Child processes: fork and exec at once, in a session of their own, nothing inherited but what is named here. The end of a
 * child is seen through its pidfd; signals go through it too, so they cannot hit a reused pid.
 */
#ifndef WARREN_LOOP_CHILD_H
#define WARREN_LOOP_CHILD_H

#include "base/buf.h"
#include "loop/loop.h"

struct child;

struct child_conf {
	const char *const *argv; /* argv[0] is looked up in PATH unless it has a slash; NULL-ended */
	const char *const *envp; /* the whole environment; NULL-ended */
	const char *cwd;         /* NULL = ours */
	bool channel;            /* a socketpair on fd 3 */
	int64_t rlimit_as;       /* bytes; 0 = not set */
	int64_t rlimit_nofile;   /* 0 = not set */
	int64_t rlimit_core;     /* -1 = not set; 0 is usual */
};

/* How a child ended. */
struct child_end {
	bool unknown; /* its parent does not say; the rest is empty */
	bool signaled;
	int code; /* exit code, or signal number */
	bool core;
	int64_t max_rss; /* bytes; at least what the parent had at the fork, as the kernel counts it */
	us_t user_us, system_us;
};

struct child_ops {
	/* The child has ended; call child_close, until then its pid stays taken. Output may still be in the pipes. */
	void (*on_exit)(void *owner, const struct child_end *end);
};

/*
 * Starts it with stdin from /dev/null, stdout and stderr as pipes to us, umask 077, default signals, in a session of its own, without
 * the right to gain privileges; it is killed when the calling thread ends. argv[0] without a slash is looked up in the PATH of envp.
 * E_MISSING / E_SYS with the exec's own errno when the program cannot be started (known before this returns: a close-on-exec
 * pipe reports it). E_AGAIN when the system has no room for a process, a descriptor or memory now. errno is set in each case.
 */
enum err child_spawn(struct child **out, struct loop *l, const struct child_conf *conf,
	const struct child_ops *ops, void *owner, struct errtext *t) MUSTCHECK;
/* 0 for one that is to be forked and not there yet. */
int child_pid(const struct child *c);
bool child_is_running(const struct child *c);
/* Whether this pid is (or was, and is not reaped yet) a child started by child_spawn: as against an adopted orphan. */
bool child_is_ours(const struct loop *l, int pid);
/* Our ends; -1 once taken. The caller owns them (stream_adopt). All are non-blocking and close-on-exec. */
int child_take_channel(struct child *c);
int child_take_stdout(struct child *c);
int child_take_stderr(struct child *c);
/* To the process itself, or to its whole group (what it has started and what made no session of its own). False when it has
 * ended already. */
bool child_signal(struct child *c, int signum);
bool child_signal_group(struct child *c, int signum);
/* SIGKILL to the group, also to what an ended child has left behind in it; closes what was not taken; no callback afterwards; reaped
 * and freed by the loop. NULL is allowed. */
void child_close(struct child *c);
/* "killed by signal 9 (SIGKILL)", "exited with code 3" */
void child_add_end(struct buf *b, const struct child_end *end);

/*
 * Children that a child of ours (the maker) forks when it is asked to. To its owner such a child is like any other, from the first moment: it
 * has our three ends, and may be closed before it is there. Who speaks with the maker tells what becomes of it.
 */
struct child_maker_ops {
	/* It is a zombie: the maker should say how it has ended. */
	void (*on_died)(void *maker, struct child *c);
	/* It has ended and was closed by its owner: the maker may reap it (until then its pid and group stay taken), and it is freed. */
	void (*on_gone)(void *maker, struct child *c);
};
/* `theirs` gets the child's ends, to be sent and then closed by the caller: channel, stdout, stderr. E_AGAIN, E_SYS. */
enum err child_expect(struct child **out, struct loop *l, int theirs[3],
	const struct child_maker_ops *maker_ops, void *maker, const struct child_ops *ops, void *owner,
	struct errtext *t) MUSTCHECK;
/* It is there. Takes pid_fd; -1 when it was lost on the way: the pid is the child's until its parent reaps it. */
void child_arrived(struct child *c, int pid, int pid_fd);
/* How it has ended, or that it never came. */
void child_told_end(struct child *c, const struct child_end *end);
/* The maker has ended, and with it its children; the kernel has made us their parent (loop/orphans.h). No callback to the maker any more. */
void child_orphaned(struct child *c);

#endif
