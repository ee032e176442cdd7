/* The simulator's options as data: one table behind defaults, ranges, printing
 * and parsing, so that a line that was printed always holds all of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "rt/sim_state.h"

struct option {
    const char *name;
    size_t offset;
    uint32_t otherwise, largest;
};

static const struct option options[] = {
#define OPTION_ROW(name, otherwise, largest, what) \
    { #name, offsetof(struct sim_opts, name), otherwise, largest },
    SIM_OPTIONS(OPTION_ROW)
#undef OPTION_ROW
};

#define OPTION_COUNT (sizeof(options) / sizeof(*options))

static uint32_t *option_of(struct sim_opts *opts, const struct option *option)
{
    return (uint32_t *)((char *)opts + option->offset);
}

void sim_opts_init(struct sim_opts *opts)
{
    opts->seed = 1;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        *option_of(opts, &options[i]) = options[i].otherwise;
}

/* 0 in half of all draws, else up to the bound, small values more often. */
static uint32_t draw_rate(uint64_t *random, uint32_t bound)
{
    uint64_t x = sim_random(random);
    uint32_t first = 1 + (uint32_t)((x >> 8) % bound), second = 1 + (uint32_t)((x >> 32) % bound);

    if (x & 1)
        return 0;
    return first < second ? first : second;
}

void sim_opts_draw(struct sim_opts *opts, uint64_t seed)
{
    uint64_t random = seed;

    sim_opts_init(opts);
    opts->seed = seed;
    opts->loops = 1 + (uint32_t)(sim_random(&random) % 4);
    opts->latency_ms = draw_rate(&random, 50);
    opts->jitter_ms = draw_rate(&random, 20);
    opts->buffer_bytes = 1u << (10 + sim_random(&random) % 7);
    opts->block_ms = draw_rate(&random, 20);
    opts->loss = draw_rate(&random, 100);
    opts->reset = draw_rate(&random, 20);
    opts->partition = draw_rate(&random, 10);
    opts->refuse = draw_rate(&random, 100);
    opts->short_read = draw_rate(&random, 500);
    opts->short_write = draw_rate(&random, 500);
    opts->late = draw_rate(&random, 500);
    opts->race = draw_rate(&random, 500);
    opts->no_files = draw_rate(&random, 50);
    opts->busy = draw_rate(&random, 50);
}

void sim_opts_print(const struct sim_opts *opts, char text[static SIM_OPTS_TEXT_BYTES])
{
    size_t at = (size_t)snprintf(text, SIM_OPTS_TEXT_BYTES, "seed=%" PRIu64, opts->seed);

    for (size_t i = 0; i < OPTION_COUNT && at < SIM_OPTS_TEXT_BYTES; i++)
        at += (size_t)snprintf(text + at, SIM_OPTS_TEXT_BYTES - at, " %s=%u", options[i].name,
                               *option_of((struct sim_opts *)opts, &options[i]));
}

static int option_set(struct sim_opts *opts, weir_str name, uint64_t value)
{
    if (weir_str_eq(name, WEIR_S("seed"))) {
        opts->seed = value;
        return 0;
    }
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!weir_str_eq(name, weir_str_c(options[i].name)))
            continue;
        if (value > options[i].largest)
            return weir_fail(-EINVAL, "%s is %" PRIu64 ", and at most %u", options[i].name, value,
                             options[i].largest);
        *option_of(opts, &options[i]) = (uint32_t)value;
        return 0;
    }
    return weir_fail(-EINVAL, "the simulator has no option \"%.*s\"", (int)name.len, name.ptr);
}

int sim_opts_parse(struct sim_opts *opts, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "= ");
        char *end;
        uint64_t value;
        int rc;

        if (*text == ' ') {
            text++;
            continue;
        }
        if (len == 0 || text[len] != '=' || text[len + 1] < '0' || text[len + 1] > '9')
            return weir_fail(-EINVAL, "\"%.40s\" is not of the form name=number", text);
        errno = 0;
        value = strtoull(text + len + 1, &end, 10);
        if (errno || (*end && *end != ' '))
            return weir_fail(-EINVAL, "\"%.40s\" is not of the form name=number", text);
        rc = option_set(opts, weir_str_from(text, len), value);
        if (rc < 0)
            return rc;
        text = end;
    }
    return 0;
}
