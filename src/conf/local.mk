# src/conf
noinst_LIBRARIES += libconf.a
libconf_a_SOURCES = src/conf/conf.c src/conf/conf.h src/conf/doc.c src/conf/doc.h src/conf/file.c src/conf/item.c src/conf/nearest.c src/conf/opt.c src/conf/opt.h src/conf/optjson.c src/conf/optjson.h \
	src/conf/reload.c src/conf/rows.c src/conf/sample.c src/conf/yamljson.c src/conf/yamljson.h src/tbl/options.def
libconf_a_CFLAGS = $(AM_CFLAGS)
libconf_a_CPPFLAGS = $(AM_CPPFLAGS) -DWARREN_SYSCONFDIR='"$(sysconfdir)/warren"'
