# src/backend: where results go
noinst_LIBRARIES += libbackend.a
libbackend_a_SOURCES = \
	src/backend/backend.c src/backend/backend.h \
	src/backend/chords.c src/backend/chords.h \
	src/backend/none.c \
	src/backend/note.h \
	src/backend/ops.h \
	src/backend/redis.c src/backend/redis_backend.h \
	src/backend/redis_chord.c \
	src/backend/redis_kept.c \
	src/backend/redis_note.c \
	src/backend/redis_script.c src/backend/redis_script.h \
	src/backend/redis_turn.c \
	src/backend/redis_wait.c \
	src/backend/rpc.c src/backend/rpc_backend.h \
	src/backend/rpc_wait.c
libbackend_a_CFLAGS = $(AM_CFLAGS)
