/*
 * The child side of the runner protocol for task modules in C. It is a program of its own, `warren-runner`,
 * because one child holds each slot of a pool: linked against nothing but libc it takes a tenth of the memory
 * that `warren` would, and starts at once. `warren runner` execs it.
 */
#ifndef WARREN_HOST_HOST_H
#define WARREN_HOST_HOST_H

/*
 * argv[1...] are options and task modules. Serves the worker on fd 3 until it says stop or goes away. Exit
 * code: 0; 1 when the worker spoke nonsense or vanished in the middle of a frame; 2, before hello, when a
 * module cannot be used or the call is wrong.
 */
int host_main(int argc, char **argv);

/*
 * Replaces this process by `warren-runner` with the same arguments: the one beside this program, else the
 * installed one. Comes back only when there is none, with exit code 2, after saying so on stderr.
 */
int host_exec(int argc, char **argv);

#endif
