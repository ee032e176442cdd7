/* A failing run made smaller, so that a reader sees what matters.
 *
 * In this order, each step kept when the run still fails in the same way: without
 * any fault; without one kind after another; on a plainer network; without more
 * kinds; with one fault alone; else with only the first of them (halving), and then
 * without each stretch of those, from half of all down to single ones (Zeller and
 * Hildebrandt's delta debugging, 2002). A run that is no longer what it was may well
 * fail in another way: that does not count. */
#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "rt/sim_seeds.h"

#define FAULTS_MAX 4096 /* more are cut off by halving alone */
#define SINGLES_MAX 100 /* faults that are tried alone, from the first on */
#define REAL_NS INT64_C(30000000000)

struct shrink {
    const struct sim_program *program;
    struct sim_verdict wanted;
    struct sim_shrunk *best;
    uint32_t tries_max;
    int64_t until_ns;
    bool *left_out; /* by number, from 1 */
    uint32_t count;
};

/* Apart from numbers: addresses and times may differ. */
static bool same_words(const char *a, const char *b)
{
    while (*a || *b) {
        while (isxdigit((unsigned char)*a))
            a++;
        while (isxdigit((unsigned char)*b))
            b++;
        if (*a != *b)
            return false;
        a += *a != '\0';
        b += *b != '\0';
    }
    return true;
}

static bool same(const struct sim_verdict *a, const struct sim_verdict *b)
{
    /* What was last said before a crash tells one from another, once it is known. */
    return a->failed && a->rc == b->rc && a->signal == b->signal &&
           (a->signal == 0 || *b->why == '\0' || same_words(a->why, b->why));
}

static bool is_over(const struct shrink *s)
{
    return s->best->tries >= s->tries_max || clock_monotonic_ns() >= s->until_ns;
}

/* Does it still fail? Then it is the best so far. */
static bool fails(struct shrink *s, const struct sim_opts *opts)
{
    struct sim_verdict verdict;

    if (is_over(s))
        return false;
    s->best->tries++;
    if (!sim_program_try(s->program, opts, &verdict) || !same(&verdict, &s->wanted))
        return false;
    s->wanted = verdict;
    s->best->opts = *opts;
    s->best->faults = verdict.faults;
    return true;
}

/* ---- kinds of faults, and the network ----------------------------------- */

static bool without_faults(struct shrink *s)
{
    struct sim_opts opts = s->best->opts;

    memset(opts.fault, 0, sizeof(opts.fault));
    return fails(s, &opts);
}

static void without_kinds(struct shrink *s)
{
    for (int kind = 0; kind < SIM_FAULT_KINDS; kind++) {
        struct sim_opts opts = s->best->opts;

        if (opts.fault[kind] == 0)
            continue;
        opts.fault[kind] = 0;
        fails(s, &opts);
    }
}

static void set_plain(struct shrink *s, size_t offset, uint32_t value)
{
    struct sim_opts opts = s->best->opts;
    uint32_t *option = (uint32_t *)((char *)&opts + offset);

    if (*option == value)
        return;
    *option = value;
    fails(s, &opts);
}

static void with_plain_network(struct shrink *s)
{
    set_plain(s, offsetof(struct sim_opts, loops), 1);
    set_plain(s, offsetof(struct sim_opts, permute), 0);
    set_plain(s, offsetof(struct sim_opts, jitter_ms), 0);
    set_plain(s, offsetof(struct sim_opts, latency_ms), 0);
    set_plain(s, offsetof(struct sim_opts, bandwidth), 0);
    set_plain(s, offsetof(struct sim_opts, block_ms), 0);
    set_plain(s, offsetof(struct sim_opts, buffer_bytes), 65536);
}

/* ---- single faults ------------------------------------------------------ */

static bool fails_with_first(struct shrink *s, uint32_t count)
{
    struct sim_opts opts = s->best->opts;

    opts.range_count = 1;
    opts.ranges[0] = (struct sim_range){ count > 0, count };
    return fails(s, &opts);
}

