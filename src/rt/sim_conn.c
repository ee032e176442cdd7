/* Connections of the simulated network: made by a handshake, ended from either
 * side.
 *
 * Handshake, each step a link's delay after the one before: SYN at the listener
 * (nobody: REFUSED goes back; its queue is full: tried again after 1, 2, 4 ... s,
 * seven times) -> SYN_ACK: the connecting end is open -> ACK: the other end may
 * be accepted. A cut link holds each step up, and a SYN for too long ends in
 * ETIMEDOUT. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "rt/sim_state.h"

#define SYN_AGAIN_NS (1000 * SIM_MS)
#define SYN_ATTEMPTS 7
#define STEP_AGAIN_NS (200 * SIM_MS)

static void party_name(const struct sim_party *party, char text[static SIM_PARTY_NAME_BYTES]);
static void end_name(const struct sim_party *party, char text[static SIM_PARTY_NAME_BYTES]);
static void handshake(struct sim *sim, struct sim_event *event);
static void tell(struct sim *sim, struct sim_event *event);

static void end_init(struct sim_end *end, uint8_t side, int family)
{
    end->side = side;
    end->party.name = end_name;
    end->base.fd = -1;
    list_init(&end->base.attaches);
    list_init(&end->link);
    end->addr.ss_family = (sa_family_t)family;
    end->addr_len = family == AF_INET    ? sizeof(struct sockaddr_in)
                    : family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                         : sizeof(sa_family_t);
}

struct sim_conn *sim_conn_new(struct sim *sim, int family)
{
    struct sim_conn *conn = base_calloc(1, sizeof(*conn));

    if (!conn)
        return NULL;
    conn->sim = sim;
    conn->net = sim->usual;
    conn->party = (struct sim_party){ .number = ++sim->party_count, .name = party_name };
    sim_event_init(&conn->hand, handshake);
    sim_event_init(&conn->tell, tell);
    for (uint8_t side = 0; side < 2; side++) {
        end_init(&conn->end[side], side, family);
        conn->end[side].party.number = ++sim->party_count;
        sim_pipe_init(&conn->pipe[side], side);
    }
    conn->end[0].state = SIM_END_NEW;
    list_push(&sim->conns, &conn->link);
    return conn;
}

void sim_conn_free(struct sim_conn *conn)
{
    sim_event_clear(&conn->hand);
    sim_event_clear(&conn->tell);
    for (int side = 0; side < 2; side++)
        sim_pipe_done(&conn->pipe[side]);
    list_remove(&conn->link);
    base_free(conn);
}

void sim_conn_let_go(struct sim_conn *conn)
{
    if (conn->end[0].state == SIM_END_NONE && conn->end[1].state == SIM_END_NONE)
        sim_conn_free(conn);
}

static void step_at(struct sim_conn *conn, enum sim_stage stage, int64_t delay_ns)
{
    conn->stage = stage;
    sim_event_arm(conn->sim, &conn->hand, conn->sim->now_ns + delay_ns);
}

static void next_step(struct sim_conn *conn, enum sim_stage stage)
{
    step_at(conn, stage, sim_conn_delay_ns(conn));
}

static void set_local_addr(struct sim *sim, struct sockaddr_storage *addr)
{
    sim_addr_local(addr);
    sim_choose_port(sim, addr);
}

int sim_end_connect(struct sim_end *end, const struct sockaddr *addr, socklen_t addr_len)
{
    struct sim_conn *conn = sim_conn_of(end);
    struct sim_end *other = &conn->end[1];

    if (end->state == SIM_END_CONNECTING)
        return 0; /* an earlier wait for it was cancelled: this one goes on with it */
    if (end->state != SIM_END_NEW)
        return -EISCONN;
    if (addr_len > sizeof(other->addr) || addr->sa_family != end->addr.ss_family)
        return addr_len > sizeof(other->addr) ? -EINVAL : -EAFNOSUPPORT;
    memset(&other->addr, 0, sizeof(other->addr));
    memcpy(&other->addr, addr, addr_len);
    other->addr_len = addr_len;
    set_local_addr(conn->sim, &end->addr);
    sim_own_addr(loop_current, &other->addr);
    conn->net = sim_link_of(conn->sim, sim_port(&other->addr));
    end->state = SIM_END_CONNECTING;
    conn->attempts = 0;
    next_step(conn, SIM_SYN);
    return 0;
}

/* ---- what it goes over -------------------------------------------------- */

void sim_conn_name(const struct sim_conn *conn, char text[static SIM_PARTY_NAME_BYTES])
{
    char to[SIM_PARTY_NAME_BYTES], from[SIM_PARTY_NAME_BYTES];

    sim_addr_print(&conn->end[0].addr, from, sizeof(from));
    sim_addr_print(&conn->end[1].addr, to, sizeof(to));
    snprintf(text, SIM_PARTY_NAME_BYTES, "%.45s -> %.45s", from, to);
}

