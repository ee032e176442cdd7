/* Tasks that wait for each other for ever, named; see waits.h for how they are found.
 *
 * Each loop is asked for its tasks that have waited for a second, for a lock or in a join.
 * The loops answer one after the other, and no answer is needed of all at once: a task
 * that holds a lock while it is parked holds it as long as it is parked, so a circle of
 * waits that are each older than the whole look was there in the middle of it.
 *
 * A look at very many tasks takes time from their loops: the next one then comes later,
 * so that looking never takes more than a hundredth of it. */
#include "ops/deadlock.h"

#include <stdio.h>
#include <string.h>

#include <weir/error.h>
#include <weir/log.h>

#include "base/clock.h"
#include "ops/ask.h"
#include "ops/closeup.h"
#include "ops/waits.h"
#include "rt/loop.h"

#define WAITED_NS 1000000000
#define STEP_TASKS 512
#define ANSWER_MS 1000
#define SHARE 100       /* of the time, that looking may take one part of */
#define CYCLE_TASKS 16  /* of a cycle, by which it is known again */
#define NAMED_TASKS 4   /* and of these, in the log */
#define TEXT_BYTES 1000 /* what a field of the log holds */
#define KNOWN 64

/* What has been said already: hashes of the tasks of a cycle. */
static struct {
    uint64_t known[KNOWN];
    uint32_t count;
    int64_t not_before_ns;
} said;

/* ---- the snapshot --------------------------------------------------------------------- */

struct snapshot {
    uint32_t cursor;
    bool cut;          /* not all fitted */
    struct waits waits;
};

static void snapshot_free(void *state)
{
    struct snapshot *snapshot = state;

    waits_done(&snapshot->waits);
    base_free(snapshot);
}

static bool is_lock(const char *what)
{
    return strncmp(what, "lock", 4) == 0;
}

/* Is it a wait that others stand in the way of, by name? */
static bool node_of(const struct loop *loop, const struct task *task, struct waits_node *node)
{
    const struct scope *scope = task->scope;
    const struct fiber *fiber;
    const struct wait *wait;

    if (task->state != TASK_PARKED)
        return false;
    fiber = task->fiber;
    wait = fiber->wait;
    if (!wait || !wait->what || loop->now_ns - wait->since_ns < WAITED_NS)
        return false;
    node->joins = strcmp(wait->what, "children") == 0;
    if (!node->joins && !is_lock(wait->what))
        return false;
    node->task = task_handle(task);
    node->loop = loop->index;
    node->on = wait->object;
    node->in[0] = scope;
    /* A scope that ends by itself is waited for by its parent's join. */
    node->in[1] = scope->flags & SCOPE_SPAWNED ? scope->parent : NULL;
    node->held_count = fiber->held_named;
    for (uint32_t i = 0; i < fiber->held_named; i++)
        node->held[i] = fiber->held[i].lock;
    return true;
}

static bool snapshot_step(struct loop *loop, void *state)
{
    struct snapshot *snapshot = state;

    for (uint32_t i = 0; i < STEP_TASKS; i++) {
        const struct task *task = inspect_next(loop, &snapshot->cursor);
        struct waits_node node;

        if (!task || snapshot->cut)
            return true;
        if (node_of(loop, task, &node) && !waits_add(&snapshot->waits, &node))
            snapshot->cut = true;
    }
    return false;
}

/* The waits of all loops that answer. */
static bool collect(struct waits *all)
{
    uint32_t loops = loop_count();
    bool any = false;

    for (uint32_t i = 0; i < loops; i++) {
        struct snapshot *snapshot = base_calloc(1, sizeof(*snapshot));

        if (!snapshot || ask_loop(i, snapshot_step, snapshot, snapshot_free, ANSWER_MS) < 0)
            continue;
        for (uint32_t k = 0; k < snapshot->waits.count; k++)
            any = waits_add(all, &snapshot->waits.nodes[k]) || any;
        snapshot_free(snapshot);
    }
    return any;
}

/* ---- one task of a cycle, as text -------------------------------------------------------- */

