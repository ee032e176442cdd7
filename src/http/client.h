/* The HTTP client's parts, for each other.
 *
 *   client.c         the client and its origins (host and port), each with a pool
 *   client_conn.c    a pooled connection
 *   client_head.c    the request's head, written
 *   client_call.c    one call: send, the answer's head, its body, the end
 *   client_h1.c      … over HTTP/1.1
 *   client_h2.c      … over HTTP/2, and client_links.c: on which connection
 *   client_fetch.c   weir_fetch(): the whole answer in memory
 *   client_stream.c  weir_request_open(): in pieces */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>

#include <weir/client.h>
#include <weir/guard.h>

#include "http/h1_body.h"
#include "http/h1_head.h"
#include "http/h2_link.h"
#include "http/url.h"
#include "net/addr.h"
#include "rt/rt.h"

#define CLIENT_ORIGINS_MAX 1024
#define CLIENT_SLOTS 2048 /* a power of two above it, so that a search ends soon */

/* A host and port, and the pool for it. */
struct client_origin {
    uint64_t hash;
    struct addr addr;  /* of a unix socket */
    weir_str host;     /* an address or a name; absent for a unix socket */
    uint16_t port;
    bool named;        /* host is a name: its addresses may change */
    bool secure;       /* over TLS */
    struct tls_context *tls; /* … with this, the client's */
    weir_pool *pool;
    struct client_home **homes; /* by loop: where HTTP/2 may be spoken; else NULL */
    atomic_bool only_h1;        /* the server has chosen so */
    size_t key_len;
    char key[]; /* "host:port", in small letters; or "unix:path" */
};

struct tls_context;

struct weir_client {
    weir_client_opts opts;
    struct tls_context *tls; /* made with the client, or under lock when first needed */
    uint64_t seed;
    _Atomic(struct client_origin *) slots[CLIENT_SLOTS]; /* open addressing; only added to */
    pthread_mutex_t lock;                                /* for adding */
    uint32_t origins;                                    /* under lock */
    char name[64];
    char user_agent[128];
};

/* What the loop keeps for its calls. */
struct client_loop {
    struct http_head head;  /* for an answer's head that is there in one piece */
    weir_client *shared;    /* the process's client, if this loop has used it */
    struct node links;      /* struct client_link */
};

/* The loop's, made at the first use; NULL without memory. */
struct client_loop *client_loop_get(void);
/* NULL: the process's client, made at the first use. 0 or -ENOMEM. */
int client_get(weir_client *client, weir_client **ret_client);
int client_origin_get(weir_client *client, const struct url *url,
                      struct client_origin **ret_origin);

struct client_link;

struct client_conn {
    weir_pool_item item;
    struct client_link *h2; /* what speaks HTTP/2 on it, or NULL */
    struct io_file file;
    const struct client_origin *origin;
    bool agreed_h2;   /* by ALPN */
    struct addr addr; /* that it is connected to */
};

/* Connect; a checkpoint. */
int client_conn_open(const struct client_origin *origin, uint32_t timeout_ms,
                     struct client_conn **ret_conn);
void client_conn_close(struct client_conn *conn);
/* Does its host's name stand for other addresses now? */
bool client_conn_moved(const struct client_conn *conn);
/* For the pool. */
void client_conn_close_item(weir_pool_item *item);
bool client_conn_dead(weir_pool_item *item);

enum {
    CALL_REUSED = 1,     /* the connection had served before */
    CALL_GOT_ANY = 2,    /* a byte of the answer has come */
    CALL_SENT_ANY = 4,   /* a byte of the request may have gone out */
    CALL_KEEP = 8,       /* the answer lets the connection be kept */
    CALL_HAS_HEAD = 16,
    CALL_BODY_DONE = 32,
    CALL_UPLOADING = 64, /* a streamed body is not complete */
    CALL_STREAMED = 128, /* … or was sent: not to be repeated */
    CALL_FAILED = 256,
    CALL_WANTS_JSON = 512
};

struct weir_request;

/* What differs between the versions of HTTP. All but leave are checkpoints. */
struct client_wire {
    /* Take a lease, and a connection where one is the call's alone. */
    int (*connect)(struct weir_request *call);
    /* Send the head, and .body. */
    int (*send)(struct weir_request *call);
    /* Before it is sent once more: let go of what failed, and connect anew. */
    int (*again)(struct weir_request *call);
    /* The next piece of a streamed body; and its end. */
    int (*write)(struct weir_request *call, weir_str data);
    int (*finish)(struct weir_request *call);
    /* Receive the head of the final answer. */
    int (*head)(struct weir_request *call, weir_response *ret_response);
    /* The next piece of the body: 1 and a slice, or 0 at its end. */
    int (*body)(struct weir_request *call, weir_str *ret_data);
    /* No head came, but rc: is it safe to send the request once more? */
    bool (*may_repeat)(const struct weir_request *call, int rc);
    /* Give connection and lease back. */
    void (*leave)(struct weir_request *call);
};

extern const struct client_wire client_h1_wire, client_h2_wire;

/* One call. All zero, but for what client_call_init() fills in. */
struct weir_request {
    weir_str url_text;
    struct url url;
    weir_fetch_opts opts;      /* a copy; what it points to is the caller's */
    weir_str method_text;
    enum http_method method;
    weir_client *client;
    struct client_origin *origin;
    const struct client_wire *wire;
    weir_lease lease;
    struct client_conn *conn;
    unsigned flags;
    uint64_t upload_left;      /* WEIR_CHUNKED: until the end is said */
    const weir_http_field *trailers;
    size_t trailer_count;
    union {
        struct {
            struct buf *buf;   /* received last; in may point into it */
            weir_str in;       /* received, and not used yet */
            char *big;         /* a head larger than a buffer, or NULL */
            struct h1_parser parser;
            struct h1_body body;
        } h1;
        struct h2_call h2;
    };
};

/* Check and prepare; takes nothing. */
int client_call_init(struct weir_request *call, weir_str url, const weir_fetch_opts *opts);
/* Take a connection and send head and body. A checkpoint. */
int client_call_send(struct weir_request *call);
/* Receive the head of the final answer; send once more on a new connection when
 * that is safe. A checkpoint. */
int client_call_answer(struct weir_request *call, weir_response *ret_response);
/* The next piece of the body: 1 and a slice, 0 at the end. A checkpoint when
 * there is none in what was received. */
int client_call_body(struct weir_request *call, weir_str *ret_data);
/* Give everything back; never waits. The connection is kept when all is well. */
void client_call_end(struct weir_request *call);
/* Add what the call was to the chain. */
int client_call_wrap(const struct weir_request *call, int rc, const char *doing);
/* Begin the chain with it. */
int client_call_fail(const struct weir_request *call, int rc, const char *what);
/* Is it the code of a connection that is gone? */
bool client_is_lost(int rc);

/* Write the head into a new buffer. */
int client_head_write(const struct weir_request *call, struct buf **ret_buf);

/* The field that carries the time left, in milliseconds. */
#define CLIENT_DEADLINE_FIELD WEIR_S("Weir-Deadline-Ms")

#endif
