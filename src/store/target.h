/* What a Redis URL says: where to dial, how to sign in, which database, which TLS. Inside store/ only. */
#ifndef WARREN_STORE_TARGET_H
#define WARREN_STORE_TARGET_H

#include "base/url.h"
#include "store/redis.h"

struct rds_target {
	struct url url;
	char *safe; /* the URL without its password */
	char *path; /* of a UNIX socket; NULL = host and port */
	const char *host;
	int port;
	int64_t db;
	bool is_tls;
	struct stream_tls_conf tls; /* with the settings of the URL; those strings are in own[] */
	char *own[3];
};

/* `tls` gives what the URL does not; its strings must live on. */
enum err rds_target_init(struct rds_target *g, const char *url, const struct stream_tls_conf *tls,
	struct errtext *t) MUSTCHECK;
/* A zeroed one is fine. */
void rds_target_release(struct rds_target *g);

#endif
