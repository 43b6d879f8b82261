# src/wire
noinst_LIBRARIES += libwire.a
libwire_a_SOURCES = \
	src/wire/chord.c src/wire/chord.h \
	src/wire/app.c src/wire/app.h \
	src/wire/field.c src/wire/field.h \
	src/wire/control.c src/wire/control.h \
	src/wire/dead.c src/wire/dead.h \
	src/wire/event.c src/wire/event.h \
	src/wire/dead_restore.c \
	src/wire/fork.c src/wire/fork.h \
	src/wire/forward.c src/wire/forward.h \
	src/wire/headers.c src/wire/headers.h src/wire/headers_read.c \
	src/wire/inflate.c src/wire/inflate.h \
	src/wire/forward_change.c \
	src/wire/msg.c src/wire/msg.h \
	src/wire/note.c src/wire/note.h \
	src/wire/outbox.c src/wire/outbox.h \
	src/wire/reply.c src/wire/reply.h \
	src/wire/repr.c \
	src/wire/result.c src/wire/result.h \
	src/wire/run.c src/wire/run.h \
	src/wire/run_encode.c \
	src/wire/run_reader.c \
	src/wire/routing.c src/wire/routing.h \
	src/wire/sig.c src/wire/sig.h \
	src/wire/task.c src/wire/task.h \
	src/wire/task_encode.c \
	src/wire/task_headers.c \
	src/wire/task_object.c \
	src/wire/task_read.c src/wire/task_read.h
libwire_a_CFLAGS = $(AM_CFLAGS)
