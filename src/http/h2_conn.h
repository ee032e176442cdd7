/* A server's HTTP/2 connections: stackless, driven by completions.
 *
 * A connection begins as a struct h1_conn. When its first bytes are HTTP/2's preface, or
 * TLS has agreed on "h2", it gets a struct h2_conn; the h1_conn keeps what belongs to any
 * connection: file, receive, timer, its place among the others.
 *
 * Files: h2_conn.c (input, output, timers, the end), h2_session.c (what nghttp2 tells),
 * h2_stream.c (streams and their exchanges), h2_wire.c (what exchanges do). */
#ifndef HTTP_H2_CONN_H
#define HTTP_H2_CONN_H

#include <nghttp2/nghttp2.h>

#include "base/slab.h"
#include "http/exchange.h"
#include "http/h1_conn.h"
#include "http/h2_head.h"
#include "http/h2_meter.h"
#include "http/server_loop.h"
#include "net/outq.h"

#define H2_STREAMS_MAX 100            /* handlers that run on one connection, and more */
#define H2_CONNECTION_WINDOW (1 << 20) /* bytes of bodies that wait for their handlers */
#define H2_LET_BE 64
#define H2_PING_MS 20000              /* of silence; then a PING … */
#define H2_PONG_MS 10000              /* … must be answered within this */

enum {
    H2_IN_LIBRARY = 1,  /* nghttp2 is at work up the stack: nothing of it is freed */
    H2_IN_READ = 2,     /* input is */
    H2_ENDING = 4,      /* GOAWAY was sent for good: it ends when all streams have */
    H2_NOTICED = 8,     /* the first GOAWAY of a drain was sent */
    H2_TOLD = 16,       /* the log line about its end was written */
    H2_FAILED = 32      /* to be given up when nghttp2 is done */
};

struct h2_conn {
    struct slab_head head;
    struct h1_conn *base;     /* NULL: it has gone on, or ended */
    struct server_loop *home;
    nghttp2_session *session;
    struct buf *in, *next;    /* what had come before this was made */
    struct buf *feeding;      /* what the library is reading in */
    struct node streams;      /* open, or with a handler at work */
    uint32_t stream_count;
    uint32_t drainers;        /* tasks that wait for all to be sent */
    uint8_t flags;
    uint32_t served;
    struct deferred flush;
    int64_t stall_ns;         /* when the output must have moved; WEIR_NEVER_NS */
    uint64_t stall_progress;
    uint64_t counted;         /* of the output's bytes */
    int64_t heard_ns;         /* the last input */
    int64_t pinged_ns;        /* a PING is not answered; 0: none is */
    int64_t partial_ns;       /* since when a frame, or a header block, is incomplete; 0 */
    uint32_t partial_frames;  /* how many had come then */
    int64_t idle_ns;          /* since when there is no stream; 0: there are */
    int64_t goaway_ns;        /* when the second GOAWAY of a drain is due; WEIR_NEVER_NS */
    struct h2_meter meter;
    uint32_t crumbs;          /* windows and DATA of a few bytes that are not counted */
    uint32_t let_be[H2_LET_BE]; /* streams that we have reset before their end came: what
                                   is on its way for them is no fault */
    uint8_t let_be_next;
    struct outq out;
};

/* What nghttp2 keeps comes on top. */
_Static_assert(sizeof(struct h1_conn) + sizeof(struct h2_conn) <= 2048,
               "an idle connection is small");

/* A part of a body that was received. */
struct h2_piece {
    struct h2_piece *next;
    struct buf *buf;
    const char *ptr;
    size_t len;
};

enum {
    H2_OPEN = 1,         /* the library has it */
    H2_SERVED = 2,       /* its head is complete; its exchange was served */
    H2_DEFERRED = 4,     /* the library is not asking for its output */
    H2_OUT_END = 8,      /* the answer's end is known */
    H2_DROP = 16,        /* what still comes of the body is dropped */
    H2_ANSWERED = 32,    /* END_STREAM was sent */
    H2_BROKEN = 64       /* it was reset, by us */
};

