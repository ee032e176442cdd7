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
    uint32_t otherwise, largest, drawn;
    const char *what;
};

static const struct option options[] = {
#define SETTING_ROW(name, otherwise, largest, what) \
    { #name, offsetof(struct sim_opts, name), otherwise, largest, 0, what },
    SIM_SETTINGS(SETTING_ROW)
#undef SETTING_ROW
#define FAULT_ROW(name, largest, drawn, what) \
    { #name, offsetof(struct sim_opts, fault[SIM_FAULT_##name]), 0, largest, drawn, what },
        SIM_FAULTS(FAULT_ROW)
#undef FAULT_ROW
};

#define OPTION_COUNT (sizeof(options) / sizeof(*options))
#define FAULT_FIRST (OPTION_COUNT - SIM_FAULT_KINDS)

static uint32_t *option_of(struct sim_opts *opts, const struct option *option)
{
    return (uint32_t *)((char *)opts + option->offset);
}

const char *sim_fault_name(enum sim_fault kind)
{
    return options[FAULT_FIRST + kind].name;
}

const char *sim_fault_text(enum sim_fault kind)
{
    return options[FAULT_FIRST + kind].what;
}

void sim_opts_init(struct sim_opts *opts)
{
    memset(opts, 0, sizeof(*opts));
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
    opts->bandwidth = draw_rate(&random, 2) * (1 + draw_rate(&random, 10000));
    opts->buffer_bytes = 1u << (10 + sim_random(&random) % 7);
    opts->block_ms = draw_rate(&random, 20);
    for (size_t i = FAULT_FIRST; i < OPTION_COUNT; i++)
        if (options[i].drawn > 0)
            *option_of(opts, &options[i]) = draw_rate(&random, options[i].drawn);
}

/* ---- printing ----------------------------------------------------------- */

static size_t print_ranges(const struct sim_opts *opts, char *text, size_t room)
{
    size_t at = 0;

    for (uint32_t i = 0; i < opts->range_count && at < room; i++) {
        const struct sim_range *r = &opts->ranges[i];

        at += (size_t)snprintf(text + at, room - at, "%s%u", i ? "+" : ",only=", r->first);
        if (r->last != r->first && at < room)
            at += (size_t)snprintf(text + at, room - at, "-%u", r->last);
    }
    return at;
}

void sim_opts_print(const struct sim_opts *opts, char text[static SIM_OPTS_TEXT_BYTES])
{
    size_t at = (size_t)snprintf(text, SIM_OPTS_TEXT_BYTES, "seed=%" PRIu64, opts->seed);

    for (size_t i = 0; i < OPTION_COUNT && at < SIM_OPTS_TEXT_BYTES; i++) {
        uint32_t value = *option_of((struct sim_opts *)opts, &options[i]);

        if (value > 0 || i < FAULT_FIRST)
            at += (size_t)snprintf(text + at, SIM_OPTS_TEXT_BYTES - at, ",%s=%u", options[i].name,
                                   value);
    }
    if (at < SIM_OPTS_TEXT_BYTES)
        print_ranges(opts, text + at, SIM_OPTS_TEXT_BYTES - at);
}

/* ---- parsing ------------------------------------------------------------ */

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

/* A number at *text, which moves behind it. */
static bool read_number(const char **text, uint64_t *ret_value)
{
    char *end;

    if (**text < '0' || **text > '9')
        return false;
    errno = 0;
    *ret_value = strtoull(*text, &end, 10);
    *text = end;
    return errno == 0;
}

/* "3+8-12", in rising order. */
static bool read_ranges(struct sim_opts *opts, const char **text)
{
    opts->range_count = 0;
    do {
        struct sim_range *range = &opts->ranges[opts->range_count];
        uint64_t first, last;

        *text += opts->range_count > 0;
        if (opts->range_count == SIM_RANGES_MAX || !read_number(text, &first))
            return false;
        last = first;
        if (**text == '-') {
            ++*text;
            if (!read_number(text, &last))
                return false;
        }
        if (last < first || last > UINT32_MAX)
            return false;
        *range = (struct sim_range){ (uint32_t)first, (uint32_t)last };
        opts->range_count++;
    } while (**text == '+');
    return true;
}

static bool at_end(char c)
{
    return c == '\0' || c == ' ' || c == ',';
}

int sim_opts_parse(struct sim_opts *opts, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "= ,");
        const char *from = text;
        weir_str name = weir_str_from(text, len);
        uint64_t value = 0;
        bool ranges = weir_str_eq(name, WEIR_S("only")), good = len > 0 && text[len] == '=';
        int rc;

        if (*text == ' ' || *text == ',') {
            text++;
            continue;
        }
        text += len + good;
        if (good)
            good = ranges ? read_ranges(opts, &text) : read_number(&text, &value);
        if (!good || !at_end(*text))
            return weir_fail(-EINVAL, "\"%.40s\" is not of the form name=number", from);
        rc = ranges ? 0 : option_set(opts, name, value);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int sim_opts_given(struct sim_opts *opts, const char *given)
{
    int rc = weir_wrap(sim_opts_parse(opts, given), "reading WEIR_SIM from the environment");
    char text[300];

    if (rc < 0) {
        weir_error_print(text, sizeof text);
        fprintf(stderr, "weir: %s\n", text);
    }
    return rc;
}
