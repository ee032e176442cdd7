/* Looking at a loop's servers; see server_look.h.
 *
 * A look walks over the slab of connections, or (for the output alone) over that of what
 * requests borrow. Between two steps it keeps a server's number and a cursor, and handles
 * of the connections that it lists: those that are gone at the end are left without a
 * peer.
 *
 * A connection is held up while a send waits for its client. That it waits is known from
 * the timer that bounds it. */
#include "http/server_look.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "base/alloc.h"
#include "http/h2_conn.h"

#define STEP_OBJECTS 128
#define HELD_NS 1000000 /* a shorter wait is the kernel's way */

struct server_list {
    struct node servers;
    uint32_t numbers;
};

static void list_done(void *value)
{
    base_free(value);
}

void server_look_enter(struct server_loop *home)
{
    struct server_list *list = loop_local(home->loop, LOOP_LOCAL_HTTP_SERVER);

    list_init(&home->look_link);
    if (!list) {
        list = base_calloc(1, sizeof(*list));
        if (!list)
            return; /* it is not seen */
        list_init(&list->servers);
        loop_local_set(home->loop, LOOP_LOCAL_HTTP_SERVER, list, list_done);
    }
    home->look_number = ++list->numbers;
    list_push(&list->servers, &home->look_link);
}

void server_look_leave(struct server_loop *home)
{
    list_remove(&home->look_link);
    list_init(&home->look_link);
}

/* The first one with a number from *number on. */
static struct server_loop *server_from(struct loop *loop, uint32_t number)
{
    struct server_list *list = loop_local(loop, LOOP_LOCAL_HTTP_SERVER);

    if (!list)
        return NULL;
    list_each(n, &list->servers) {
        struct server_loop *home = container_of(n, struct server_loop, look_link);

        if (home->look_number >= number)
            return home;
    }
    return NULL;
}

/* ---- a server -------------------------------------------------------------------------- */

/* The kernel tells of a listening socket's queue in the fields that a connection has for
 * other things (tcp_get_info() in net/ipv4/tcp.c). */
static void look_at_queue(int fd, uint32_t *ret_queued, uint32_t *ret_max)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);

    memset(&info, 0, sizeof(info));
    if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return;
    *ret_queued = info.tcpi_unacked;
    *ret_max = info.tcpi_sacked;
}

static void look_at_server(const struct server_loop *home, struct server_look *look)
{
    look->server = home->server;
    look->addr_count = home->opts->addr_count;
    look->high_bytes = atomic_load(&home->counts.write_high);
    for (uint32_t i = 0; i < look->addr_count; i++) {
        addr_format(http_server_addr(home->server, i), look->addrs[i].text);
        if (loop_index(home->loop) == 0 && home->listening > 0)
            look_at_queue(http_server_fd(home->server, i), &look->addrs[i].queued,
                          &look->addrs[i].queue_max);
    }
    server_loop_stats(home, &look->stats);
}

/* ---- its connections --------------------------------------------------------------------- */

static uint64_t waiting_bytes(const struct outq *out)
{
    uint64_t moved = out->op.pending ? io_progress(&out->op) : 0;

    return out->bytes > moved ? out->bytes - moved : 0;
}

static int64_t held_ns(const struct server_loop *home, const struct outq *out, int64_t stall_ns)
{
    int64_t since_ns = stall_ns - (int64_t)home->opts->write_stall_ms * 1000000;
    int64_t ns = loop_now_ns(home->loop) - since_ns;

    return stall_ns != WEIR_NEVER_NS && outq_sending(out) && ns >= HELD_NS ? ns : 0;
}

static void count_output(const struct server_loop *home, const struct outq *out, int64_t stall_ns,
                         struct server_look *look)
{
    look->waiting_bytes += waiting_bytes(out);
    look->held += held_ns(home, out, stall_ns) > 0;
}

/* Of an object of the slab of h1_work, or of h2_conn. */
static void count_output_of(const struct server_loop *home, const void *object, bool http2,
                            struct server_look *look)
{
    const struct h1_work *w = object;
    const struct h2_conn *c = object;

    if (http2)
        count_output(home, &c->out, c->stall_ns, look);
    else
        count_output(home, &w->out, w->stall_ns, look);
}

static bool goes_before(const struct server_look_conn *a, const struct server_look_conn *b)
{
    return a->held_ns != b->held_ns ? a->held_ns > b->held_ns : a->age_ns > b->age_ns;
}

/* Among those that are listed, if it goes before one of them or there is room. */
static void list_conn(struct server_look *look, const struct server_look_conn *conn)
{
    uint32_t at = look->conn_count;

    if (at == SERVER_LOOK_CONNS && !goes_before(conn, &look->conns[--at]))
        return;
    while (at > 0 && goes_before(conn, &look->conns[at - 1])) {
        look->conns[at] = look->conns[at - 1];
        at--;
    }
    look->conns[at] = *conn;
    if (look->conn_count < SERVER_LOOK_CONNS)
        look->conn_count++;
}

