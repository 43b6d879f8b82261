# src/cli
noinst_LIBRARIES += libcli.a
libcli_a_SOURCES = src/cli/app.c src/cli/app.h src/cli/app_settings.c src/cli/probe.c src/cli/probe.h src/cli/bulk.c src/cli/bulk.h src/cli/call.c src/cli/call.h src/cli/cmd.h src/cli/cmd_config.c src/cli/cmd_help.c \
	src/cli/cmd_dead.c src/cli/cmd_purge.c src/cli/cmd_result.c src/cli/cmd_run.c src/cli/cmd_send.c src/cli/cmd_status.c src/cli/cmd_worker.c \
	src/cli/dead.h src/cli/dead_ask.c src/cli/dead_look.c \
	src/cli/dead_print.c src/cli/dead_purge.c src/cli/dead_replay.c src/cli/flags.c src/cli/help.c src/cli/out.c src/cli/out.h src/cli/pools.c src/cli/sender.c src/cli/setup.c src/cli/setup.h \
	src/cli/show.c src/cli/show.h src/cli/table.c \
	src/cli/cmd_control.c src/cli/cmd_events.c src/cli/cmd_inspect.c src/cli/cmd_report.c src/cli/remote.c src/cli/remote.h src/cli/remote_table.c src/cli/settings.c src/cli/term.c src/cli/term.h src/cli/top.c src/cli/top.h \
	src/cli/cmd_beat.c src/cli/cmd_schedule.c src/cli/schedule.c src/cli/when.c src/cli/when.h
	src/cli/cmd_control.c src/cli/cmd_inspect.c src/cli/cmd_report.c src/cli/remote.c src/cli/remote.h src/cli/remote_table.c src/cli/settings.c \
	src/cli/cmd_beat.c src/cli/cmd_schedule.c src/cli/desk.c src/cli/desk.h src/cli/listing.c src/cli/listing.h \
	src/cli/schedule.c src/cli/schedule.h src/cli/schedule_cmd.h src/cli/schedule_edit.c src/cli/schedule_run.c src/cli/when.c src/cli/when.h
libcli_a_CFLAGS = $(AM_CFLAGS)

bin_PROGRAMS += warren
warren_SOURCES = src/cli/main.c
warren_LDADD = libcli.a $(LIBS_ALL)

# The manual page comes from the same rows as --help.
nodist_man1_MANS = warren.1
CLEANFILES += warren.1
warren.1: warren$(EXEEXT)
	$(AM_V_GEN)./warren$(EXEEXT) help --man > $@.tmp && mv $@.tmp $@
