/* A broker to dial, read from its URL. Inside bus/ only. */
#ifndef WARREN_BUS_TARGET_H
#define WARREN_BUS_TARGET_H

#include "base/url.h"
#include "loop/stream.h"

struct bus_target {
	struct url url;
	char *shown; /* the URL without the password */
	const char *host, *user, *password,
		*vhost; /* with their defaults; they point into url or are constants */
	int port;
	bool external;          /* the client certificate says who we are */
	struct stream_tls *tls; /* NULL = plain */
	int heartbeat_s;        /* from the URL; -1 = not there */
};

enum err bus_target_init(struct bus_target *t, const char *url, const struct stream_tls_conf *tls,
	struct errtext *e) MUSTCHECK;
void bus_target_release(struct bus_target *t);

#endif
