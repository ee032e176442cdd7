/* Links: what lies before a port. All that a connection sends, in both
 * directions, takes its link's time, and waits while the link is cut. */
#include "base/alloc.h"
#include "rt/sim_state.h"

#define RESEND_NS (200 * SIM_MS)
#define RESENDS_MAX 5

static void link_heals(struct sim *sim, struct sim_event *event)
{
    struct sim_link *link = container_of(event, struct sim_link, heal);

    sim_note(sim, 1, "the link to port %u is whole again", link->port);
    link->cut = 0;
    sim_link_resume(sim, link);
}

struct sim_link *sim_link_new(struct sim *sim, uint16_t port)
{
    struct sim_link *link = base_calloc(1, sizeof(*link));

    if (!link)
        return NULL;
    link->port = port;
    link->latency_ns = sim->opts.latency_ms * SIM_MS;
    link->jitter_ns = sim->opts.jitter_ms * SIM_MS;
    link->bytes_ms = sim->opts.bandwidth;
    sim_event_init(&link->heal, link_heals);
    list_push(&sim->links, &link->link);
    sim->link_count++;
    return link;
}

struct sim_link *sim_link_find(struct sim *sim, uint16_t port)
{
    list_each(n, &sim->links)
        if (container_of(n, struct sim_link, link)->port == port)
            return container_of(n, struct sim_link, link);
    return NULL;
}

struct sim_link *sim_link_of(struct sim *sim, uint16_t port)
{
    struct sim_link *link = sim_link_find(sim, port);

    if (!link && sim->link_count < SIM_LINKS_MAX)
        link = sim_link_new(sim, port);
    return link ? link : sim->usual;
}

void sim_links_free(struct sim *sim)
{
    struct node *n;

    while ((n = list_pop(&sim->links)) != NULL) {
        struct sim_link *link = container_of(n, struct sim_link, link);

        sim_event_clear(&link->heal);
        base_free(link);
    }
}

int64_t sim_link_leave_ns(struct sim *sim, struct sim_link *link, uint8_t side, uint64_t bytes)
{
    int64_t *busy_ns = &link->busy_until_ns[side];

    if (link->bytes_ms == 0)
        return sim->now_ns;
    if (*busy_ns < sim->now_ns)
        *busy_ns = sim->now_ns;
    *busy_ns += (int64_t)bytes * SIM_MS / link->bytes_ms;
    return *busy_ns;
}

int64_t sim_link_way_ns(struct sim *sim, const struct sim_link *link)
{
    int64_t delay_ns = link->latency_ns;

    /* In steps of a microsecond, so that arrivals rarely meet. */
    if (link->jitter_ns)
        delay_ns += (int64_t)sim_below(sim, (uint64_t)link->jitter_ns / 1000 + 1) * 1000;
    return delay_ns;
}

int64_t sim_link_delay_ns(struct sim *sim, const struct sim_link *link, struct sim_party *about)
{
    int64_t delay_ns = sim_link_way_ns(sim, link);

    for (int i = 0; i < RESENDS_MAX && sim_fault(sim, SIM_FAULT_loss, about); i++)
        delay_ns += RESEND_NS << i;
    return delay_ns;
}

void sim_link_latency(struct sim *sim, uint16_t port, uint32_t latency_ms, uint32_t jitter_ms)
{
    struct sim_link *link = sim_link_of(sim, port);

    link->latency_ns = latency_ms * SIM_MS;
    link->jitter_ns = jitter_ms * SIM_MS;
}

void sim_link_cut(struct sim *sim, uint16_t port, bool cut)
{
    struct sim_link *link = sim_link_of(sim, port);

    sim_event_clear(&link->heal);
    link->cut = cut ? SIM_CUT_BOTH : 0;
    if (!cut)
        sim_link_resume(sim, link);
}

void sim_link_bandwidth(struct sim *sim, uint16_t port, uint32_t bytes_ms)
{
    sim_link_of(sim, port)->bytes_ms = bytes_ms;
}

void sim_calm(struct sim *sim)
{
    if (!sim->calm)
        sim_note(sim, 1, "nothing fails any more, and the network is whole");
    sim->calm = true;
    if (sim->calm_at_ns == WEIR_NEVER_NS)
        sim->calm_at_ns = sim->now_ns;
    sim_event_clear(&sim->calm_down);
    sim_parts_calm(sim);
    list_each_safe(n, &sim->conns)
        sim_conn_tell(container_of(n, struct sim_conn, link));
    list_each(n, &sim->links) {
        struct sim_link *link = container_of(n, struct sim_link, link);

        if (!sim_event_armed(&link->heal))
            continue;
        sim_event_clear(&link->heal);
        link->cut = 0;
        sim_link_resume(sim, link);
    }
}
