/* The only list of commands, and what their exit codes mean. */
#include "cli/cmd.h"

const struct cmd *const cmds[] = {
	&cmd_worker,
	&cmd_beat,
	&cmd_schedule,
	&cmd_send,
	&cmd_result,
	&cmd_run,
	&cmd_status,
	&cmd_inspect,
	&cmd_control,
	&cmd_events,
	&cmd_report,
	&cmd_purge,
	&cmd_dead,
	&cmd_config,
	&cmd_runner,
	&cmd_version,
	&cmd_help,
	NULL,
};

const struct cmd *
cmd_find(struct span name)
{
	size_t i;

	for (i = 0; cmds[i] != NULL; i++)
		if (span_is(name, cmds[i]->name))
			return cmds[i];
	return NULL;
}

int
exit_of(enum err e)
{
	switch (e) {
	case E_OK:
		return 0;
	case E_CLOSED:
	case E_TIMEOUT:
	case E_REFUSED:
		return EXIT_UNREACHABLE;
	case E_CONF:
		return EXIT_USAGE;
	default:
		return EXIT_NO;
	}
}
