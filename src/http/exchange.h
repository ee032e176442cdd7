/* An exchange from the inside: what the server's files share.
 *
 * It stands in its own arena's first chunk, with the head behind it, and is made
 * when the first byte of a head is there. Its life:
 *
 *   the connection's   while the head comes in, the handler runs, what is left
 *                      of its body is read; conn points back to the connection,
 *                      and wire says how its version of HTTP does things
 *   nobody's           conn is NULL: the connection was lost, or has gone on;
 *                      the handler, or jobs for after the reply, still run
 *
 * refs counts the server's own hold (until the handler has ended and the
 * connection has let go) and the jobs. */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include "http/h1_body.h"
#include "http/server.h"
#include "net/outq.h"
#include "rt/rt.h"

#define EXCHANGE_FIELDS_MAX 64
#define EXCHANGE_FIELDS_BYTES 8192
#define EXCHANGE_JOBS_MAX 16
#define EXCHANGE_VERSIONS 2
#define EXCHANGE_TRAILERS_MAX 32
#define REPLY_INFORM_BYTES 4096 /* of an interim answer's field */
#define REPLY_TYPE_MAX 256 /* of a Content-Type */

struct server_loop;

/* The request's body; only exchanges that have one hold this. */
struct exchange_body {
    struct h1_body decoder; /* HTTP/1's */
    uint64_t max_bytes;     /* of content */
    uint64_t taken;         /* content lent to readers, or dropped */
    struct buf *lent;       /* what the last read lent lies in it */
    struct body_piece *kept; /* read by a weir_body_all() that was given up */
    struct wait *reader;    /* the task in weir_body_read() */
    uint64_t received;      /* bytes that have moved it on, framing counted */
    /* The rate is that of the time spent waiting, window after window. */
    int64_t waiting_since_ns;
    int64_t waited_ns;
    uint64_t window_bytes;  /* received when the window began */
    int failed;             /* the first failure; sticks */
    int fault_status;       /* what it answers: 400, 408, 413, 431 */
    struct h1_fault fault;
    bool complete;
    bool timed;
    bool want_continue;     /* 100 (Continue) is awaited, and not sent */
};

/* How the answer's end is told. */
enum reply_framing { REPLY_BODILESS, REPLY_LENGTH, REPLY_CHUNKED, REPLY_UNTIL_CLOSE };
enum reply_state { REPLY_NONE, REPLY_BEGUN, REPLY_COMPLETE };

struct reply_field {
    struct reply_field *next;
    weir_str name, value;
};

/* What few exchanges have. */
struct exchange_extra {
    struct reply_field *received; /* the request's trailer section */
    char *text;                   /* … of HTTP/1: as it came */
    uint32_t text_len;
    uint32_t count, bytes;        /* of the answer's */
    struct reply_field *sent;
};

/* A task that waits for the output to drain. */
struct out_wait {
    struct wait wait;
    size_t until_bytes; /* it is woken when no more than these are left … */
    bool refers;        /* … or, here, when the kernel is done with its memory */
};

/* The head of an answer, and what goes with it. */
struct reply_head {
    int status;
    weir_str type;  /* absent: none */
    int64_t length; /* of the body; -1: not known yet */
    weir_str copy;  /* the body, to be copied … */
    bool whole;     /* … and there is nothing behind it */
};

/* What differs between the versions of HTTP. All but file() and what says so is
 * called only while the exchange has its connection. */
struct exchange_wire {
    const char *version; /* "1.1", "2": OpenTelemetry's network.protocol.version */
    uint8_t number;      /* 0, 1 … in this order: for tables */
    /* Answers; they never wait but for write and drain. */
    int (*begin)(weir_exchange *x, const struct reply_head *head);
    int (*inform)(weir_exchange *x, int status, const struct reply_field *field); /* or NULL */
    int (*write)(weir_exchange *x, weir_str data); /* a piece, not empty */
    int (*end)(weir_exchange *x);                  /* the body's end */
    int (*drain)(weir_exchange *x);                /* until the kernel has it all */
    bool (*lost)(const weir_exchange *x);          /* nothing can be sent any more */
    void (*fail)(weir_exchange *x, int code);      /* nothing will be sent any more */
    void (*incomplete)(weir_exchange *x); /* an answer that was begun is to look cut short */
    /* The body of the request. */
    void (*limit)(weir_exchange *x, uint64_t max_bytes);
    int (*take)(weir_exchange *x, weir_str *ret_data); /* 1: lent; 0: nothing there; or a
                                                          failure, which is noted */
    int (*ask)(weir_exchange *x);          /* a reader is about to wait */
    bool (*arrived)(const weir_exchange *x); /* it need not: there is input, or will be none */
    bool (*input_over)(const weir_exchange *x); /* the peer sends nothing more */
    void (*wake_at)(weir_exchange *x, int64_t at_ns); /* look at the pace then, at the latest */
    /* The handler. */
    void (*started)(weir_exchange *x);     /* it has its first turn */
    void (*handled)(weir_exchange *x, bool own_stack); /* it has ended, and is answered;
                                                          own_stack: it ran in a task */
    struct io_file *(*file)(const weir_exchange *x);
};

