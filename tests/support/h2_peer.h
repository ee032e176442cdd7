/* An HTTP/2 server for tests of the client, made of tasks, so that it runs on every
 * backend: with nghttp2's server session, or with frames made by hand.
 *
 * By path:
 *   /hello            200 "hello"
 *   /bytes?N          200 and N bytes
 *   /echo             200 and the request's body
 *   /empty            204
 *   /trailers         "hello", and a trailer X-Sum: 7
 *   /inform           103 with a Link, 103 again, then "hello"
 *   /early            "hello" at the head, before the body
 *   /hang             nothing
 *   /half             a head that announces 10 bytes, 5 of them, and nothing more
 *   /refuse           REFUSED_STREAM
 *   /refuse-once      the first time
 *   /reset            RST_STREAM INTERNAL_ERROR
 *   /reset-half       5 bytes, then RST_STREAM
 *   /goaway           GOAWAY that does not cover it, then "hello" on later connections
 *   /goaway-after     "hello" and GOAWAY
 *   /close            the connection closes (the first time)
 *   /close-half       5 of 10 bytes, then it closes
 *   /raise            max_streams becomes 100; "hello" */
#ifndef SUPPORT_H2_PEER_H
#define SUPPORT_H2_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/scope.h>
#include <weir/stream.h>

struct h2_peer {
    /* Given: */
    uint32_t max_streams;     /* 0: not said */
    bool bars;                /* it says 0 */
    uint32_t raise_after_ms;  /* … and 100 after this time */
    uint32_t window;          /* initial, of a stream; 0: not said */
    uint32_t late_window_ms;  /* … is 0 at first, and comes after this time */
    const char *raw;          /* frames to be sent to the first HEADERS, instead */
    size_t raw_len;
    bool raw_closes;          /* … and then the end */
    uint32_t raw_repeat;      /* times; 0: once */
    /* Found: */
    weir_listener *listener;
    uint16_t port;
    int connections, requests, replies, open;
    uint32_t rst_code, goaway_code; /* the client's last; UINT32_MAX: none */
    int resets;
    int seen;                 /* /refuse-once … */
};

/* Listen. 0 or the failure. */
int h2_peer_open(struct h2_peer *peer);
/* A task that serves until it is cancelled. */
int h2_peer_run(void *arg);
void h2_peer_close(struct h2_peer *peer);

/* A frame at the end of a buffer; returns the new length. */
size_t h2_frame(char *to, size_t at, uint8_t type, uint8_t flags, uint32_t id, const void *payload,
                size_t len);

#endif
