/* warren-runner: the child that hosts task modules in C, as a program of its own. */
#include "host/host.h"

int
main(int argc, char **argv)
{
	return host_main(argc, argv);
}
