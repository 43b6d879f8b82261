/* The rpc:// backend's own struct, for its two files. Private to backend/. */
#ifndef WARREN_BACKEND_RPC_BACKEND_H
#define WARREN_BACKEND_RPC_BACKEND_H

#include "backend/ops.h"
#include "base/id.h"
#include "base/map.h"
#include "bus/publish.h"

#define RPC_QUEUE_PREFIX "warren.reply."

/* For one who waits for replies. */
struct rpc_listener {
	struct bus_chan *chan; /* NULL = nobody does */
	char queue[sizeof(RPC_QUEUE_PREFIX) + ID_UUID_LEN];
	bool is_consuming;
	struct list waits; /* struct rpc_wait */
	struct map early; /* task id -> struct early: states that nobody has waited for yet, the newest of each task */
	size_t early_size, early_max; /* bytes */
	uint64_t dropped;             /* final states that there was no room for */
	struct loop_task telling;     /* those who wait for what has come before */
};

struct rpc_backend {
	struct backend base;
	struct bus_conn *broker; /* not ours */
	struct bus_pub *pub;
	bool is_persistent;
	struct list stores; /* all that are not over, in order */
	size_t n_stores;
	size_t n_waiting;        /* of them, those that are not with the publisher */
	bool is_full;            /* the publisher has no room: new ones wait behind the others */
	struct loop_timer retry; /* after a refusal that may pass */
	struct rpc_listener listener;
};

enum err rpc_listen(struct rpc_backend *rb) MUSTCHECK;
enum err rpc_wait_open(struct backend_wait **out, struct backend *b, struct span id, backend_load_fn *fn,
	void *owner) MUSTCHECK;
/* Its queue goes too. No callback afterwards. */
void rpc_listener_close(struct rpc_backend *rb);
void rpc_listener_release(struct rpc_listener *l);

#endif
