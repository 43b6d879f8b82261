# src/client
noinst_LIBRARIES += libclient.a
libclient_a_SOURCES = src/client/client.c src/client/client.h src/client/inside.h src/client/produce.c src/client/results.c
libclient_a_CFLAGS = $(AM_CFLAGS)
