/* `warren runner`: hands over to the small program that does the work. See host.h for why there are two. */
#include "host/host.h"

#include "base/base.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define PROGRAM "warren-runner"

/* A file by its path from the folder of the running program; false when that cannot be told. */
static bool
from_us(char out[PATH_MAX], const char *path)
{
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
	size_t len = strlen(path) + 1;
	char *slash;

	if (n <= 0)
		return false;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (!slash || (size_t)(slash + 1 - out) + len > PATH_MAX)
		return false;
	memcpy(slash + 1, path, len);
	return true;
}

int
host_exec(int argc, char **argv)
{
	static const char installed[] = WARREN_LIBEXECDIR "/" PROGRAM;
	char moved[PATH_MAX], beside[PATH_MAX];

	assert(argc > 0 && !argv[argc]);
	/* An installation may have been moved as a whole, or not be in its place yet. */
	if (from_us(moved, "../libexec/warren/" PROGRAM))
		execv(moved, argv);
	if (from_us(beside, PROGRAM))
		execv(beside, argv);
	else
		beside[0] = '\0';
	execv(installed, argv);
	fprintf(stderr, "warren runner: cannot run %s: %s (nor %s); it belongs to warren, install it again\n",
		installed, strerror(errno), beside[0] ? beside : "one beside warren");
	return 2;
}
