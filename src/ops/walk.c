/* One walk for all checks of tasks; see walk.h.
 *
 * Each loop is asked for its tasks that have waited for a second. The loops answer one
 * after the other, and no answer is needed of all at once: what deadlock.c makes of them
 * it looks at once more.
 *
 * What a walk costs is the loop's cache misses: a task, its fiber, and its wait are each
 * somewhere else. So they are fetched for a few tasks at a time, ahead of their use. A
 * step ends when it has taken a while, whatever it met. A walk over very many tasks takes
 * time from their loops: the next one then comes later, so that walks never take more
 * than a two-hundredth of any loop's. */
#include "ops/walk.h"

#include <string.h>

#include "base/clock.h"
#include "ops/ask.h"
#include "ops/deadlock.h"
#include "ops/leaks.h"
#include "rt/loop.h"

#define WAITED_NS 1000000000
#define STEP_LOOKED 1000 /* tasks that were looked at for another's sake */
#define STEP_NS 200000
#define BATCH 16
#define ANSWER_MS 1000
#define NOT_KNOWN_NS 5000000 /* what is reckoned for a loop that has not answered in time */
#define SHARE 200 /* of the time, that walks may take one part of */

/* A loop's answer. */
struct part {
    uint32_t cursor;
    int64_t spent_ns; /* on its steps */
    bool cut;         /* not all who wait fitted */
    struct waits waits;
    struct leaks leaks;
};

/* Only the checks' thread's. */
static struct {
    int64_t not_before_ns;
} walks;

static void part_free(void *state)
{
    struct part *part = state;

    waits_done(&part->waits);
    base_free(part);
}

/* ---- on the loop ------------------------------------------------------------------------- */

/* The next few tasks, with what they wait in on its way into the cache. Returns how many. */
static uint32_t fetch(const struct loop *loop, uint32_t *cursor, uint32_t until,
                      const struct task **ret_tasks)
{
    uint32_t count = 0;

    while (count < BATCH && (ret_tasks[count] = inspect_next_until(loop, cursor, until)) != NULL) {
        const struct task *task = ret_tasks[count++];

        if (task->state == TASK_PARKED)
            __builtin_prefetch(&task->fiber->wait);
    }
    for (uint32_t i = 0; i < count; i++)
        if (ret_tasks[i]->state == TASK_PARKED)
            __builtin_prefetch(&ret_tasks[i]->fiber->wait->since_ns);
    return count;
}

static void see(struct part *part, const struct loop *loop, const struct task *task,
                int64_t since_ns)
{
    const struct wait *wait = task->state == TASK_PARKED ? task->fiber->wait : NULL;

    if (wait ? wait->kind == WAIT_OTHER || wait->since_ns > since_ns
             : task->state != TASK_AWAY && !(task->flags & TASK_IN_QUEUE))
        return;
    if (!part->cut)
        part->cut = !deadlock_see(&part->waits, loop, task, since_ns);
    if (wait)
        leaks_see(&part->leaks, task, since_ns);
}

/* Up to the end of the step's time; true: of all. */
static bool see_some(struct part *part, struct loop *loop, int64_t until_ns)
{
    const struct task *tasks[BATCH];
    int64_t since_ns = loop->now_ns - WAITED_NS;
    uint32_t count = BATCH, until = part->cursor + INSPECT_SLOTS;

    part->leaks.known = (struct alone_known){ 0 }; /* the scope may be another by now */
    while (count == BATCH && clock_monotonic_ns() < until_ns) {
        uint32_t back = part->cursor;

        count = fetch(loop, &part->cursor, until, tasks);
        for (uint32_t i = 0; i < count; i++) {
            see(part, loop, tasks[i], since_ns);
            if (part->leaks.known.looked > STEP_LOOKED) {
                part->cursor = back;
                for (uint32_t k = 0; k <= i; k++)
                    inspect_next(loop, &part->cursor);
                return false;
            }
        }
    }
    if (!inspect_at_end(loop, part->cursor))
        return false;
    deadlock_see_loop(&part->waits, loop);
    return true;
}

static bool part_step(struct loop *loop, void *state)
{
    struct part *part = state;
    int64_t began_ns = clock_monotonic_ns();
    bool all = see_some(part, loop, began_ns + STEP_NS);

    part->spent_ns += clock_monotonic_ns() - began_ns;
    return all;
}

/* ---- all loops ----------------------------------------------------------------------------- */

/* Returns what it took the loop. */
static int64_t walk_loop(uint32_t loop, struct waits *all)
{
    struct part *part = base_calloc(1, sizeof(*part));
    int64_t spent_ns;

    if (!part)
        return 0;
    if (ask_loop(loop, part_step, part, part_free, ANSWER_MS) < 0)
        return NOT_KNOWN_NS;
    spent_ns = part->spent_ns;
    leaks_tell(loop, &part->leaks);
    (void)waits_add_all(all, &part->waits);
    part_free(part);
    return spent_ns;
}

void walk_check(void)
{
    int64_t began_ns = clock_monotonic_ns(), longest_ns = 0;
    struct waits all;

    if (began_ns < walks.not_before_ns)
        return;
    waits_init(&all);
    for (uint32_t i = 0; i < loop_count(); i++) {
        int64_t spent_ns = walk_loop(i, &all);

        longest_ns = spent_ns > longest_ns ? spent_ns : longest_ns;
    }
    deadlock_tell(&all);
    waits_done(&all);
    walks.not_before_ns = began_ns + longest_ns * SHARE;
}
