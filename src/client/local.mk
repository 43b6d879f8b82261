# src/client
noinst_LIBRARIES += libclient.a
libclient_a_SOURCES = src/client/browse.c src/client/browse.h src/client/canvas.c src/client/canvas.h src/client/client.c src/client/client.h \
	src/client/inside.h src/client/listen.c src/client/listen.h src/client/produce.c src/client/recipe.c src/client/recipe.h src/client/remote.c src/client/remote.h src/client/results.c src/client/settle.c src/client/settle.h
libclient_a_SOURCES = src/client/browse.c src/client/browse.h src/client/client.c src/client/client.h \
	src/client/inside.h src/client/listen.c src/client/listen.h src/client/produce.c src/client/remote.c src/client/remote.h src/client/results.c src/client/sent.c src/client/settle.c src/client/settle.h
libclient_a_CFLAGS = $(AM_CFLAGS)
