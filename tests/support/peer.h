/* A scripted peer for tests of what speaks over TCP: a thread that listens on a
 * port of 127.0.0.1, and one for each connection that runs the test's script.
 *
 * Scripts use blocking calls; each ends with an error after ten seconds, and at
 * peer_stop(), so that none hangs. */
#ifndef SUPPORT_PEER_H
#define SUPPORT_PEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct peer;

struct peer_conn {
    struct peer *peer;
    int fd;
    int index;       /* 0 for the first connection */
    void *arg;
    size_t len;      /* what peer_head() and peer_more() have read */
    char text[65536]; /* terminated */
};

typedef void peer_script(struct peer_conn *conn);

/* NULL on failure; port in *ret_port. */
struct peer *peer_start(peer_script *script, void *arg, uint16_t *ret_port);
/* Ends every connection, and waits for the scripts. */
void peer_stop(struct peer *peer);
/* Connections accepted so far, and requests whose heads were read. */
int peer_connections(struct peer *peer);
int peer_heads(struct peer *peer);
/* What scripts have noted: peer_note(), and each script's end. */
int peer_notes(struct peer *peer);
/* A port on which nobody listens. */
uint16_t peer_dead_port(void);

/* Read up to the next empty line, which is in conn->text then; what came behind
 * it is kept for the next call. False at the end or on failure. */
bool peer_head(struct peer_conn *conn);
/* Read n bytes into conn->text behind what peer_head() gave. */
bool peer_body(struct peer_conn *conn, size_t n);
bool peer_send(struct peer_conn *conn, const char *text);
bool peer_send_bytes(struct peer_conn *conn, const void *data, size_t len);
/* Wait until the other side closes; true when it did so in order. */
bool peer_wait_end(struct peer_conn *conn);
/* Close with a reset. */
void peer_reset(struct peer_conn *conn);
void peer_note(struct peer_conn *conn);
/* Wait until the test calls peer_go(), once for each; or the end. */
bool peer_wait_go(struct peer_conn *conn);
void peer_go(struct peer *peer);

#endif
