/* A client that speaks HTTP/2 frame by frame, so that it can also speak it wrongly. Header
 * blocks are literals without an index; those of answers are decoded. */
#ifndef TESTS_HTTP_H2_SERVER_PEER_H
#define TESTS_HTTP_H2_SERVER_PEER_H

#include "served.h"

#include <nghttp2/nghttp2.h>

#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

struct h2_peer {
    struct peer raw;
    nghttp2_hd_inflater *inflater;
    uint32_t goaway_code, goaway_last;
    bool goaway;
};

struct h2_frame {
    uint32_t len;
    uint8_t type, flags;
    uint32_t id;
    const uint8_t *payload; /* until the next one is read */
};

/* What came for a stream, up to its end or its reset. */
struct h2_answer {
    int status;         /* 0: none */
    int informed;       /* 1xx statuses before, the last */
    char fields[8192];  /* "name: value\n" … */
    char *body;         /* of room bytes, the test's; NULL: only counted */
    size_t room, body_len;
    bool ended, reset;
    uint32_t code;      /* of the reset */
};

/* Connect, and send the preface and SETTINGS of these bytes. */
int h2_open(struct served *s, struct h2_peer *peer, const char *settings, size_t len);
void h2_close(struct h2_peer *peer);

/* Frames, appended to a text that is sent as a whole. */
void h2_add(struct strbuf *out, uint8_t type, uint8_t flags, uint32_t id, const void *payload,
            size_t len);
/* Fields: name, value, …, NULL. */
void h2_add_headers(struct strbuf *out, uint8_t flags, uint32_t id, const char *const *fields);
/* A request with these fields beside :method, :path, :scheme and :authority. */
void h2_add_request(struct strbuf *out, uint32_t id, bool ends, const char *method,
                    const char *path, const char *const *fields);
void h2_add_word(struct strbuf *out, uint8_t type, uint32_t id, uint32_t word);
void h2_fields_text(struct strbuf *block, const char *const *fields);
/* Send it all and empty it. */
int h2_say(struct h2_peer *peer, struct strbuf *out);

/* The next frame: 0; -1 at the end, or when none came in 10 s. SETTINGS are acknowledged,
 * PINGs answered, a GOAWAY is noted; all are returned. */
int h2_next(struct h2_peer *peer, struct h2_frame *ret_frame);
/* Read until the stream has ended or was reset: 0; -1 at the connection's end. window:
 * give back what was received. Frames of other streams are dropped. */
int h2_answer(struct h2_peer *peer, uint32_t id, struct h2_answer *ret_answer, bool window);
/* A GET on that stream, and its status; -1 without one. */
int h2_get(struct h2_peer *peer, uint32_t id, const char *path);
/* Read until the connection ends: 0, or -errno. */
int h2_until_end(struct h2_peer *peer);

#endif
