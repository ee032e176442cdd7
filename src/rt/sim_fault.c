/* What fails in a simulation, and when.
 *
 * Each kind of fault has a source of chance of its own, and in it each connection,
 * each of its ends, and each socket for datagrams has one, asked once at each occasion: so when one kind is turned off, or a single
 * fault is left out, the others still come up where they did, as long as the program
 * does the same there. That is what lets a failing run be made smaller.
 *
 * Faults that come up are numbered, and the option "only" picks some of them. One
 * that is left out has its number all the same. */
#include <stdio.h>

#include "rt/sim_state.h"

_Thread_local int (*rt_fault_hook)(enum rt_fault_kind kind, size_t *len);

static bool is_picked(const struct sim_opts *opts, uint32_t number)
{
    for (uint32_t i = 0; i < opts->range_count; i++)
        if (number >= opts->ranges[i].first && number <= opts->ranges[i].last)
            return true;
    return opts->range_count == 0;
}

/* The number that decides, at the nth occasion of a party, or of all else. */
static uint64_t occasion(struct sim *sim, enum sim_fault kind, struct sim_party *about)
{
    uint64_t state = sim->chance_of_parties[kind];

    if (!about)
        return sim_random(&sim->chance[kind]);
    state ^= (about->number << 32 | ++about->occasions[kind]) * 0xd1342543de82ef95ull;
    return sim_random(&state);
}

bool sim_fault(struct sim *sim, enum sim_fault kind, struct sim_party *about)
{
    uint64_t drawn;
    uint32_t rate = sim->opts.fault[kind];
    char name[SIM_PARTY_NAME_BYTES] = "";

    if (rate == 0 || sim->calm || sim->quiet > 0)
        return false;
    drawn = occasion(sim, kind, about);
    if (drawn % 1000 >= rate)
        return false;
    sim->faults++;
    if (sim->faults_copy)
        *sim->faults_copy = sim->faults;
    if (!is_picked(&sim->opts, sim->faults))
        return false;
    sim->drawn = drawn;
    if (sim->opts.show > 0) {
        if (about)
            about->name(about, name);
        sim_note(sim, 1, "fault %u, %s: %s%s%s", sim->faults, sim_fault_name(kind),
                 sim_fault_text(kind), *name ? ": " : "", name);
    }
    return true;
}

uint64_t sim_fault_draw(struct sim *sim, uint64_t bound)
{
    return bound > 1 ? sim_random(&sim->drawn) % bound : 0;
}

uint32_t sim_faults(const struct sim *sim)
{
    return sim->faults;
}

void sim_faults_seed(struct sim *sim, uint64_t *seed)
{
    for (int i = 0; i < SIM_FAULT_KINDS; i++)
        sim->chance[i] = sim->chance_of_parties[i] = sim_random(seed);
}

/* ---- the network ---------------------------------------------------------- */

static void cut_for_a_while(struct sim *sim, struct sim_link *link, uint8_t sides)
{
    int64_t ms = 1 + (int64_t)sim_fault_draw(sim, 1000);

    if (sim_event_armed(&link->heal))
        return;
    link->cut |= sides;
    sim_event_arm(sim, &link->heal, sim->now_ns + ms * SIM_MS);
}

void sim_fault_cuts(struct sim *sim, struct sim_link *link, struct sim_party *about)
{
    if (sim_fault(sim, SIM_FAULT_partition, about))
        cut_for_a_while(sim, link, SIM_CUT_BOTH);
    if (sim_fault(sim, SIM_FAULT_one_way, about))
        cut_for_a_while(sim, link, (uint8_t)(1u << sim_fault_draw(sim, 2)));
    if (sim_fault(sim, SIM_FAULT_split, about))
        sim_part_by_chance(sim);
}

/* ---- files -------------------------------------------------------------- */

