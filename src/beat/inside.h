/* What the files of a scheduler share. Private to beat/. */
#ifndef WARREN_BEAT_INSIDE_H
#define WARREN_BEAT_INSIDE_H

#include "beat/beat.h"
#include "beat/board.h"
#include "beat/lease.h"
#include "beat/send.h"
#include "beat/state.h"

enum beat_phase {
	BEAT_STANDING_BY,
	BEAT_TAKING_STOCK, /* the lead is ours; what Redis knows is being read */
	BEAT_LEADING,      /* the plan is made */
};

/* A revision that Redis never has: all is read again with the next look. */
#define SHARE_BEHIND (-1)

/* The connection to Redis and what is under way on it. */
struct share {
	struct board *board; /* NULL = there is none */
	int64_t token;       /* ours; 0 = none yet */
	int64_t revision;
	ms_t heard;    /* when the question was put that Redis answered last, by clock_boot_ms */
	ms_t asked;    /* the one under way; 0 = none */
	unsigned turn; /* counts the leads that were lost */
	unsigned asked_turn;
	bool is_lost;        /* and that has been said */
	struct list unsaved; /* entries whose rows are to be written */
	bool is_writing;
	struct loop_task flush;
	struct loop_timer look;
};

struct beat {
	const struct beat_conf *conf;
	struct loop *loop;
	struct bus_conn *conn;
	struct backend *backend;
	struct send send;
	struct lease lease;
	struct share share;
	struct book book;
	char schedule[32]; /* tells the configuration's entries from others */
	char warned_of[32];
	struct state state;
	struct plan plan;
	us_t until;  /* with which the lead began: all due times up to here were settled */
	us_t looked; /* what was due up to here has been taken out of the plan */
	ms_t ticked; /* the last time it looked what is due, by clock_boot_ms: at least once a second while it leads */
	enum beat_phase phase;
	bool stopping, stopped, dirty, save_failed;
	bool is_back;       /* the clock is behind what is settled, and that has been said */
	struct list asking; /* entries that wait for the backend's answer */
	struct loop_timer tick, save, stop;
	struct loop_task marking, trimming;
	void (*on_stopped)(void *owner);
	void *owner;
};

/* beat.c */
/* Says so, once, when the leader (or the one before this one) has other entries: nobody sends those of a scheduler that stands by. */
void beat_compare(struct beat *b, struct span node, struct span schedule);
/* The plan is made and the work begins; the lease is ours and Redis has answered, or cannot. */
void beat_go(struct beat *b);
/* A clock that ran ahead by more than a day, once: its traces must not silence an entry for years. */
us_t beat_sane(us_t done, us_t now);

/* firing.c: from due times to confirmed messages */
extern const struct send_ops firing_send_ops;
void firing_tick(void *beat);
/* It looks what is due, or would: says so when it did not get to that for long. */
void firing_wake(struct beat *b);
void firing_arm(struct beat *b, ms_t delay);
void firing_mark(void *beat);
/* Nothing is under way any more, and nothing planned. */
void firing_drop(struct beat *b);
void firing_plan(struct beat *b, struct entry *e);
/* Whatever is under way with this one ends without a trace. */
void firing_unplan(struct beat *b, struct entry *e);

/* keep.c: the state file */
void keep_open(struct beat *b);
/* What the file says of an entry that has just been added. */
void keep_recall(struct beat *b, struct entry *e);
/* What is no entry any more is forgotten. */
void keep_forget_others(struct beat *b);
void keep_save(struct beat *b);
/* What reading took besides goes back to the system, at the end of this turn. */
void keep_trim(struct beat *b);
void keep_on_timer(void *beat);

/* share.c: Redis */
enum err share_open(struct beat *b, struct errtext *t) MUSTCHECK;
void share_close(struct beat *b);
/* The lead is ours. true: it is being asked, beat_go follows. */
bool share_take(struct beat *b);
void share_lose(struct beat *b);
/* Whether Redis lets us send: it has answered lately, or the settings say to go on without. */
bool share_allows(const struct beat *b);
/* The row of this entry has changed. */
void share_note(struct beat *b, struct entry *e);
bool share_is_written(const struct beat *b);

/* stock.c: what Redis says, carried over to the entries */
/* `first`: of this lead. */
void stock_apply(struct beat *b, const struct board_stock *s, bool first);

#endif
