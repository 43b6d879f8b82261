# src/core: decisions, pure
noinst_LIBRARIES += libcore.a
libcore_a_SOURCES = \
	src/core/effect.h \
	src/core/request.c src/core/request.h \
	src/core/window.c src/core/window.h
