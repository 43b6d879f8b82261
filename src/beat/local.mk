# src/beat: the scheduler daemon
noinst_LIBRARIES += libbeat.a
libbeat_a_SOURCES = \
	src/beat/beat.c src/beat/beat.h \
	src/beat/book.c src/beat/book.h \
	src/beat/entry.c src/beat/entry.h \
	src/beat/firing.c src/beat/inside.h \
	src/beat/keep.c \
	src/beat/lease.c src/beat/lease.h \
	src/beat/board.c src/beat/board.h \
	src/beat/row.c src/beat/row.h \
	src/beat/send.c src/beat/send.h \
	src/beat/share.c \
	src/beat/state.c src/beat/state.h \
	src/beat/stock.c \
	src/beat/uuid5.c src/beat/uuid5.h \
	src/beat/zones.c src/beat/zones.h
