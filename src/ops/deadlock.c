/* Tasks that wait for each other for ever, named; see waits.h for how they are found.
 *
 * The graph is made of what each loop has answered, one after the other. So it is no picture
 * of one moment, and those of a knot are looked at once more when it is whole: each must
 * still be in the wait that it was seen in. A task that is parked keeps what it holds, so
 * there was a moment, between the two looks, when all of the knot stood as it is told. */
#include "ops/deadlock.h"

#include <stdio.h>
#include <string.h>

#include <weir/error.h>
#include <weir/log.h>

#include "guard/pool_look.h"
#include "ops/tasks.h"
#include "rt/loop.h"
#include "rt/wakers.h"

#define KNOT_TASKS 24      /* that are named; and by them it is known again */
#define LINE_TASKS 5       /* of these, in one line of the log */
#define TEXT_BYTES 1000    /* what a field of the log holds */
#define RELATIONS 3        /* that are told of one task */
#define LEASES_MAX 4096
#define KNOWN 64

/* What has been said already: hashes of the tasks of a knot, and since when they wait. Only the checks' thread's. */
static struct {
    uint64_t known[KNOWN];
    uint32_t count;
} said;

/* ---- on the loop ---------------------------------------------------------------------- */

bool deadlock_see(struct waits *waits, const struct loop *loop, const struct task *task,
                  int64_t since_ns)
{
    const struct wait *wait = task->state == TASK_PARKED ? task->fiber->wait : NULL;
    struct waits_node node = { .task = task_handle(task),
                               .loop = loop->index,
                               .since_ns = wait ? wait->since_ns : 0,
                               .kind = wait ? wait->kind : WAIT_UNIT,
                               .proxy = task->state == TASK_AWAY };
    struct wakers wakers;

    if (!wakers_of(task, since_ns, &wakers))
        return true;
    if (!waits_add(waits, &node))
        return false;
    for (uint32_t i = 0; i < wakers.on_count; i++)
        if (!waits_add_on(waits, wakers.on[i].object, wakers.on[i].enough))
            return false;
    for (uint32_t i = 0; i < wakers.way_count; i++)
        if (!waits_add_way(waits, waits->count - 1, wakers.ways[i]))
            return false;
    return true;
}

/* The nodes of a loop are in the order of their slots, as tasks are seen. */
static void add_lease(void *arg, weir_task task, const void *permits)
{
    struct waits *waits = arg;
    uint32_t low = 0, high = waits->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (waits->nodes[middle].task.slot < task.slot)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < waits->count && waits->nodes[low].task.slot == task.slot &&
        waits->nodes[low].task.generation == task.generation)
        (void)waits_add_way(waits, low, permits);
}

void deadlock_see_loop(struct waits *waits, struct loop *loop)
{
    pools_leases(loop, LEASES_MAX, add_lease, waits);
}

/* ---- one task of a knot, as text --------------------------------------------------------- */

struct knot {
    const struct waits *waits;
    uint32_t nodes[KNOT_TASKS], proxies[KNOT_TASKS];
    uint32_t count, cycle, kept; /* without proxies; kept: of them in nodes */
    uint32_t proxy_count;
    char texts[KNOT_TASKS][TEXT_BYTES];
};

/* What the task has that the one with this kind of wait waits for. */
static const char *way_text(enum wait_kind kind)
{
    switch (kind) {
    case WAIT_JOIN: return "is joined by";
    case WAIT_LIMIT: return "has a place in the scope of";
    case WAIT_SEND:
    case WAIT_SEND_SHARED: return "is to receive from the channel of";
    case WAIT_RECV:
    case WAIT_RECV_SHARED: return "is to send to the channel of";
    case WAIT_BLOCK: return "holds up the blocking call of";
    case WAIT_SELECT: return "could end the select of";
    default: return "holds what is waited for by";
    }
}

/* "holds what is waited for by task_2, taken at bank.c:12 transfer; " */
static size_t describe_way(const struct knot *knot, uint32_t other, const void *object,
                           const struct task_view *view, char *text, size_t size)
{
    enum wait_kind kind = (enum wait_kind)knot->waits->nodes[knot->nodes[other]].kind;
    char place[256] = "";
    int len;

    for (uint8_t i = 0; i < view->held_count && !*place; i++)
        if (view->held[i].lock == object)
            tasks_name_place(view->held[i].taken_at, place, sizeof(place));
    len = snprintf(text, size, "%s task_%u%s%s; ", way_text(kind), other + 1,
                   *place ? ", taken at " : "", place);
    return len > 0 && (size_t)len < size ? (size_t)len : 0;
}

/* What the one waits for that the other has, perhaps by a proxy of its on another loop. */
static const void *between(const struct knot *knot, uint32_t waiting, uint32_t other)
{
    uint32_t from = knot->nodes[waiting], to = knot->nodes[other];
    const void *object = waits_between(knot->waits, from, to);

    for (uint32_t i = 0; i < knot->proxy_count && !object; i++)
        if (waits_between(knot->waits, knot->proxies[i], to))
            object = waits_between(knot->waits, from, knot->proxies[i]);
    return object;
}

