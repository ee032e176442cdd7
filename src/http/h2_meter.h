/* What an HTTP/2 connection's peer does to us, counted: frames before they reach the
 * library, and what cheap frames cost.
 *
 * It does no I/O and keeps no clock: it takes bytes and the time. A verdict is a rule
 * that was broken, told once; the connection is to be ended with its code. */
#ifndef HTTP_H2_METER_H
#define HTTP_H2_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define H2_CONTINUATIONS_MAX 8
#define H2_SETTINGS_MAX 32      /* in one frame */
#define H2_RESETS_MAX 1000      /* of either side: a bucket of tokens, … */
#define H2_RESETS_PER_S 33      /* … which come back at this rate */
#define H2_SCORE_MAX 2000       /* of the abuse score, … */
#define H2_SCORE_PER_S 200      /* … which drains at this rate */
#define H2_SKIPPED_RANGES 4

/* What adds to the score, in points. */
enum h2_points {
    H2_POINTS_UNKNOWN_FRAME = 1,
    H2_POINTS_SMALL_WINDOW = 1,  /* an update by a few bytes */
    H2_POINTS_RESET = 1,         /* beside its token */
    H2_POINTS_PING = 2,
    H2_POINTS_PRIORITY = 2,
    H2_POINTS_EMPTY_DATA = 4,
    H2_POINTS_SMALL_DATA = 4,    /* our DATA cut to a few bytes by the peer's window */
    H2_POINTS_SETTINGS = 10,
    H2_POINTS_EXPANSION = 20,    /* a header block that is many times its encoding */
    H2_POINTS_HEADER_LIST = 50,  /* one over the limits */
    H2_POINTS_STALL = 100        /* a stream whose window stayed shut */
};

struct h2_verdict {
    const char *rule; /* a phrase, static; NULL: none */
    uint32_t code;    /* NGHTTP2_… error code */
};

struct h2_meter {
    uint8_t header[9];
    uint8_t have;          /* bytes of a frame's header */
    uint8_t preface;       /* bytes of the connection preface that are still to come */
    uint8_t continuations; /* of the header block that is being received */
    bool in_block;
    bool asked;            /* about the frame whose header is all but complete */
    uint8_t word_left;     /* bytes of word still to come */
    uint32_t word;         /* the first four of the payload, of frames where they matter */
    uint32_t left;         /* bytes of the payload still to come */
    uint32_t frames;       /* whose headers have come */
    uint32_t highest;      /* stream identifier that a HEADERS frame has opened */
    struct {
        uint32_t from, to;
    } skipped[H2_SKIPPED_RANGES]; /* identifiers that were passed over */
    uint8_t skipped_next;
    uint32_t block_bytes;  /* of the header block, encoded */
    int64_t resets_ns;     /* when the bucket would be full again */
    int64_t score_ns;      /* when the score would be 0 again */
    uint32_t asks;         /* the stream that the frame ahead is for; 0: no question */
    bool asks_headers;     /* … and it is HEADERS, else DATA */
    struct h2_verdict verdict;
};

void h2_meter_init(struct h2_meter *m);

/* How many of the bytes may be given to the library: all, or those before the end of the
 * frame header that completes a verdict, or asks a question: is that stream open? The
 * rest is fed when the library has what is before, and asks is 0 again. */
size_t h2_meter_feed(struct h2_meter *m, const uint8_t *bytes, size_t len, int64_t now_ns);

/* Is a frame (other than one of a body), or a header block, begun and not complete? */
bool h2_meter_partial(const struct h2_meter *m);

/* A stream was reset, by either side. */
void h2_meter_reset(struct h2_meter *m, int64_t now_ns);
/* Add to the score; rule is what the log will name if that is too much. */
void h2_meter_charge(struct h2_meter *m, enum h2_points points, const char *rule, int64_t now_ns);
void h2_meter_judge(struct h2_meter *m, const char *rule, uint32_t code);

#endif