struct exchange_hook {
    struct exchange_hook *next;
    void (*fn)(void *ptr);
    weir_fn *job;
    void *arg;
    weir_exchange *x;
};

struct weir_exchange {
    struct arena arena;
    const struct exchange_wire *wire;
    void *conn;               /* the wire's: where it is answered; NULL: nowhere any more */
    struct server_loop *home;
    struct http_head *head;
    struct exchange_body *in; /* NULL: no body */
    struct buf *head_buf;     /* the head's bytes; NULL: in the arena */
    uint32_t refs;
    uint16_t status;          /* of the answer; 0: none yet */
    uint8_t reply;            /* enum reply_state */
    uint8_t framing;
    bool keep_alive;          /* the connection goes on after this */
    bool running;             /* the handler's task is there */
    bool ran;                 /* … and had its turn */
    bool at_once;             /* handle() is running: no checkpoints */
    bool in_write;            /* its task waits for the client to take bytes */
    bool cut;                 /* the server's end has cancelled it */
    bool gone;                /* the client has gone; nobody is answered */
    bool bodiless;            /* HEAD, 204, 304: what is written is dropped */
    uint8_t reason;           /* weir_reason: why the handler's scope was cancelled */
    uint8_t job_count;
    uint8_t field_count;
    uint16_t field_bytes;
    uint64_t out_left;        /* REPLY_LENGTH: bytes still to be written */
    struct out_wait *writer;
    struct reply_field *fields, **fields_end;
    struct exchange_hook *defers, *jobs;
    struct exchange_extra *extra; /* NULL: none */
    weir_scope scope;         /* the handler's */
    int64_t began_ns;
    const struct http_param *params;
    uint32_t param_count;
    void *data;
    struct node link;         /* in the loop's list of exchanges */
    weir_context context;
    struct http_route route;
    char peer[ADDR_TEXT_BYTES];
    char ids[32 + 16];
};

/* exchange.c: its life */
weir_exchange *exchange_new(struct server_loop *home, const struct exchange_wire *wire, void *conn);
void exchange_make_ids(weir_exchange *x);
void exchange_unref(weir_exchange *x);
/* Start the jobs for after the reply; the server lets go of x. */
void exchange_release(weir_exchange *x);

/* exchange_reply.c: answers that never wait, from anywhere */
int exchange_reply(weir_exchange *x, int status, weir_str type, weir_str body);
int exchange_problem(weir_exchange *x, int status, weir_str detail);
int exchange_problem_of(weir_exchange *x, const struct http_problem *problem);
/* End a body that was begun, without a check for a cancel. */
int exchange_end(weir_exchange *x);
/* The version of HTTP that the request came by. */
static inline weir_str exchange_version(const weir_exchange *x)
{
    return weir_str_c(x->wire->number == 0 && x->head->version_minor == 0 ? "1.0"
                                                                          : x->wire->version);
}
/* Can nothing be sent any more? */
static inline bool exchange_is_lost(const weir_exchange *x)
{
    return !x->conn || x->gone || x->wire->lost(x);
}
/* Is the answer's body what was announced, so far? */
static inline bool exchange_is_whole(const weir_exchange *x)
{
    return x->bodiless || (x->framing == REPLY_LENGTH && x->out_left == 0);
}
/* Park the task until output has moved; the wire wakes x->writer. */
int exchange_park_writer(weir_exchange *x, struct out_wait *writer);

/* exchange_body.c */
int exchange_body_init(weir_exchange *x, uint64_t max_bytes);
/* Input has come, or will not come: wake the reader. */
void exchange_body_arrived(weir_exchange *x);
/* The reader has waited for a window's time: false when too little came. */
bool exchange_body_keeps_pace(weir_exchange *x, int64_t *ret_next_ns);
/* Note the body's first failure, and return it. */
int exchange_body_fail(struct exchange_body *in, int rc, int status);
/* What was lent is given back. */
void exchange_body_done(weir_exchange *x);

/* exchange_trailer.c */
/* A field of the request's trailer section has come: 0 or -ENOMEM. */
int exchange_add_trailer(weir_exchange *x, weir_str name, weir_str value);
/* Is the answer to have a trailer section? */
static inline bool exchange_has_trailers(const weir_exchange *x)
{
    return x->extra && x->extra->sent;
}

/* exchange_serve.c: from a whole head to the end of its handler */
void exchange_serve(weir_exchange *x);

#endif
