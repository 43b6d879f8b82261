/*
 * AMQP 0-9-1 frames to bytes and back. Inside bus/ only. Methods, properties and tables are librabbitmq's; the 7 bytes before and the
 * one byte behind each frame are read here, see codec.c.
 */
#ifndef WARREN_BUS_CODEC_H
#define WARREN_BUS_CODEC_H

#include "base/buf.h"
#include "bus/table.h"

/* What we ask for, and the most we ever take or send in one frame. */
#define BUS_FRAME_MAX 131072
#define BUS_CHANNEL_MAX 2047
/* Bytes around a frame's payload. */
#define BUS_FRAME_HEAD 7
#define BUS_FRAME_EXTRA (BUS_FRAME_HEAD + 1)

struct codec {
	amqp_pool_t pool; /* what was decoded of the current frame */
	struct buf held;  /* the begin of a frame; never of a body, which is passed on piece by piece */
	size_t frame_max;
	size_t body_left; /* of the body frame under way */
	uint16_t body_channel;
	bool in_body;
	bool held_used; /* the current frame lies in `held` */
	bool begun;     /* one whole frame was read: the peer does speak AMQP */
};

/* One frame, or a piece of a body frame. Everything is valid until the next codec_next. */
struct frame {
	int type; /* AMQP_FRAME_METHOD, _HEADER, _BODY, _HEARTBEAT */
	uint16_t channel;
	uint32_t method;                      /* METHOD: class << 16 | method */
	void *args;                           /* METHOD: the amqp_..._t of it */
	uint64_t body_size;                   /* HEADER */
	const amqp_basic_properties_t *props; /* HEADER; NULL when nothing of it could be decoded */
	const char *spoiled; /* HEADER: why all or part of the properties is missing, or why they are too much; NULL = fine */
	struct span piece; /* BODY */
	bool end;          /* BODY: the frame ends with this piece, its end byte was right */
};

/* What the peer did wrong: AMQP's reply code and words. */
struct fault {
	int code;
	struct errtext why;
};

void codec_init(struct codec *c);
void codec_release(struct codec *c);
/* Forgets what is held, for a new connection. */
void codec_reset(struct codec *c);

/* The next frame out of *in, which moves on. E_AGAIN: *in is used up; E_NOMEM; E_FORMAT with *fault: the connection is over. */
enum err codec_next(struct codec *c, struct span *in, struct frame *f, struct fault *fault) MUSTCHECK;

/* Appends a method frame. E_TOOBIG: a short string over 255 bytes, or more than frame_max. */
enum err codec_add_method(
	struct buf *b, uint16_t channel, uint32_t method, void *args, size_t frame_max) MUSTCHECK;
/* Appends what comes before a body: basic.publish and the content header. The pool is for scratch and is recycled. */
enum err codec_add_publish(struct buf *b, uint16_t channel, const struct msg *m, amqp_pool_t *pool) MUSTCHECK;
/* Appends a content header alone. */
enum err codec_add_header(struct buf *b, uint16_t channel, const struct msg *m, amqp_pool_t *pool) MUSTCHECK;
/* Writes the 7 bytes before a payload. */
void codec_put_head(char out[BUS_FRAME_HEAD], int type, uint16_t channel, size_t payload);
/* Appends a body as frames of at most frame_max bytes; nothing for an empty one. */
void codec_add_body(struct buf *b, uint16_t channel, struct span body, size_t frame_max);
void codec_add_heartbeat(struct buf *b);

/* Properties of a content header -> msg, copied into its arena. */
enum err codec_take_props(struct msg *m, const amqp_basic_properties_t *p) MUSTCHECK;

#endif
