# src/bus
noinst_LIBRARIES += libbus.a
libbus_a_SOURCES = src/bus/chan.h
libbus_a_CFLAGS = $(AM_CFLAGS)