/* Some beyond those that came up, too: a run that meets fewer goes on for longer. */
static bool one_alone(struct shrink *s)
{
    uint32_t count = s->best->faults < SINGLES_MAX / 2 ? 2 * s->best->faults + 8 : SINGLES_MAX;

    for (uint32_t i = 1; i <= count; i++) {
        struct sim_opts opts = s->best->opts;

        opts.range_count = 1;
        opts.ranges[0] = (struct sim_range){ i, i };
        if (fails(s, &opts))
            return true;
    }
    return false;
}

/* The shortest beginning of all faults that is enough. */
static void first_only(struct shrink *s)
{
    uint32_t enough = s->best->faults, low = 0;

    while (low < enough && !is_over(s)) {
        uint32_t middle = low + (enough - low) / 2;

        if (fails_with_first(s, middle))
            enough = middle;
        else
            low = middle + 1;
    }
    fails_with_first(s, enough); /* also when it is all: so that the line says it */
    s->count = enough;
}

/* What is not left out, as ranges; false when it takes too many. */
static bool picked(const struct shrink *s, struct sim_opts *opts)
{
    opts->range_count = 0;
    for (uint32_t i = 1; i <= s->count; i++) {
        uint32_t first = i;

        if (s->left_out[i])
            continue;
        while (i < s->count && !s->left_out[i + 1])
            i++;
        if (opts->range_count == SIM_RANGES_MAX)
            return false;
        opts->ranges[opts->range_count++] = (struct sim_range){ first, i };
    }
    if (opts->range_count == 0)
        opts->ranges[opts->range_count++] = (struct sim_range){ 0, 0 };
    return true;
}

static bool leave_out(struct shrink *s, uint32_t from, uint32_t size)
{
    struct sim_opts opts = s->best->opts;
    bool before[FAULTS_MAX + 1];

    memcpy(before, s->left_out, sizeof(before));
    for (uint32_t i = from; i < from + size && i <= s->count; i++)
        s->left_out[i] = true;
    if (memcmp(before, s->left_out, sizeof(before)) == 0)
        return false;
    if (picked(s, &opts) && fails(s, &opts))
        return true;
    memcpy(s->left_out, before, sizeof(before));
    return false;
}

static void fewer(struct shrink *s)
{
    for (uint32_t size = s->count / 2 ? s->count / 2 : 1; size > 0 && !is_over(s);) {
        bool any = false;

        /* From the end: a late one that is left out changes nothing before it. */
        for (uint32_t at = s->count; at > 0; at = at > size ? at - size : 0)
            any = leave_out(s, at > size ? at - size + 1 : 1, size) || any;
        if (!any || size > 1)
            size /= 2;
    }
}

static uint32_t count_left(const struct shrink *s)
{
    uint32_t left = 0;

    for (uint32_t i = 1; i <= s->count; i++)
        left += !s->left_out[i];
    return left;
}

static void pick_faults(struct shrink *s)
{
    if (s->best->faults > 1 && one_alone(s)) {
        s->best->faults = 1;
        return;
    }
    first_only(s);
    s->best->faults = s->count;
    if (s->count == 0 || s->count > FAULTS_MAX)
        return;
    s->left_out = base_calloc(FAULTS_MAX + 1, sizeof(*s->left_out));
    if (!s->left_out)
        return;
    fewer(s);
    s->best->faults = count_left(s);
    base_free(s->left_out);
}

void sim_shrink(const struct sim_program *program, const struct sim_opts *opts,
                const struct sim_verdict *wanted, uint32_t tries_max, struct sim_shrunk *ret)
{
    struct shrink s = { .program = program,
                        .wanted = *wanted,
                        .best = ret,
                        .tries_max = tries_max,
                        .until_ns = clock_monotonic_ns() + REAL_NS };

    *ret = (struct sim_shrunk){ .opts = *opts };
    ret->alone = fails(&s, opts);
    if (!ret->alone)
        return;
    if (!without_faults(&s))
        without_kinds(&s);
    with_plain_network(&s);
    without_kinds(&s); /* some may have mattered for the network's delays alone */
    pick_faults(&s);
}
