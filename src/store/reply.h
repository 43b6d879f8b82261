/*
 * Replies of Redis out of a stream of bytes: hiredis' parser, building our own structs. Bounded: one reply may hold so many bytes, an
 * array so many items. Inside store/ only.
 */
#ifndef WARREN_STORE_REPLY_H
#define WARREN_STORE_REPLY_H

#include "store/redis.h"

#define RDS_ITEMS_MAX (1024 * 1024)

struct redisReader;
struct rds_parser {
	struct redisReader *reader;
	struct rds_reply root; /* the outermost reply needs no memory of its own */
	size_t max;
};

enum err rds_parser_init(struct rds_parser *p, size_t reply_max) MUSTCHECK;
void rds_parser_release(struct rds_parser *p);
/* E_TOOBIG: a reply is longer than reply_max. */
enum err rds_parser_feed(struct rds_parser *p, struct span bytes) MUSTCHECK;
/* E_AGAIN: more bytes are needed. E_FORMAT: no Redis reply, or one too large to be held; the parser is of no more use. */
enum err rds_parser_next(struct rds_parser *p, struct rds_reply **out, struct errtext *t) MUSTCHECK;
/* Frees what hangs on a reply of rds_parser_next. */
void rds_reply_release(struct rds_reply *r);

/* A command in Redis' form, appended. */
void rds_add_command(struct buf *b, const struct span *argv, size_t argc);

#endif
