/*
 * Preloaded into a program under valgrind 3.19, which does not know pidfd_open: a process outside (test_valgrind.py) opens the
 * descriptor and hands it over by SCM_RIGHTS. What the program does with it, polling and waiting, valgrind can do.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FDS_MAX 4096
static pid_t pids[FDS_MAX];

/* A connection per descriptor; -1 when the opener is not there or has refused. */
static int
ask(pid_t pid)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char byte, space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec io = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &io, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)
	};
	const char *path = getenv("PIDFD_SOCKET");
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = -1;

	if (s < 0 || path == NULL || strlen(path) >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(s, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		write(s, &pid, sizeof(pid)) == sizeof(pid) && recvmsg(s, &m, MSG_CMSG_CLOEXEC) == 1 &&
		CMSG_FIRSTHDR(&m) != NULL)
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	close(s);
	return fd;
}

int
pidfd_open(pid_t pid, unsigned int flags)
{
	int fd = ask(pid);

	(void)flags;
	if (fd < 0 || fd >= FDS_MAX) {
		errno = ENOSYS;
		return -1;
	}
	pids[fd] = pid;
	return fd;
}

int
pidfd_send_signal(int fd, int signum, siginfo_t *info, unsigned int flags)
{
	(void)info;
	(void)flags;
	return kill(pids[fd], signum);
}
