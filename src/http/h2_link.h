/* A client's HTTP/2 connection (RFC 9113), and a call's stream on it.
 *
 * The link is stackless: it lives on its loop, receives at any time, also while it is
 * idle, and never parks. What it has received for a call is kept with the call's stream,
 * as far as the stream's window lets the server send; the task takes it from there. What
 * tasks have to say is written at the end of the turn, in one send.
 *
 * A stream is the call's own: it is begun on a link, and ended there by h2_call_leave(),
 * wherever it is; the link may be gone meanwhile, but for what h2_call_leave() needs. */
#ifndef HTTP_H2_LINK_H
#define HTTP_H2_LINK_H

#include <nghttp2/nghttp2.h>
#include <weir/client.h>

#include "net/outq.h"
#include "rt/rt.h"

#define H2_LINK_STREAMS 100          /* at once, by default */
#define H2_CALL_WINDOW (256u << 10)
#define H2_LINK_WINDOW (16u << 20)
#define H2_HEADER_LIST_BYTES (32u << 10)
#define H2_INTERIM_MAX 16            /* 1xx answers before the final one */

struct h2_link;

/* The owner's: called on the loop's stack, or a task's within h2_call_leave(). */
struct h2_link_owner {
    /* There may be room for calls that was not there before. */
    void (*room)(struct h2_link *link);
    /* It takes no calls any more; those it has may go on, or have failed. */
    void (*closed)(struct h2_link *link);
    /* The last call has left it. */
    void (*idle)(struct h2_link *link);
};

enum {
    LINK_GOING = 1,    /* it takes no new calls: GOAWAY, or its owner's wish */
    LINK_LOST = 2,     /* nothing can be sent or received any more */
    LINK_CLOSING = 4,  /* its owner has given it up: it ends when it can */
    LINK_SERVED = 8,   /* an answer has come: the server has spoken HTTP/2 */
    LINK_PINGED = 16,  /* no byte has come since the ping */
    LINK_SETTLED = 32, /* the server's settings are known */
    LINK_BEGUN = 64,
    LINK_DEAF = 128    /* what comes is dropped, until the offence has been said */
};

struct h2_link {
    struct io_file *file;
    struct loop *loop;
    const struct h2_link_owner *owner;
    nghttp2_session *session;
    struct io_op recv;
    struct outq out;
    struct deferred flush;
    struct timer timer;
    struct node streams, queue; /* struct h2_call: sent; and to be sent */
    void (*ended)(struct h2_link *link); /* after h2_link_close(): nothing is under way */
    const char *why;            /* the rule that the server broke, or NULL */
    int64_t heard_ns;           /* when bytes came last */
    int64_t tokens_ns;          /* when tokens was right */
    uint32_t tokens;            /* frames that cost the server nothing, in a row */
    uint32_t stream_count, stream_max;
    uint32_t stream_guess;      /* what the server allows, until it says so */
    uint32_t goaway_code;
    unsigned flags;
    int rc;                     /* why it is LOST */
};

enum {
    STREAM_SENT = 1,      /* its head was given to the session */
    STREAM_HEAD = 2,      /* the final head is here */
    STREAM_END = 4,       /* the answer is complete */
    STREAM_CLOSED = 8,    /* the session knows it no more */
    STREAM_REFUSED = 16,  /* the server has done nothing with it (RFC 9113, section 8.7) */
    STREAM_GOT_ANY = 32,
    STREAM_PEER_RESET = 64,
    STREAM_OUT_LAST = 128,   /* out is the end of the body */
    STREAM_OUT_IDLE = 256,   /* the session asks for the body no more until it is told */
    STREAM_NO_BODY = 512     /* the request has none */
};

struct h2_interim {
    struct h2_interim *next;
    weir_response response;
};

struct h2_call {
    /* Given between h2_call_attach() and h2_call_begin(): */
    struct buf *head;         /* the request's head, as client_head_write() writes it;
                                 its reference is the stream's */
    weir_str out;             /* body bytes to be sent next; lent */
    struct arena *arena;      /* for the answer's fields */
    bool wants_interim;
    bool head_only;           /* the method is HEAD */
    /* Its own: */
    struct h2_link *link;     /* NULL: none */
    struct node node;
    int32_t id;
    unsigned flags;
    int rc;                   /* why it failed */
    uint32_t reset_code;      /* of RST_STREAM */
    const char *why;          /* the rule that the answer broke */
    struct wait *reader, *writer;
    /* The answer. */
    weir_http_field *fields;  /* of the section being received, then of the trailer */
    uint16_t field_count, field_room, interim_count;
    uint16_t status;
    uint32_t list_bytes;
    weir_response response;   /* valid from STREAM_HEAD on */
    struct h2_interim *interim, **last_interim;
    uint64_t body_bytes;      /* received */
    struct buf *first, *last; /* received, and not taken yet */
};

/* Begin to speak on a connected file: the preface and settings go out, and it receives.
 * 0 or -ENOMEM. The file must stay until ended. */
int h2_link_open(struct h2_link *link, struct io_file *file, uint32_t stream_max,
                 const struct h2_link_owner *owner);
/* How many calls it may have at once. */
uint32_t h2_link_limit(const struct h2_link *link);
/* How many more calls it can take now. */
uint32_t h2_link_room(const struct h2_link *link);
/* Would another connection be no better: because the server lets us begin nothing at
 * all, or has not said yet how much? */
bool h2_link_is_barred(const struct h2_link *link);
/* Take no new calls. */
void h2_link_retire(struct h2_link *link);
/* With no stream left: say so to the server, and let go. ended is called later. */
void h2_link_close(struct h2_link *link, void (*ended)(struct h2_link *link));
/* The loop has ended: nothing can be awaited any more. */
void h2_link_abort(struct h2_link *link);

/* The call is the link's from here on; its request goes out after h2_call_begin(). */
void h2_call_attach(struct h2_link *link, struct h2_call *stream);
void h2_call_begin(struct h2_call *stream);
/* out was set anew. */
void h2_call_resume(struct h2_call *stream);
/* Take what is next of the body; the piece before was used. False: nothing is here. */
bool h2_call_take(struct h2_call *stream, weir_str *ret_data);
/* End it, with a reset when it is not complete. */
void h2_call_leave(struct h2_call *stream);

/* h2_answer.c: the message out of a stream's fields. Each returns 0, -1 when the answer
 * breaks a rule (why says which), or -ENOMEM. */
int h2_answer_field(struct h2_call *stream, weir_str name, weir_str value);
/* The section is complete. last: the answer ends with it. */
int h2_answer_section(struct h2_call *stream, bool last);
int h2_answer_data(struct h2_call *stream, size_t bytes);
/* The answer ends. */
int h2_answer_end(struct h2_call *stream);

/* h2_request.c: a head as HTTP/1.1 writes it, in HTTP/2's form. Returns the number of
 * fields, which point into the text; there is room for H2_REQUEST_FIELDS. */
#define H2_REQUEST_FIELDS 112
size_t h2_request_fields(weir_str head, bool secure, nghttp2_nv *fields);

#endif
