/* Links to an origin, on each loop: several calls at once on one connection.
 *
 * The pool's permits bound the calls in flight in the process, its places the
 * connections; a link holds a place. One that has no calls is idle in the pool, as a
 * connection of HTTP/1.1 is, and goes the same ways: by age, by time, or because another
 * loop needs its place. One that has calls is in its home's list.
 *
 * A call takes, in this order: a link of the list with room; an idle one of the pool; a
 * new one, which one call makes while the others wait for it. Who waits is woken when
 * there may be room (a call has left, the server has raised its limit, the connection is
 * made), and looks again. No connection is made while the server lets us begin no stream
 * on one that there is: another one would be no better.
 *
 * When a connection can't be made, all that wait for it are told so; unless it was the
 * maker's own scope that ended, then the next one makes it.
 *
 * Where it is found by ALPN that the server speaks HTTP/1.1, the origin's calls have a
 * connection each from then on. */
#include "http/client_links.h"

#include "base/alloc.h"
#include "guard/pool_share.h"
#include "rt/rt.h"

struct home_wait {
    struct wait wait;
    int rc; /* the maker's failure */
};

static struct client_link *link_of(struct node *n)
{
    return container_of(n, struct client_link, link);
}

static struct client_link *link_of_h2(struct h2_link *h2)
{
    return container_of(h2, struct client_link, h2);
}

/* ---- who waits ----------------------------------------------------------------------- */

static void wait_abandon(struct wait *wait, int code)
{
    list_remove(&wait->link);
    wait_wake(wait, code);
}

static void home_wake_one(struct client_home *home, int rc)
{
    struct wait *wait = container_of(home->waiters.next, struct wait, link);

    list_remove(&wait->link);
    container_of(wait, struct home_wait, wait)->rc = rc;
    wait_wake(wait, 0);
}

static void home_fail(struct client_home *home, int rc)
{
    while (!list_empty(&home->waiters))
        home_wake_one(home, rc);
}

static uint32_t home_room(const struct client_home *home)
{
    uint32_t room = 0;

    list_each_safe(n, (struct node *)&home->links)
        room += h2_link_room(&link_of(n)->h2);
    return room;
}

/* As many as there is room for; at least one if nobody makes a connection. */
static void home_wake(struct client_home *home)
{
    uint32_t room = home_room(home);

    if (room == 0 && !home->connecting)
        room = 1;
    for (; room > 0 && !list_empty(&home->waiters); room--)
        home_wake_one(home, 0);
}

static int home_park(struct client_home *home, const char *what)
{
    struct home_wait waiting = { .wait = {
                                     .abandon = wait_abandon, .what = what, .object = home } };
    int rc = rt_check();

    if (rc < 0)
        return rc;
    list_push(&home->waiters, &waiting.wait.link);
    rc = rt_park(&waiting.wait);
    return rc < 0 ? rc : waiting.rc;
}

/* ---- links --------------------------------------------------------------------------- */

static void link_ended(struct h2_link *h2)
{
    struct client_link *link = link_of_h2(h2);

    list_remove(&link->all);
    client_conn_close(link->conn);
    base_free(link);
}

void client_link_close(struct client_link *link)
{
    h2_link_close(&link->h2, link_ended);
}

bool client_link_dead(const struct client_link *link)
{
    return link->h2.flags & (LINK_GOING | LINK_LOST);
}

void client_links_abort(struct node *all)
{
    while (!list_empty(all)) {
        struct client_link *link = container_of(all->next, struct client_link, all);

        link->h2.ended = link_ended;
        h2_link_abort(&link->h2);
    }
}

static void link_has_room(struct h2_link *h2)
{
    struct client_link *link = link_of_h2(h2);

    if (!link->home)
        return;
    if (link->h2.flags & LINK_SETTLED)
        link->home->stream_guess = h2_link_limit(&link->h2);
    if (!list_empty(&link->home->waiters))
        home_wake(link->home);
}

/* The last call has left it: to the pool, or away. */
static void link_is_idle(struct h2_link *h2)
{
    struct client_link *link = link_of_h2(h2);
    struct client_home *home = link->home;
    weir_pool *pool = home->origin->pool;

    list_remove(&link->link);
    link->home = NULL;
    if (client_link_dead(link)) {
        client_link_close(link);
        pool_release_place(pool);
    } else {
        pool_put_idle(pool, &link->conn->item);
    }
    home_wake(home);
}

static const struct h2_link_owner link_owner = {
    .room = link_has_room,
    .closed = link_has_room,
    .idle = link_is_idle,
};

static int link_new(struct client_home *home, struct client_conn *conn,
                    const struct weir_request *call, struct client_link **ret_link)
{
    const weir_client_opts *opts = &call->client->opts;
    struct client_loop *own = client_loop_get();
    struct client_link *link = own ? base_calloc(1, sizeof(*link)) : NULL;
    int rc;

    if (!link)
        return -ENOMEM;
    rc = h2_link_open(&link->h2, &conn->file, opts->max_streams, &link_owner);
    if (rc < 0) {
        base_free(link);
        return rc;
    }
    if (home->stream_guess > 0)
        link->h2.stream_guess = home->stream_guess;
    link->conn = conn;
    link->home = home;
    link->retire_ns = loop_now_ns(loop_self()) + (int64_t)opts->max_age_ms * 1000000;
    conn->h2 = link;
    list_push(&home->links, &link->link);
    list_push(&own->links, &link->all);
    *ret_link = link;
    return 0;
}