static void party_name(const struct sim_party *party, char text[static SIM_PARTY_NAME_BYTES])
{
    sim_conn_name(container_of(party, struct sim_conn, party), text);
}

static void end_name(const struct sim_party *party, char text[static SIM_PARTY_NAME_BYTES])
{
    sim_conn_name(sim_conn_of(container_of(party, struct sim_end, party)), text);
}

static void note_conn(struct sim_conn *conn, const char *what)
{
    char name[SIM_PARTY_NAME_BYTES];

    if (conn->sim->opts.show < 2)
        return;
    sim_conn_name(conn, name);
    sim_note(conn->sim, 2, "%s: %s", name, what);
}

bool sim_conn_cut(const struct sim_conn *conn, uint8_t side)
{
    if (conn->net->cut & 1u << side)
        return true;
    return !list_empty(&conn->sim->parts) &&
           sim_parted(conn->sim, &conn->end[side].addr, &conn->end[!side].addr);
}

int64_t sim_conn_delay_ns(struct sim_conn *conn)
{
    return sim_link_delay_ns(conn->sim, conn->net, &conn->party);
}

/* ---- the steps ---------------------------------------------------------- */

static void connect_ends(struct sim_conn *conn, int error)
{
    conn->end[0].state = error ? SIM_END_NEW : SIM_END_OPEN;
    conn->end[0].error = error;
    sim_mark(&conn->end[0].base);
}

static void syn_again(struct sim_conn *conn)
{
    if (conn->attempts == SYN_ATTEMPTS) {
        connect_ends(conn, ETIMEDOUT);
        return;
    }
    step_at(conn, SIM_SYN, SYN_AGAIN_NS << conn->attempts++);
}

static void syn_arrives(struct sim_conn *conn)
{
    struct sim *sim = conn->sim;
    struct sim_listener *listener = sim_listener_at(sim, &conn->end[1].addr);

    if (!listener || sim_fault(sim, SIM_FAULT_refuse, &conn->party)) {
        next_step(conn, SIM_REFUSED);
    } else if (listener->waiting >= listener->backlog) {
        syn_again(conn);
    } else {
        conn->end[1].state = SIM_END_OPEN;
        next_step(conn, SIM_SYN_ACK);
    }
}

static void ack_arrives(struct sim_conn *conn)
{
    struct sim_end *end = &conn->end[1];
    struct sim_listener *listener = sim_listener_at(conn->sim, &end->addr);

    if (end->state != SIM_END_OPEN)
        return;
    if (listener) {
        sim_listener_queue(conn->sim, listener, end);
        return;
    }
    end->reset_at_close = true;
    sim_end_close(end);
}

static void handshake(struct sim *sim, struct sim_event *event)
{
    struct sim_conn *conn = container_of(event, struct sim_conn, hand);

    uint8_t side = conn->stage == SIM_SYN_ACK || conn->stage == SIM_REFUSED;

    if (sim_conn_cut(conn, side)) {
        if (conn->stage == SIM_SYN)
            syn_again(conn);
        else
            step_at(conn, conn->stage, STEP_AGAIN_NS);
        return;
    }
    (void)sim;
    switch (conn->stage) {
    case SIM_SYN: syn_arrives(conn); break;
    case SIM_REFUSED:
        note_conn(conn, "refused");
        connect_ends(conn, ECONNREFUSED);
        break;
    case SIM_SYN_ACK:
        note_conn(conn, "connected");
        connect_ends(conn, 0);
        next_step(conn, SIM_ACK);
        break;
    case SIM_ACK: ack_arrives(conn); break;
    }
}

void sim_link_resume(struct sim *sim, struct sim_link *link)
{
    list_each(n, &sim->conns) {
        struct sim_conn *conn = container_of(n, struct sim_conn, link);

        if (conn->net == link)
            sim_conn_resume(conn);
    }
}

void sim_conn_resume(struct sim_conn *conn)
{
    sim_pipe_resume(conn, &conn->pipe[0]);
    sim_pipe_resume(conn, &conn->pipe[1]);
}

/* ---- half-open ---------------------------------------------------------- */

void sim_conn_vanish(struct sim_conn *conn)
{
    struct sim *sim = conn->sim;

    conn->gone = true;
    for (int side = 0; side < 2; side++) {
        sim_event_clear(&conn->pipe[side].arrive);
        conn->pipe[side].count = 0;
    }
    /* After a while who forgot it is back, and answers what is sent to it. */
    sim_event_arm(sim, &conn->tell,
                  sim->now_ns + (int64_t)(1 + sim_fault_draw(sim, 60000)) * SIM_MS);
}

static void tell(struct sim *sim, struct sim_event *event)
{
    (void)sim;
    container_of(event, struct sim_conn, tell)->told = true;
}

/* As keep-alive would, in the end. */
void sim_conn_tell(struct sim_conn *conn)
{
    if (!conn->gone)
        return;
    sim_event_clear(&conn->tell);
    conn->told = true;
    sim_end_break(&conn->end[0], ECONNRESET);
    sim_end_break(&conn->end[1], ECONNRESET);
}
