/* Flags of `celery worker` and `celery beat` that these commands do not have: what to do instead. */
#include "cli/cmd.h"

#define UNIT \
	"the program stays in the foreground and writes to stderr: leave that to its supervisor, such as the systemd unit in deploy/"
#define USER "start it as the user that it is to run as, or say so in its systemd unit"
#define STATE "revoked ids are kept by the worker, and in the result backend: leave it out"
#define OWN_STATE "the schedule's state is kept in Redis, and in the file of --beat-state"
#define OWN_SCHEDULER \
	"entries stand in the application or the configuration, or come from warren schedule add: leave it out"
#define PURGE "it deletes tasks: empty the queues before, with warren purge QUEUE"

/* clang-format off */
#define OF_DAEMONS \
	{ "D", UNIT }, \
	{ "detach", UNIT }, \
	{ "f", UNIT }, \
	{ "logfile", UNIT }, \
	{ "pidfile", UNIT }, \
	{ "umask", UNIT }, \
	{ "executable", "choose the Python with --runner 'PYTHON -m warren_runner -A APP'" }, \
	{ "uid", USER }, \
	{ "gid", USER }, \
	{ "workdir", "change to that folder before, or write cwd for a pool of the configuration" }, \
	{ "C", "lines have no colours: leave it out" }, \
	{ "no_color", "lines have no colours: leave it out" }, \
	{ "loader", "applications are loaded by -A alone" }, \
	{ "s", OWN_STATE }, \
	{ "schedule", OWN_STATE }, \
	{ "schedule_filename", OWN_STATE }, \
	{ "scheduler", OWN_SCHEDULER }
/* clang-format on */

const struct cmd_stranger celery_worker_flags[] = {
	OF_DAEMONS,
	{ "S", STATE },
	{ "statedb", STATE },
	{ "purge", PURGE },
	{ "discard", PURGE },
	{ "heartbeat_interval",
		"it is --heartbeat SECONDS, which monitors hear; connections are watched with --broker-heartbeat" },
	{ "task_events", "it is -E, or --events" },
	{ NULL, NULL },
};

const struct cmd_stranger celery_beat_flags[] = {
	OF_DAEMONS,
	{ "S", OWN_SCHEDULER },
	{ "max_interval", "the scheduler sleeps until the next entry is due: leave it out" },
	{ NULL, NULL },
};