/* Where a lock that it holds was taken, as in "bank.c:12 transfer". */
static void name_place(const void *taken_at, char *text, size_t size)
{
    struct stack_frame frame;

    stack_name((uint64_t)(uintptr_t)taken_at, true, &frame, 1);
    if (frame.file[0])
        snprintf(text, size, "%s:%d %s", frame.file, frame.line, frame.function);
    else
        snprintf(text, size, "%s in %s", frame.function[0] ? frame.function : "?", frame.module);
}

/* wanted: what the task before it in the circle waits on. */
static void describe(const struct closeup *closeup, const void *wanted, char *text)
{
    size_t len = 0;

    for (uint8_t i = 0; i < closeup->held_count; i++) {
        char place[256];

        if (closeup->held[i].lock != wanted)
            continue;
        name_place(closeup->held[i].taken_at, place, sizeof(place));
        len = (size_t)snprintf(text, TEXT_BYTES,
                               "holds what the task before it waits for, taken at %s: ", place);
    }
    closeup_print(closeup, text + len, TEXT_BYTES - len);
}

/* ---- the report ---------------------------------------------------------------------------- */

static bool is_known(const struct waits *waits, const uint32_t *nodes, uint32_t count)
{
    uint64_t hash = count;

    for (uint32_t i = 0; i < count; i++) {
        const struct waits_node *node = &waits->nodes[nodes[i]];

        hash += ((uint64_t)node->task.generation << 32 | node->task.slot) *
                UINT64_C(0x9e3779b97f4a7c15) * (node->loop + 1);
    }
    for (uint32_t i = 0; i < KNOWN && i < said.count; i++)
        if (said.known[i] == hash)
            return true;
    said.known[said.count++ % KNOWN] = hash;
    return false;
}

static void report(const struct waits *waits, const uint32_t *nodes, uint32_t length)
{
    static const char *const names[NAMED_TASKS] = { "task_1", "task_2", "task_3", "task_4" };
    uint32_t named = length < NAMED_TASKS ? length : NAMED_TASKS, behind = waits_behind(waits);
    uint32_t known = length < CYCLE_TASKS ? length : CYCLE_TASKS;
    char texts[NAMED_TASKS][TEXT_BYTES], message[128];
    weir_log_field fields[NAMED_TASKS + 1];
    size_t count = 0;

    for (uint32_t i = 0; i < named; i++) {
        const struct waits_node *node = &waits->nodes[nodes[i]];
        const void *wanted = waits->nodes[nodes[(i + known - 1) % known]].on;
        struct closeup *closeup = closeup_of(node->loop, node->task);

        if (!closeup) { /* it goes on: a cancel has come; or its loop is slow: another time */
            said.count--;
            return;
        }
        describe(closeup, wanted, texts[i]);
        base_free(closeup);
        fields[count++] = weir_field_str(names[i], weir_str_c(texts[i]));
    }
    if (behind > 0)
        fields[count++] = weir_field_i64("waiting_behind", behind);
    snprintf(message, sizeof(message), "deadlock: %u tasks wait for each other, each for the next",
             length);
    weir_log_fields(WEIR_LOG_ERROR, weir_str_c(message), fields, count);
}

static void look(void)
{
    uint32_t cursor = 0, nodes[CYCLE_TASKS], length;
    struct waits waits;

    waits_init(&waits);
    if (collect(&waits) && waits_solve(&waits)) {
        while ((length = waits_cycle(&waits, &cursor, nodes, CYCLE_TASKS)) > 0)
            if (!is_known(&waits, nodes, length < CYCLE_TASKS ? length : CYCLE_TASKS))
                report(&waits, nodes, length);
    }
    waits_done(&waits);
}

void deadlock_check(void)
{
    int64_t began_ns = clock_monotonic_ns(), took_ns;

    if (began_ns < said.not_before_ns)
        return;
    look();
    took_ns = clock_monotonic_ns() - began_ns;
    said.not_before_ns = began_ns + took_ns * SHARE;
}
