# src/wire
noinst_LIBRARIES += libwire.a
libwire_a_SOURCES = src/wire/msg.h
libwire_a_CFLAGS = $(AM_CFLAGS)
