/* The simulator's public form: see weir/sim.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/sim.h>

#include "base/alloc.h"
#include "rt/sim_state.h"

struct weir_sim {
    struct sim *sim;
    void *upper;
    void (*upper_done)(void *value);
    int64_t elapsed_ns; /* what an expectation looks at; -1: the clock */
    char options[SIM_OPTS_TEXT_BYTES];
};

static void override(uint32_t *option, uint32_t value)
{
    if (value > 0)
        *option = value;
}

static int read_opts(const weir_sim_opts *from, struct sim_opts *opts)
{
    const char *given = getenv("WEIR_SIM");

    sim_opts_init(opts);
    if (given)
        return sim_opts_given(opts, given);
    if (from->faults)
        sim_opts_draw(opts, from->seed);
    opts->seed = from->seed;
    override(&opts->loops, from->loops);
    override(&opts->latency_ms, from->latency_ms);
    override(&opts->jitter_ms, from->jitter_ms);
    override(&opts->block_ms, from->block_ms);
    override(&opts->limit_ms, from->limit_ms);
    return from->options ? sim_opts_parse(opts, from->options) : 0;
}

weir_sim *sim_handle_new(const struct sim_opts *opts)
{
    weir_sim *self = base_calloc(1, sizeof(*self));

    if (!self)
        return NULL;
    self->sim = sim_new(opts);
    if (!self->sim) {
        base_free(self);
        return NULL;
    }
    self->sim->handle = self;
    self->elapsed_ns = -1;
    sim_opts_print(opts, self->options);
    return self;
}

void *sim_upper(const weir_sim *self)
{
    return self->upper;
}

void sim_elapsed_set(weir_sim *self, int64_t elapsed_ns)
{
    self->elapsed_ns = elapsed_ns;
}

void sim_upper_set(weir_sim *self, void *value, void (*done)(void *value))
{
    self->upper = value;
    self->upper_done = done;
}

struct sim *sim_of_handle(weir_sim *self)
{
    return self->sim;
}

weir_sim *weir_sim_new_opt(const weir_sim_opts *from)
{
    struct sim_opts opts;

    return read_opts(from, &opts) < 0 ? NULL : sim_handle_new(&opts);
}

weir_sim *weir_sim_self(void)
{
    struct sim *sim = sim_self();

    return sim ? sim->handle : NULL;
}

void weir_sim_free(weir_sim *self)
{
    if (!self)
        return;
    if (self->upper_done)
        self->upper_done(self->upper);
    sim_free(self->sim);
    base_free(self);
}

int weir_sim_run(weir_sim *self, weir_fn *fn, void *arg)
{
    self->elapsed_ns = -1;
    return sim_run(self->sim, fn, arg, NULL);
}

void weir_sim_trace(const char *fmt, ...)
{
    struct sim *sim = sim_self();
    va_list args;

    if (!sim)
        return;
    va_start(args, fmt);
    sim_vtrace(sim, fmt, args);
    va_end(args);
}

const char *weir_sim_text(const weir_sim *self)
{
    return sim_trace_text(self->sim);
}

int64_t weir_sim_now_ms(const weir_sim *self)
{
    return sim_now_ns(self->sim) / SIM_MS;
}

const char *weir_sim_options(const weir_sim *self)
{
    return self->options;
}

void weir_sim_link(weir_sim *self, uint16_t port, uint32_t latency_ms, uint32_t jitter_ms)
{
    sim_link_latency(self->sim, port, latency_ms, jitter_ms);
}

void weir_sim_cut(weir_sim *self, uint16_t port, bool cut)
{
    sim_link_cut(self->sim, port, cut);
}

void weir_sim_bandwidth(weir_sim *self, uint16_t port, uint32_t bytes_per_ms)
{
    sim_link_bandwidth(self->sim, port, bytes_per_ms);
}

int weir_sim_host(weir_sim *self, uint32_t loop, const char *addr)
{
    return sim_host(self->sim, loop, addr);
}

int weir_sim_part_opt(weir_sim *self, const char *from, const char *to,
                      const weir_sim_part_opts *opts)
{
    return sim_part(self->sim, from, to, opts->one_way, opts->heal_ms);
}

void weir_sim_heal(weir_sim *self)
{
    sim_heal(self->sim);
}

void weir_sim_calm(weir_sim *self)
{
    sim_calm(self->sim);
}

/* ---- expectations ------------------------------------------------------- */

__attribute__((noreturn)) static void give_up(const weir_sim *self)
{
    fprintf(stderr, "to repeat: WEIR_SIM='%s' %s\n", self->options, program_invocation_name);
    abort();
}

void weir_sim_expect_trace(const weir_sim *self, const char *wanted, const char *site)
{
    const char *got = weir_sim_text(self);

    if (strcmp(got, wanted) == 0)
        return;
    fprintf(stderr, "%s: the trace is\n%sand not\n%s", site, got, wanted);
    give_up(self);
}

void weir_sim_expect_elapsed(const weir_sim *self, int64_t wanted_ms, const char *site)
{
    int64_t got_ms = self->elapsed_ns < 0 ? weir_sim_now_ms(self) : self->elapsed_ns / SIM_MS;

    if (got_ms == wanted_ms)
        return;
    fprintf(stderr, "%s: %" PRId64 " ms have passed, and not %" PRId64 "\n", site, got_ms,
            wanted_ms);
    give_up(self);
}
