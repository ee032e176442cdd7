/* A server's HTTP/1.1 connections: stackless, driven by completions.
 *
 * A connection at rest is a struct h1_conn: a pending receive without a buffer,
 * and a timer. From the first byte of a request until its answer is sent it
 * borrows a struct h1_work. */
#ifndef HTTP_H1_CONN_H
#define HTTP_H1_CONN_H

#include "base/slab.h"
#include "http/exchange.h"
#include "http/h1_head.h"
#include "http/server_loop.h"

enum h1_state {
    H1_IDLE,   /* between two requests, or before the first */
    H1_HEAD,   /* a part of a head is there */
    H1_SERVE,  /* a handler is at work */
    H1_DRAIN,  /* it has answered; the rest of its body is read and dropped */
    H1_LAST,   /* what is queued is sent, then the connection ends */
    H1_LINGER, /* our half is closed; what still comes is dropped */
    H1_CLOSED, /* what is pending is awaited */
    H1_HTTP2   /* it has become one of HTTP/2: see h2_conn.h */
};

enum {
    H1_SAW_END = 1,     /* the peer has closed its half */
    H1_MUST_LINGER = 2, /* at the end, in case the peer is still sending */
    H1_RESET = 4,       /* at the end, so that nobody takes it for orderly */
    H1_IN_PARSE = 8,    /* h1_go_on() is at work further up the stack */
    H1_FIRST = 16,      /* no request has come yet */
    H1_IN_READ = 32     /* h1_read() is */
};

struct h2_conn;

struct h1_work {
    struct slab_head head;
    struct h1_conn *conn;
    weir_exchange *x;
    struct buf *in, *next;    /* input that was not used yet: neither is empty */
    char *big;                /* a head that outgrew its buffer, in the arena of x */
    uint32_t big_len;
    uint32_t dropped;         /* bytes read only to be dropped */
    struct h1_parser parser;
    struct deferred flush;
    int64_t stall_ns;         /* when the output must have moved; WEIR_NEVER_NS */
    uint64_t stall_progress;  /* how far it was when that was set */
    uint64_t counted;         /* of the output's bytes */
    struct outq out;
};

struct h1_conn {
    struct slab_head head;
    struct node link;         /* in the loop's connections, or its graveyard */
    struct server_loop *home;
    struct h1_work *work;     /* NULL at rest */
    struct h2_conn *h2;       /* from HTTP2 on, until it has ended */
    struct io_file file;
    struct io_op recv;
    struct timer timer;
    int64_t deadline_ns;      /* of the input's side; what it means says state */
    int64_t accepted_ns;
    union {
        uint32_t served;      /* requests; until LINGER */
        uint32_t lingered;    /* bytes dropped; in LINGER */
    };
    uint8_t state, flags;
};

/* The connections of 10,000 idle clients: this is all they hold. */
_Static_assert(sizeof(struct h1_conn) <= 256, "an idle connection is small");

/* h1_conn.c */
void h1_accepted(struct server_loop *home, int fd);
/* Receive, when there is room for more. */
void h1_read(struct h1_conn *c);
/* Send what is queued at the end of the batch. */
static inline void h1_flush_soon(struct h1_conn *c)
{
    loop_defer(c->home->loop, &c->work->flush);
}
void h1_set_deadline(struct h1_conn *c, int64_t at_ns);
void h1_work_give(struct h1_conn *c);
/* The first buffer of input is used up. */
void h1_input_used(struct h1_work *w);
/* Send what is queued, then end: with a lingering close if flags say so. */
void h1_finish(struct h1_conn *c, unsigned flags);
/* The connection is of no use any more. */
void h1_abort(struct h1_conn *c);
/* Nothing will be sent any more; a send under way is awaited. */
void h1_fail_output(struct h1_conn *c, int code);
/* Nothing is pending any more. */
void h1_bury(struct h1_conn *c);
/* HTTP/2 has said all, and is gone from it: close it lingering. */
void h1_take_back(struct h1_conn *c);
/* The time of draining idle connections is over. */
void h1_close_idle(struct h1_conn *c);

/* h1_serve.c */
/* Take the next request off the input, if one is there and none is served. */
void h1_go_on(struct h1_conn *c);
/* The exchange in hand is answered. */
void h1_answered(struct h1_conn *c);
/* What is left of the body of x was discarded, as far as it is there. */
void h1_discard(struct h1_conn *c);
void h1_head_timed_out(struct h1_conn *c);
void h1_head_cut_short(struct h1_conn *c);
/* In DRAIN. */
void h1_body_given_up(struct h1_conn *c);
/* The peer has gone (whole), or closed its half. */
void h1_peer_gone(struct h1_conn *c, bool whole);

#endif