static void describe(struct knot *knot, uint32_t index, const struct task_view *view)
{
    char *text = knot->texts[index];
    uint32_t told = 0;
    size_t len = 0;

    for (uint32_t i = 0; i < knot->kept && told < RELATIONS; i++) {
        const void *object = between(knot, i, index);

        if (!object)
            continue;
        len += describe_way(knot, i, object, view, text + len, TEXT_BYTES / 2 - len);
        told++;
    }
    tasks_print(view, text + len, TEXT_BYTES - len);
}

/* ---- the report ---------------------------------------------------------------------------- */

static uint64_t hash_of(const struct knot *knot)
{
    uint64_t hash = knot->count;

    for (uint32_t i = 0; i < knot->kept; i++) {
        const struct waits_node *node = &knot->waits->nodes[knot->nodes[i]];

        hash += (((uint64_t)node->task.generation << 32 | node->task.slot) +
                 (uint64_t)node->since_ns) *
                UINT64_C(0x9e3779b97f4a7c15) * (node->loop + 1);
    }
    return hash;
}

static bool is_known(uint64_t hash)
{
    for (uint32_t i = 0; i < KNOWN && i < said.count; i++)
        if (said.known[i] == hash)
            return true;
    return false;
}

/* Look at the task once more; false: it has gone on (a cancel has come, for one), or its
 * loop is slow: another time. */
static bool look_again(struct knot *knot, uint32_t index)
{
    const struct waits_node *node = &knot->waits->nodes[knot->nodes[index]];
    struct task_view *view;
    bool same;

    if (tasks_view(node->loop, node->task, &view) < 0)
        return false;
    same = node->since_ns
               ? view->task.state == INSPECT_PARKED && view->task.since_ns == node->since_ns
               : view->task.state == INSPECT_QUEUED;
    if (same)
        describe(knot, index, view);
    base_free(view);
    return same;
}

static void set_message(const struct knot *knot, uint32_t first, char *text, size_t size)
{
    if (first > 0)
        snprintf(text, size, "deadlock of %u tasks: those from number %u on", knot->count,
                 first + 1);
    else if (knot->count == 1)
        snprintf(text, size, "deadlock: a task waits for what only itself can give");
    else if (knot->count == knot->cycle)
        snprintf(text, size, "deadlock: %u tasks wait for each other, each for the next",
                 knot->count);
    else
        snprintf(text, size,
                 "deadlock: %u tasks wait for each other, and nobody else can wake "
                 "them",
                 knot->count);
}

/* A line of the log has room for a few. */
static void tell(const struct knot *knot, uint32_t first)
{
    uint32_t end = first + LINE_TASKS < knot->kept ? first + LINE_TASKS : knot->kept;
    uint32_t behind = waits_behind(knot->waits);
    weir_log_field fields[LINE_TASKS + 1];
    char message[128], names[LINE_TASKS][16];
    size_t count = 0;

    for (uint32_t i = first; i < end; i++) {
        snprintf(names[i - first], sizeof(names[0]), "task_%u", i + 1);
        fields[count++] = weir_field_str(names[i - first], weir_str_c(knot->texts[i]));
    }
    if (first == 0 && behind > 0)
        fields[count++] = weir_field_i64("waiting_behind", behind);
    set_message(knot, first, message, sizeof(message));
    weir_log_fields(WEIR_LOG_ERROR, weir_str_c(message), fields, count);
}

static void tell_all(struct knot *knot)
{
    uint64_t hash = hash_of(knot);

    if (is_known(hash))
        return;
    for (uint32_t i = 0; i < knot->kept; i++)
        if (!look_again(knot, i))
            return;
    said.known[said.count++ % KNOWN] = hash;
    for (uint32_t i = 0; i < knot->kept; i += LINE_TASKS)
        tell(knot, i);
}

/* A task that runs on another loop is there itself. */
static void leave_out_proxies(struct knot *knot)
{
    uint32_t kept = 0, cycle = knot->cycle;

    knot->proxy_count = 0;
    for (uint32_t i = 0; i < knot->kept; i++) {
        if (!knot->waits->nodes[knot->nodes[i]].proxy) {
            knot->nodes[kept++] = knot->nodes[i];
            continue;
        }
        knot->proxies[knot->proxy_count++] = knot->nodes[i];
        knot->count--;
        knot->cycle -= i < cycle;
    }
    knot->kept = kept;
}

void deadlock_tell(struct waits *waits)
{
    struct knot *knot = waits->count ? base_calloc(1, sizeof(*knot)) : NULL;
    uint32_t cursor = 0;

    if (!knot)
        return;
    knot->waits = waits;
    if (waits_solve(waits)) {
        while ((knot->count = waits_knot(waits, &cursor, knot->nodes, KNOT_TASKS, &knot->cycle)) >
               0) {
            knot->kept = knot->count < KNOT_TASKS ? knot->count : KNOT_TASKS;
            leave_out_proxies(knot);
            tell_all(knot);
        }
    }
    base_free(knot);
}