/* A stream: in its exchange's arena. */
struct h2_stream {
    struct node link;        /* in the connection's streams */
    struct h2_conn *conn;
    weir_exchange *x;
    int32_t id;
    uint8_t flags;
    bool input_over;         /* END_STREAM has come, or nothing more will */
    struct h2_fields fields; /* while the head comes in */
    uint32_t trailer_bytes, trailer_count;
    /* The request's body. */
    struct h2_piece *in_first, *in_last, *spare;
    size_t in_bytes;
    /* The answer's: small first. */
    weir_str small;
    struct buf *out_first, *out_last;
    size_t out_bytes;        /* with small */
    uint64_t out_mark;       /* where in the connection's output the last of it is */
    int64_t moved_ns;        /* when enough of it was taken, or it began, or was over */
    size_t moved_bytes;      /* … and how much since; of the request, when it was over */
};

/* A stretch of a stream's output within the connection's. */
struct h2_seg {
    struct slab_head head;
    struct out_seg seg;
    struct server_loop *home;
    struct buf *buf;
};

extern const struct exchange_wire h2_wire;

/* h2_conn.c */
/* Take a connection over, with what was received of it (which may be NULL). False
 * without memory: it is as it was. */
bool h2_take_over(struct h1_conn *base, struct buf *in, struct buf *next);
void h2_abort(struct h2_conn *c);
/* The server's end has begun. */
void h2_drain(struct h2_conn *c);
/* Send what is queued at the end of the batch. */
static inline void h2_flush_soon(struct h2_conn *c)
{
    loop_defer(c->home->loop, &c->flush);
}
/* The exchange of its oldest stream; NULL: there is none. */
const weir_exchange *h2_first_exchange(const struct h2_conn *c);
/* Look at the deadlines then, at the latest. */
void h2_wake_by(struct h2_conn *c, int64_t at_ns);

/* End it for a rule that was broken: GOAWAY, one line in the log, and no more input. */
void h2_end(struct h2_conn *c, const struct h2_verdict *verdict);

/* h2_wire.c: something of a few bytes has passed; true: it is no offence. */
static inline bool h2_crumb(struct h2_conn *c)
{
    return c->crumbs > 0 && c->crumbs--;
}

/* h2_session.c */
/* What every session is made with: 0 or -ENOMEM. */
int h2_option_new(nghttp2_option **ret_option);
/* 0 or -ENOMEM */
int h2_session_new(struct h2_conn *c);

/* h2_stream.c */
/* NULL without memory. */
struct h2_stream *h2_stream_new(struct h2_conn *c, int32_t id);
/* Its head is complete. */
void h2_stream_serve(struct h2_stream *s, bool ends);
/* Bytes of its body: to be copied, or to be kept by their buffer. */
int h2_stream_data(struct h2_stream *s, struct buf *buf, weir_str data);
void h2_stream_input_over(struct h2_stream *s);
/* A field of its trailer section. */
void h2_stream_trailer(struct h2_stream *s, weir_str name, weir_str value);
/* What was received of its body, and not read, is dropped. */
void h2_stream_drop_input(struct h2_stream *s);
/* Nothing more is sent of it; the library is told if it does not know. */
void h2_stream_reset(struct h2_stream *s, uint32_t code);
/* The library has let go of it. */
void h2_stream_closed(struct h2_stream *s, uint32_t code);
/* The connection has: called for each. */
void h2_stream_lost(struct h2_stream *s);
/* The peer has closed its half of the connection. */
void h2_stream_peer_gone(struct h2_stream *s);
/* Its handler has ended. */
void h2_stream_handled(struct h2_stream *s);
/* Some of its output has moved: wake who waits for that. */
void h2_stream_output_moved(struct h2_stream *s);
/* Is its output held up by the peer's window for too long? */
bool h2_stream_is_stalled(struct h2_stream *s, int64_t now_ns);
/* Is it answered, and has the rest of its request had time enough to come? */
bool h2_stream_has_lingered(const struct h2_stream *s, int64_t now_ns);

/* h2_wire.c */
ssize_t h2_read_output(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                       uint32_t *flags, nghttp2_data_source *source, void *user);
int h2_send_output(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header,
                   size_t length, nghttp2_data_source *source, void *user);

#endif
