/* Hosts of the simulated network, and partitions between them.
 *
 * A loop may stand for a host with an address of its own. A partition keeps what
 * is sent from one set of hosts from the other: it waits, as behind a cut link,
 * until the partition ends. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/alloc.h"
#include "rt/sim_state.h"

static uint32_t host_of(const struct sockaddr_storage *addr)
{
    return addr->ss_family == AF_INET ? ((const struct sockaddr_in *)addr)->sin_addr.s_addr : 0;
}

int sim_host(struct sim *sim, uint32_t loop, const char *addr)
{
    struct in_addr host;

    if (loop >= sim->opts.loops)
        return weir_fail(-EINVAL, "the simulation has %u loops, and no loop %u", sim->opts.loops,
                         loop);
    if (inet_pton(AF_INET, addr, &host) != 1 || host.s_addr == INADDR_ANY)
        return weir_fail(-EINVAL, "\"%s\" is no IPv4 address of a host", addr);
    sim->loops[loop].host = host.s_addr;
    return 0;
}

void sim_own_addr(const struct loop *loop, struct sockaddr_storage *addr)
{
    uint32_t host = loop && loop->backend ? ((struct sim_loop *)loop->backend)->host : 0;
    struct sockaddr_in *in = (struct sockaddr_in *)addr;

    if (addr->ss_family != AF_INET || host == 0)
        return;
    if (in->sin_addr.s_addr == INADDR_ANY || in->sin_addr.s_addr == htonl(INADDR_LOOPBACK))
        in->sin_addr.s_addr = host;
}

/* ---- sets --------------------------------------------------------------- */

static bool set_has(const struct sim_hosts *set, uint32_t host)
{
    if (host == 0)
        return false;
    for (uint32_t i = 0; i < set->count; i++)
        if (set->addr[i] == host)
            return true;
    return set->all;
}

static int set_parse(struct sim_hosts *set, const char *text)
{
    *set = (struct sim_hosts){ .all = strcmp(text, "*") == 0 };
    while (!set->all && *text) {
        size_t len = strcspn(text, ",");
        char one[INET_ADDRSTRLEN];

        if (len >= sizeof(one) || set->count == SIM_HOSTS_MAX)
            return -EINVAL;
        memcpy(one, text, len);
        one[len] = '\0';
        if (inet_pton(AF_INET, one, &set->addr[set->count++]) != 1)
            return -EINVAL;
        text += len + (text[len] == ',');
    }
    return set->all || set->count > 0 ? 0 : -EINVAL;
}

/* ---- partitions --------------------------------------------------------- */

static bool parts(const struct sim_part *part, uint32_t from, uint32_t to)
{
    if (set_has(&part->from, from) && set_has(&part->to, to) && from != to)
        return true;
    return !part->one_way && set_has(&part->to, from) && set_has(&part->from, to) && from != to;
}

bool sim_parted(const struct sim *sim, const struct sockaddr_storage *from,
                const struct sockaddr_storage *to)
{
    list_each(n, &sim->parts)
        if (parts(container_of(n, struct sim_part, link), host_of(from), host_of(to)))
            return true;
    return false;
}

static void part_end(struct sim *sim, struct sim_part *part)
{
    list_remove(&part->link);
    sim_event_clear(&part->heal);
    list_each(n, &sim->conns) {
        struct sim_conn *conn = container_of(n, struct sim_conn, link);
        uint32_t one = host_of(&conn->end[0].addr), other = host_of(&conn->end[1].addr);

        if (parts(part, one, other) || parts(part, other, one))
            sim_conn_resume(conn);
    }
    base_free(part);
}

static void part_heals(struct sim *sim, struct sim_event *event)
{
    sim_note(sim, 1, "hosts that were parted hear of each other again");
    part_end(sim, container_of(event, struct sim_part, heal));
}

static struct sim_part *part_new(struct sim *sim, bool one_way, uint32_t heal_ms)
{
    struct sim_part *part;

    sim->quiet++;
    part = base_calloc(1, sizeof(*part));
    sim->quiet--;
    if (!part)
        return NULL;
    part->one_way = one_way;
    sim_event_init(&part->heal, part_heals);
    list_push(&sim->parts, &part->link);
    if (heal_ms > 0)
        sim_event_arm(sim, &part->heal, sim->now_ns + heal_ms * SIM_MS);
    return part;
}

int sim_part(struct sim *sim, const char *from, const char *to, bool one_way, uint32_t heal_ms)
{
    struct sim_hosts sets[2];
    struct sim_part *part;

    if (set_parse(&sets[0], from) < 0 || set_parse(&sets[1], to) < 0)
        return weir_fail(-EINVAL,
                         "a set of hosts is \"*\" or at most %d addresses with commas "
                         "between, not \"%s\" and \"%s\"",
                         SIM_HOSTS_MAX, from, to);
    part = part_new(sim, one_way, heal_ms);
    if (!part)
        return -ENOMEM;
    part->from = sets[0];
    part->to = sets[1];
    return 0;
}

void sim_heal(struct sim *sim)
{
    list_each_safe(n, &sim->parts)
        part_end(sim, container_of(n, struct sim_part, link));
}

void sim_parts_calm(struct sim *sim)
{
    list_each_safe(n, &sim->parts) {
        struct sim_part *part = container_of(n, struct sim_part, link);

        if (part->by_chance)
            part_end(sim, part);
    }
}

/* Each host falls to one side or the other; both are there. */
void sim_part_by_chance(struct sim *sim)
{
    struct sim_part *part;

    if (sim->opts.loops < 2)
        return;
    part = part_new(sim, sim_fault_draw(sim, 3) == 0, 1 + (uint32_t)sim_fault_draw(sim, 10000));
    if (!part)
        return;
    part->by_chance = true;
    for (uint32_t i = 0; i < sim->opts.loops; i++) {
        struct sim_hosts *set = sim_fault_draw(sim, 2) ? &part->from : &part->to;

        if (sim->loops[i].host)
            set->addr[set->count++] = sim->loops[i].host;
    }
}
