/* Which connection a call over HTTP/2 goes on: its loop's links to the origin, and who
 * waits for one. */
#ifndef HTTP_CLIENT_LINKS_H
#define HTTP_CLIENT_LINKS_H

#include "http/client.h"

/* What a loop has of an origin that may speak HTTP/2. */
struct client_home {
    struct client_origin *origin;
    struct node links;   /* struct client_link, with calls on them */
    struct node waiters; /* struct home_wait, the first come first */
    struct home_wait *connecting; /* who makes a connection for all, or NULL */
    uint32_t stream_guess; /* what the server allowed on the link before; 0: not known */
    bool waits_for_place; /* … and is in line for a place */
};

/* A link of the loop's: in its home's list while it has calls, in the pool while it
 * has none, in neither when it is closed. */
struct client_link {
    struct h2_link h2;
    struct client_conn *conn;
    struct client_home *home;
    struct node link; /* among its home's */
    struct node all;  /* among the loop's */
    int64_t retire_ns;
};

/* With a permit: attach call->h2 to a link; or, where the server speaks HTTP/1.1 only, set
 * call->conn, with its place. A checkpoint. */
int client_links_take(struct weir_request *call);
/* Close an idle one; it ends when it can. */
void client_link_close(struct client_link *link);
bool client_link_dead(const struct client_link *link);
/* The loop has ended. */
void client_links_abort(struct node *all);

#endif
