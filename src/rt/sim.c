/* A simulation's life, its clock of events, its chance and its trace; see sim.h.
 *
 * There are several sources of chance: one for the network's delays, one for the
 * order of things, one for each kind of fault (sim_fault.c), and one a loop for its
 * own random numbers. So a run with faults and the same without take the same
 * turns as long as nothing has failed. */
#include <unistd.h>

#include "base/alloc.h"
#include "rt/sim_state.h"

#define SIM_TRACE_MAX (1u << 20)

uint64_t sim_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ull; /* SplitMix64 (Steele and others, 2014) */

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

uint64_t sim_below(struct sim *sim, uint64_t bound)
{
    return bound > 1 ? sim_random(&sim->random) % bound : 0;
}

/* ---- events ------------------------------------------------------------- */

void sim_event_init(struct sim_event *event, void (*run)(struct sim *sim, struct sim_event *event))
{
    list_init(&event->link);
    event->run = run;
}

void sim_event_arm(struct sim *sim, struct sim_event *event, int64_t at_ns)
{
    struct node *place;

    list_remove(&event->link);
    event->at_ns = at_ns;
    /* From the end: most are armed in the order of their times. */
    for (place = &sim->events; place->prev != &sim->events; place = place->prev)
        if (container_of(place->prev, struct sim_event, link)->at_ns <= at_ns)
            break;
    list_insert_before(place, &event->link);
}

void sim_event_clear(struct sim_event *event)
{
    list_remove(&event->link);
}

/* ---- life --------------------------------------------------------------- */

static int check_opts(const struct sim_opts *opts)
{
    struct sim_opts copy;
    char text[SIM_OPTS_TEXT_BYTES];

    sim_opts_init(&copy);
    sim_opts_print(opts, text);
    if (opts->loops == 0 || opts->buffer_bytes == 0 || opts->limit_ms == 0)
        return weir_fail(-EINVAL, "loops, buffer_bytes and limit_ms can't be 0: %s", text);
    return sim_opts_parse(&copy, text);
}

/* The loops last: with fewer of them, everything else is drawn as before. */
static void seed_all(struct sim *sim)
{
    uint64_t seed = sim->opts.seed;

    sim->random = sim_random(&seed);
    sim->random_order = sim_random(&seed);
    sim_faults_seed(sim, &seed);
    for (uint32_t i = 0; i < sim->opts.loops; i++)
        sim->loops[i].random = sim_random(&seed);
}

static void calm_down(struct sim *sim, struct sim_event *event)
{
    (void)event;
    sim_calm(sim);
}

struct sim *sim_new(const struct sim_opts *opts)
{
    struct sim *sim;

    if (check_opts(opts) < 0)
        return NULL;
    sim = base_calloc(1, sizeof(*sim));
    if (!sim)
        return NULL;
    sim->opts = *opts;
    sim->next_port = 32768;
    list_init(&sim->events);
    list_init(&sim->listeners);
    list_init(&sim->conns);
    list_init(&sim->links);
    list_init(&sim->parts);
    list_init(&sim->datagrams);
    list_init(&sim->parcels);
    list_init(&sim->jobs);
    sim->trace_fd = -1;
    sim->calm_at_ns = WEIR_NEVER_NS;
    sim_event_init(&sim->calm_down, calm_down);
    if (opts->calm_ms > 0)
        sim_event_arm(sim, &sim->calm_down, opts->calm_ms * SIM_MS);
    sim_event_init(&sim->begin_jobs, sim_begin_jobs);
    sim->loops = base_calloc(opts->loops, sizeof(*sim->loops));
    sim->usual = sim_link_new(sim, 0);
    if (!sim->loops || !sim->usual) {
        sim_free(sim);
        return NULL;
    }
    for (uint32_t i = 0; i < opts->loops; i++) {
        sim->loops[i].sim = sim;
        list_init(&sim->loops[i].ended);
        list_init(&sim->loops[i].marked);
        list_init(&sim->loops[i].polls);
    }
    seed_all(sim);
    return sim;
}

void sim_free(struct sim *sim)
{
    if (!sim)
        return;
    sim_files_close(sim);
    sim_parcels_free(sim);
    sim_heal(sim);
    sim_links_free(sim);
    sim_names_free(sim);
    base_free(sim->files);
    base_free(sim->loops);
    strbuf_done(&sim->trace);
    base_free(sim);
}

struct sim *sim_self(void)
{
    struct loop *loop = loop_current;

    return loop && loop->ops == &sim_ops ? ((struct sim_loop *)loop->backend)->sim : NULL;
}

int64_t sim_now_ns(const struct sim *sim)
{
    return sim->now_ns;
}

const struct sim_opts *sim_opts_of(const struct sim *sim)
{
    return &sim->opts;
}

uint64_t sim_waits(const struct sim *sim)
{
    return sim->waits;
}

/* ---- trace -------------------------------------------------------------- */

/* Whose turn it is. */
static void add_place(struct sim *sim)
{
    if (loop_current)
        strbuf_addf(&sim->trace, "loop %u: ", loop_current->index);
    else
        strbuf_add_c(&sim->trace, "network: ");
}

void sim_vtrace(struct sim *sim, const char *fmt, va_list args)
{
    size_t from = sim->trace.len;

    if (sim->trace_full)
        return;
    sim->quiet++;
    if (sim->trace.len > SIM_TRACE_MAX) {
        sim->trace_full = true;
        strbuf_add_c(&sim->trace, "the trace ends here: it is over 1 MiB\n");
    } else {
        strbuf_addf(&sim->trace, "[%6lld] ", (long long)(sim->now_ns / SIM_MS));
        if (sim->opts.show > 0)
            add_place(sim);
        strbuf_vaddf(&sim->trace, fmt, args);
        strbuf_add_char(&sim->trace, '\n');
    }
    sim->quiet--;
    if (sim->trace_fd >= 0 && sim->trace.len > from &&
        write(sim->trace_fd, sim->trace.ptr + from, sim->trace.len - from) < 0)
        sim->trace_fd = -1; /* nobody reads it */
}

void sim_note(struct sim *sim, uint32_t show, const char *fmt, ...)
{
    va_list args;

    if (sim->opts.show < show)
        return;
    va_start(args, fmt);
    sim_vtrace(sim, fmt, args);
    va_end(args);
}

void sim_trace_to(struct sim *sim, int fd)
{
    sim->trace_fd = fd;
}

void sim_trace(const char *fmt, ...)
{
    struct sim *sim = sim_self();
    va_list args;

    if (!sim)
        return;
    va_start(args, fmt);
    sim_vtrace(sim, fmt, args);
    va_end(args);
}

void sim_trace_line(weir_str line)
{
    struct sim *sim = sim_self();

    while (line.len > 0 && line.ptr[line.len - 1] == '\n')
        line.len--;
    if (sim)
        sim_note(sim, 1, "log: %.*s", (int)line.len, line.ptr);
}

const char *sim_trace_text(const struct sim *sim)
{
    weir_str text = strbuf_str(&sim->trace);

    return text.ptr ? text.ptr : "";
}