/* ---- taking -------------------------------------------------------------------------- */

static void call_attach(struct weir_request *call, struct client_link *link)
{
    if (link->h2.flags & LINK_SERVED)
        call->flags |= CALL_REUSED;
    h2_call_attach(&link->h2, &call->h2);
}

/* One that is too old, or whose host has moved, takes no more calls, nor does any when
 * another loop waits for a place: then its calls end, and it goes. */
static bool link_has_aged(const struct client_home *home, const struct client_link *link)
{
    uint32_t own = home->waits_for_place;

    return loop_now_ns(loop_self()) >= link->retire_ns || pool_wanted(home->origin->pool) > own ||
           client_conn_moved(link->conn);
}

static struct client_link *home_find(struct client_home *home)
{
    list_each_safe(n, &home->links) {
        struct client_link *link = link_of(n);

        if (h2_link_room(&link->h2) == 0)
            continue;
        if (!link_has_aged(home, link))
            return link;
        h2_link_retire(&link->h2);
    }
    return NULL;
}

static bool home_is_barred(const struct client_home *home)
{
    list_each_safe(n, (struct node *)&home->links)
        if (h2_link_is_barred(&link_of(n)->h2))
            return true;
    return false;
}

/* An idle connection of the pool, of whatever version. */
static bool take_idle(struct client_home *home, struct weir_request *call)
{
    weir_pool_item *item = pool_take_idle(&call->lease);
    struct client_conn *conn;

    if (!item)
        return false;
    conn = container_of(item, struct client_conn, item);
    if (!conn->h2) {
        call->conn = conn;
        call->flags |= CALL_REUSED;
        return true;
    }
    conn->h2->home = home;
    list_push(&home->links, &conn->h2->link);
    call_attach(call, conn->h2);
    return true;
}

static bool speaks_h2(const struct client_conn *conn)
{
    if (!io_is_layered(&conn->file))
        return true; /* by prior knowledge: else there would be no home */
    return conn->agreed_h2;
}

/* The connection is there: as a link, or as the call's own. */
static int use_new(struct client_home *home, struct weir_request *call, struct client_conn *conn)
{
    struct client_link *link;
    int rc;

    if (!speaks_h2(conn)) {
        atomic_store_explicit(&home->origin->only_h1, true, memory_order_relaxed);
        call->conn = conn;
        return 0;
    }
    rc = link_new(home, conn, call, &link);
    if (rc < 0) {
        client_conn_close(conn);
        pool_release_place(home->origin->pool);
        return rc;
    }
    call_attach(call, link);
    return 0;
}

static int make_new(struct client_home *home, struct weir_request *call)
{
    struct client_conn *conn;
    int rc;

    home->waits_for_place = true;
    rc = pool_take_place(&call->lease);
    home->waits_for_place = false;
    if (rc < 0)
        return rc;
    rc = client_conn_open(call->origin, call->client->opts.connect_timeout_ms, &conn);
    if (rc == 0)
        return use_new(home, call, conn);
    pool_release_place(home->origin->pool);
    return rc;
}

/* For all that wait. */
static int make_for_all(struct client_home *home, struct weir_request *call)
{
    struct home_wait maker;
    int rc;

    home->connecting = &maker;
    rc = make_new(home, call);
    home->connecting = NULL;
    if (rc < 0 && rc != -ECANCELED && rc != -ETIMEDOUT)
        home_fail(home, rc);
    else if (atomic_load_explicit(&home->origin->only_h1, memory_order_relaxed))
        home_fail(home, 0);
    else
        home_wake(home);
    return rc < 0 ? client_call_wrap(call, rc, "no connection") : 0;
}

static int home_take(struct client_home *home, struct weir_request *call)
{
    for (;;) {
        struct client_link *link = home_find(home);
        bool barred;
        int rc;

        if (link) {
            call_attach(call, link);
            return 0;
        }
        if (take_idle(home, call))
            return 0;
        if (atomic_load_explicit(&home->origin->only_h1, memory_order_relaxed)) {
            rc = make_new(home, call);
            return rc < 0 ? client_call_wrap(call, rc, "no connection") : 0;
        }
        barred = home_is_barred(home);
        if (!barred && !home->connecting)
            return make_for_all(home, call);
        rc = home_park(home, barred ? "a server that lets a stream begin" : "a connection");
        if (rc < 0)
            return client_call_wrap(call, rc,
                                    barred ? "the server has not let a stream begin"
                                           : "waiting for a connection to be made");
    }
}

static struct client_home *home_of(struct client_origin *origin)
{
    struct client_home **place = &origin->homes[loop_index(loop_self())];

    if (!*place) {
        struct client_home *home = base_calloc(1, sizeof(*home));

        if (!home)
            return NULL;
        home->origin = origin;
        list_init(&home->links);
        list_init(&home->waiters);
        *place = home;
    }
    return *place;
}

int client_links_take(struct weir_request *call)
{
    struct client_home *home = home_of(call->origin);
    int rc = home ? home_take(home, call) : -ENOMEM;

    /* A wake that was meant for this call is for the next one. */
    if (rc < 0 && home && !list_empty(&home->waiters))
        home_wake(home);
    return rc;
}
