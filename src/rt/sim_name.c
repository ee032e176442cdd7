/* The simulated name service: what weir_sim_name() has set, after its delay.
 *
 * A question is answered by what is set when its answer sets out, so that a name can
 * change, fail and come back under a program's feet. A name that was never set does
 * not exist. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <weir/sim.h>

#include "base/alloc.h"
#include "rt/name.h"
#include "rt/sim_state.h"

#define NAME_TEXT_BYTES 512

struct sim_name {
    struct sim_name *next;
    weir_sim_name_way way;
    int64_t ttl_ms, latency_ns;
    char addresses[NAME_TEXT_BYTES];
    char name[NAME_LEN_MAX + 1];
};

/* A question under way. */
struct sim_lookup {
    struct sim_lookup *next;
    struct sim_event event;
    struct message message;
    struct name_query *query;
    struct sim *sim;
};

static struct sim_name *name_find(struct sim *sim, const char *text)
{
    for (struct sim_name *name = sim->names; name; name = name->next)
        if (strcasecmp(name->name, text) == 0)
            return name;
    return NULL;
}

static int check_addresses(const char *text)
{
    uint8_t bytes[16];

    while (*text) {
        size_t len = strcspn(text, " ");
        char one[INET6_ADDRSTRLEN];

        if (len >= sizeof(one))
            return -EINVAL;
        memcpy(one, text, len);
        one[len] = '\0';
        if (len > 0 && inet_pton(AF_INET, one, bytes) != 1 && inet_pton(AF_INET6, one, bytes) != 1)
            return -EINVAL;
        text += len + (text[len] == ' ');
    }
    return 0;
}

int weir_sim_name_opt(weir_sim *self, const char *text, const weir_sim_name_opts *opts)
{
    struct sim *sim = sim_of_handle(self);
    const char *addresses = opts->addresses ? opts->addresses : "";
    struct sim_name *name = name_find(sim, text);

    if (strlen(text) > NAME_LEN_MAX || strlen(addresses) >= NAME_TEXT_BYTES ||
        check_addresses(addresses) < 0)
        return weir_fail(-EINVAL, "\"%.80s\" or its addresses \"%.80s\" can't be simulated", text,
                         addresses);
    if (!name) {
        name = base_calloc(1, sizeof(*name));
        if (!name)
            return -ENOMEM;
        snprintf(name->name, sizeof(name->name), "%s", text);
        name->next = sim->names;
        sim->names = name;
    }
    name->way = opts->way;
    name->ttl_ms = opts->ttl_ms ? opts->ttl_ms : 60000;
    name->latency_ns = opts->latency_ms * SIM_MS;
    snprintf(name->addresses, sizeof(name->addresses), "%s", addresses);
    return 0;
}

/* ---- answers ------------------------------------------------------------------- */

static void put_addresses(const struct sim_name *name, struct name_query *query)
{
    const char *text = name->addresses;

    query->count = 0;
    while (*text && query->count < NAME_ADDRS_MAX) {
        size_t len = strcspn(text, " ");
        char one[INET6_ADDRSTRLEN];

        memcpy(one, text, len);
        one[len] = '\0';
        query->count += inet_pton(query->family, one, query->addrs[query->count]) == 1;
        text += len + (text[len] == ' ');
    }
    query->result = query->count ? NAME_OK : NAME_NONE;
    query->why = "no data";
    query->ttl_ms = name->ttl_ms;
}

static void put_answer(struct sim *sim, struct name_query *query)
{
    const struct sim_name *name = name_find(sim, query->name);

    switch (name ? name->way : WEIR_SIM_NXDOMAIN) {
    case WEIR_SIM_NXDOMAIN:
        query->result = NAME_UNKNOWN;
        query->why = "NXDOMAIN";
        break;
    case WEIR_SIM_SERVFAIL:
        query->result = NAME_FAILED;
        query->why = "SERVFAIL";
        break;
    case WEIR_SIM_SILENT:
        query->result = NAME_SILENT;
        query->why = "time-out";
        break;
    default: put_addresses(name, query); break;
    }
}

static void lookup_unlink(struct sim_lookup *lookup)
{
    struct sim_lookup **at = &lookup->sim->lookups;

    while (*at != lookup)
        at = &(*at)->next;
    *at = lookup->next;
    sim_event_clear(&lookup->event);
}

/* On the loop that asked. */
static void lookup_arrives(struct message *message)
{
    struct sim_lookup *lookup = container_of(message, struct sim_lookup, message);
    struct name_query *query = lookup->query;

    lookup_unlink(lookup);
    base_free(lookup);
    query->done(query);
}

static void lookup_answered(struct sim *sim, struct sim_event *event)
{
    struct sim_lookup *lookup = container_of(event, struct sim_lookup, event);

    put_answer(sim, lookup->query);
    loop_post(lookup->query->loop, &lookup->message);
}

/* How long the answer takes; a silent server's is its time-out. */
static int64_t delay_of(struct sim *sim, const char *text)
{
    const struct sim_name *name = name_find(sim, text);
    int64_t usual_ns = 2 * sim->opts.latency_ms * SIM_MS;

    if (!name)
        return usual_ns;
    if (name->latency_ns == 0 && name->way == WEIR_SIM_SILENT)
        return 6000 * SIM_MS;
    return name->latency_ns ? name->latency_ns : usual_ns;
}

void sim_resolve(struct loop *loop, struct name_query *query)
{
    struct sim *sim = ((struct sim_loop *)loop->backend)->sim;
    struct sim_lookup *lookup = base_calloc(1, sizeof(*lookup));

    if (!lookup) {
        query->result = NAME_NO_MEMORY;
        query->why = "no memory";
        query->done(query);
        return;
    }
    lookup->sim = sim;
    lookup->query = query;
    lookup->message.run = lookup_arrives;
    sim_event_init(&lookup->event, lookup_answered);
    lookup->next = sim->lookups;
    sim->lookups = lookup;
    sim_event_arm(sim, &lookup->event, sim->now_ns + delay_of(sim, query->name));
}

void sim_resolve_end(struct loop *loop)
{
    struct sim *sim = ((struct sim_loop *)loop->backend)->sim;
    struct sim_lookup *next;

    for (struct sim_lookup *lookup = sim->lookups; lookup; lookup = next) {
        next = lookup->next;
        if (lookup->query->loop != loop)
            continue;
        lookup_unlink(lookup);
        base_free(lookup);
    }
}

void sim_names_free(struct sim *sim)
{
    while (sim->names) {
        struct sim_name *name = sim->names;

        sim->names = name->next;
        base_free(name);
    }
}