static int file_fault(enum rt_fault_kind kind, size_t *len)
{
    struct sim *sim = sim_self();

    if (!sim)
        return 0;
    if (sim_fault(sim, SIM_FAULT_interrupt, NULL))
        return EINTR;
    if (kind != RT_FAULT_OPEN && sim_fault(sim, SIM_FAULT_disk_error, NULL))
        return EIO;
    if ((kind == RT_FAULT_WRITE || kind == RT_FAULT_OPEN) &&
        sim_fault(sim, SIM_FAULT_disk_full, NULL))
        return ENOSPC;
    if (kind == RT_FAULT_OPEN && sim_fault(sim, SIM_FAULT_no_files, NULL))
        return EMFILE;
    if (len && *len > 1 && sim_fault(sim, SIM_FAULT_disk_short, NULL))
        *len = 1 + sim_fault_draw(sim, *len - 1);
    return 0;
}

/* ---- memory ------------------------------------------------------------- */

static struct sim *sim_of_hook(struct alloc_hook *hook)
{
    return container_of(hook, struct sim, memory);
}

static bool memory_allow(struct alloc_hook *hook, size_t bytes)
{
    struct sim *sim = sim_of_hook(hook);

    if (sim->memory_before && !sim->memory_before->allow(sim->memory_before, bytes))
        return false;
    /* Not on other threads: theirs is no part of the run. */
    return sim_self() != sim || !sim_fault(sim, SIM_FAULT_no_memory, NULL);
}

static void memory_taken(struct alloc_hook *hook)
{
    struct sim *sim = sim_of_hook(hook);

    if (sim->memory_before)
        sim->memory_before->taken(sim->memory_before);
}

static void memory_freed(struct alloc_hook *hook)
{
    struct sim *sim = sim_of_hook(hook);

    if (sim->memory_before)
        sim->memory_before->freed(sim->memory_before);
}

void sim_faults_begin(struct sim *sim)
{
    rt_fault_hook = file_fault;
    if (sim->opts.no_memory == 0)
        return;
    sim->memory = (struct alloc_hook){ memory_allow, memory_taken, memory_freed };
    sim->memory_before = atomic_load(&alloc_hook_now);
    alloc_hook_set(&sim->memory);
}

void sim_faults_end(struct sim *sim)
{
    rt_fault_hook = NULL;
    if (sim->opts.no_memory > 0)
        alloc_hook_set(sim->memory_before);
}

/* ---- time --------------------------------------------------------------- */

int64_t sim_fault_clock(struct sim *sim, int64_t next_ns)
{
    int64_t hour_ns = INT64_C(3600) * 1000 * SIM_MS;

    if (sim_fault(sim, SIM_FAULT_wall_jump, NULL))
        sim->wall_jump_ns += (int64_t)sim_fault_draw(sim, 2 * (uint64_t)hour_ns) - hour_ns;
    if (sim_fault(sim, SIM_FAULT_suspend, NULL))
        next_ns += (int64_t)(1 + sim_fault_draw(sim, 30000)) * SIM_MS;
    return next_ns;
}

/* ---- waits -------------------------------------------------------------- */

static bool may_cancel(const struct scope *scope)
{
    return !(scope->flags & SCOPE_APP) && scope->parent;
}

/* Any of the scopes around a task, but for the application's. */
static struct scope *any_scope(struct sim *sim, struct scope *innermost)
{
    uint64_t count = 0, chosen;

    for (struct scope *s = innermost; s && may_cancel(s); s = s->parent)
        count++;
    chosen = sim_fault_draw(sim, count);
    for (struct scope *s = innermost; s && may_cancel(s); s = s->parent)
        if (chosen-- == 0)
            return s;
    return NULL;
}

static void cancel_here(struct sim *sim, struct scope *scope)
{
    if (!scope)
        return;
    sim_note(sim, 1, "the scope \"%s\" is cancelled", scope->name ? scope->name : scope->site);
    scope_cancel(scope, -ECANCELED, WEIR_REASON_ASKED, "the simulator");
}

void sim_fault_wait(struct sim *sim, struct wait *wait)
{
    struct scope *scope = wait->fiber->scope;
    /* Of its own accord a scope that is cancelled from outside is so through its
     * parent: what chance cancels directly is what the program has opened. */
    bool own = may_cancel(scope) && !(scope->flags & SCOPE_SHIELD) && scope->opener;

    sim->waits++;
    if (sim_fault(sim, SIM_FAULT_cancel, NULL) && own)
        cancel_here(sim, scope);
    if (sim_fault(sim, SIM_FAULT_cancel_any, NULL))
        cancel_here(sim, any_scope(sim, scope));
}