static void look_at_conn(const struct server_loop *home, const struct h1_conn *c,
                         struct server_look *look)
{
    struct server_look_conn conn = { .slot = c->head.slot,
                                     .generation = c->head.generation,
                                     .state = c->state,
                                     .served = c->state == H1_LINGER ? 0 : c->served,
                                     .age_ns = loop_now_ns(home->loop) - c->accepted_ns };

    if (c->state < SERVER_LOOK_STATES)
        look->states[c->state]++;
    if (c->work || c->h2) {
        const struct outq *out = c->h2 ? &c->h2->out : &c->work->out;
        int64_t stall_ns = c->h2 ? c->h2->stall_ns : c->work->stall_ns;

        count_output(home, out, stall_ns, look);
        conn.waiting_bytes = waiting_bytes(out);
        conn.held_ns = held_ns(home, out, stall_ns);
        conn.http2 = c->h2 != NULL;
        conn.streams = c->h2 ? c->h2->stream_count : 0;
    }
    if (c->state != H1_CLOSED)
        list_conn(look, &conn);
}

/* What costs more, and is only for those that are listed in the end. */
static void complete_conn(const struct server_loop *home, struct server_look_conn *conn)
{
    const struct h1_conn *c = slab_find(&home->conns, conn->slot, conn->generation);
    const weir_exchange *x;
    struct addr addr;
    weir_str pattern;

    if (!c)
        return;
    if (loop_io(home->loop)
            ->address(home->loop, (struct io_file *)(uintptr_t)&c->file, true, &addr.storage,
                      &addr.len) == 0)
        addr_format(&addr, conn->peer);
    x = c->work ? c->work->x : c->h2 ? h2_first_exchange(c->h2) : NULL;
    if (!x)
        return;
    pattern = x->route.pattern;
    if (pattern.len >= SERVER_LOOK_ROUTE_BYTES)
        pattern.len = SERVER_LOOK_ROUTE_BYTES - 1;
    if (pattern.len > 0)
        memcpy(conn->route, pattern.ptr, pattern.len);
    conn->route[pattern.len] = '\0';
}

/* ---- the walk ------------------------------------------------------------------------------ */

static const void *next_object(const struct slab *slab, uint32_t *cursor, uint32_t *left)
{
    uint32_t per_chunk = UINT32_C(1) << slab->per_chunk_log2;

    for (; *left > 0 && *cursor / per_chunk < slab->chunk_count; (*cursor)++, (*left)--) {
        const char *object = slab->chunks[*cursor / per_chunk] +
                             *cursor % per_chunk * slab->object_bytes;

        if (((const struct slab_head *)(const void *)object)->generation & 1) {
            (*cursor)++;
            (*left)--;
            return object;
        }
    }
    return NULL;
}

/* What is walked over. */
static const struct slab *slab_of(const struct server_loop *home, const struct servers_look *look)
{
    if (!look->output_only)
        return &home->conns;
    return look->http2 ? &home->h2_conns : &home->works;
}

/* The next ones of this server; true: they were the last. */
static bool look_further(const struct server_loop *home, struct servers_look *look)
{
    struct server_look *server = &look->servers[look->count - 1];
    uint32_t left = STEP_OBJECTS;
    const void *object;

    while ((object = next_object(slab_of(home, look), &look->cursor, &left)) != NULL) {
        if (look->output_only)
            count_output_of(home, object, look->http2, server);
        else
            look_at_conn(home, object, server);
    }
    if (left == 0)
        return false;
    if (look->output_only && !look->http2) {
        look->http2 = true;
        look->cursor = 0;
        return false;
    }
    look->http2 = false;
    for (uint32_t i = 0; i < server->conn_count; i++)
        complete_conn(home, &server->conns[i]);
    return true;
}

bool server_look_step(struct loop *loop, struct servers_look *look)
{
    struct server_loop *home = server_from(loop, look->number);

    if (!home)
        return true;
    if (look->count == 0 || look->servers[look->count - 1].server != home->server) {
        if (look->count == SERVER_LOOK_SERVERS)
            return true;
        look->cursor = 0;
        look_at_server(home, &look->servers[look->count++]);
    }
    look->number = home->look_number;
    if (look_further(home, look))
        look->number++;
    return false;
}

const char *server_look_state(uint32_t state)
{
    static const char *const names[SERVER_LOOK_STATES] = {
        "idle",   "reading a head", "serving", "draining a body",
        "ending", "lingering",      "closed",  "http/2",
    };

    return state < SERVER_LOOK_STATES ? names[state] : "unknown";
}
