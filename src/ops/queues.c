/* Queues: their figures as metrics, and those that stay full, told once a place.
 *
 * A queue that is full for a moment does its work: it holds back who fills it. One that has
 * been found full at every look for a second has a consumer that does not keep up, and all
 * behind it waits or loses items. It is told with who was last held up by it, and with who
 * last took from it and what that task does now. */
#include "ops/queues.h"

#include <stdio.h>
#include <string.h>

#include <weir/error.h>
#include <weir/log.h>
#include <weir/metrics.h>

#include "obs/metrics.h"
#include "ops/ask.h"
#include "ops/control.h"
#include "ops/parts.h"
#include "ops/quiet.h"
#include "ops/tasks.h"
#include "rt/loop.h"
#include "rt/queue.h"

#define LOOK_QUEUES 4096 /* of a loop, in one step */
#define FULL_MS 1000
#define FULL_LOOKS (FULL_MS / CHECKS_MS)
#define ANSWER_MS 1000
#define FOUND_MAX 8
#define TEXT_BYTES 1000

/* A queue that stays full. */
struct full {
    struct queue_place *place;
    struct queue_state state;
    const char *filler_site, *drainer_site;
    weir_task drainer;
    uint32_t drainer_loop;
};

struct look {
    uint32_t depths[QUEUE_PLACES]; /* by the place's number */
    uint64_t items; /* in all of them */
    struct full found[FOUND_MAX];
    uint32_t found_count;
};

/* What need not be asked again. */
static struct {
    struct quiet mark;
    bool empty; /* nothing was in its queues */
} quiet[RT_LOOPS_MAX];

static void see(struct queue *queue, const struct queue_state *state, void *arg)
{
    struct look *look = arg;
    uint64_t drainer = atomic_load(&queue->drainer.handle);

    look->items += state->depth;
    look->depths[queue->place->number] += state->depth;
    if (queue->full_looks < FULL_LOOKS || atomic_load(&queue->place->told) ||
        look->found_count == FOUND_MAX)
        return;
    atomic_store(&queue->place->told, true);
    look->found[look->found_count++] = (struct full){
        .place = queue->place,
        .state = *state,
        .filler_site = atomic_load(&queue->filler.site),
        .drainer_site = atomic_load(&queue->drainer.site),
        .drainer = { (uint32_t)drainer, (uint32_t)(drainer >> 32) },
        .drainer_loop = atomic_load(&queue->drainer.loop),
    };
}

static bool look_step(struct loop *loop, void *state)
{
    queue_look(loop, LOOK_QUEUES, see, state);
    return true;
}

static void report(const struct full *full)
{
    const struct queue_place *place = full->place;
    weir_log_field fields[8];
    struct task_view *drainer = NULL;
    char doing[TEXT_BYTES];
    size_t count = 0;

    fields[count++] = weir_field_c("queue", place->name ? place->name : place->kind);
    fields[count++] = weir_field_c("opened_at", atomic_load(&place->site));
    fields[count++] = weir_field_u64("capacity", full->state.capacity);
    fields[count++] = weir_field_c("filled_by",
                                   full->filler_site ? full->filler_site : "nobody yet");
    fields[count++] = weir_field_u64("refused", atomic_load(&place->refused));
    fields[count++] = weir_field_c("drained_by",
                                   full->drainer_site ? full->drainer_site : "nobody yet");
    if (full->drainer.slot && tasks_view(full->drainer_loop, full->drainer, &drainer) == 0) {
        tasks_print(drainer, doing, sizeof(doing));
        fields[count++] = weir_field_c("drainer", doing);
    } else if (full->drainer.slot) {
        fields[count++] = weir_field_c("drainer", "it has ended");
    }
    weir_log_fields(WEIR_LOG_WARN, WEIR_S("a queue has been full for a second"), fields, count);
    base_free(drainer);
}

/* ---- metrics --------------------------------------------------------------------------- */

static struct {
    weir_gauge *depth, *high, *open;
    weir_counter *waits, *waited, *refused;
    uint32_t shown; /* places that have their series */
} metrics;

static double read_depth(void *arg)
{
    return atomic_load(&((struct queue_place *)arg)->depth);
}

static double read_high(void *arg)
{
    return atomic_load(&((struct queue_place *)arg)->high);
}

static double read_open(void *arg)
{
    return atomic_load(&((struct queue_place *)arg)->open);
}

static double read_waits(void *arg)
{
    return (double)atomic_load(&((struct queue_place *)arg)->waits);
}

static double read_waited(void *arg)
{
    return (double)atomic_load(&((struct queue_place *)arg)->waited_ns) / 1e9;
}

static double read_refused(void *arg)
{
    return (double)atomic_load(&((struct queue_place *)arg)->refused);
}

static void add_metrics(void)
{
    metrics.depth = weir_gauge_new("weir_queue_depth",
                                   "Items in the queues opened at a place, as "
                                   "seen four times a second.",
                                   .labels = { "queue", "place" });
    metrics.high = weir_gauge_new("weir_queue_high", "The most items that one of them has held.",
                                  .labels = { "queue", "place" });
    metrics.open = weir_gauge_new("weir_queue_open", "How many of them are open.",
                                  .labels = { "queue", "place" });
    metrics.waits = weir_counter_new("weir_queue_waits_total", "Sends that had to wait for room.",
                                     .labels = { "queue", "place" });
    metrics.waited = weir_counter_new("weir_queue_waited_seconds_total", "How long they waited.",
                                      .labels = { "queue", "place" });
    metrics.refused = weir_counter_new("weir_queue_refused_total",
                                       "Items that were not taken, as the queue was full.",
                                       .labels = { "queue", "place" });
}

static void show_place(struct queue_place *place)
{
    weir_str name = weir_str_c(place->name ? place->name : place->kind);
    weir_str site = weir_str_c(atomic_load(&place->site));

    metrics_read_gauge(weir_gauge_with(metrics.depth, name, site), read_depth, place);
    metrics_read_gauge(weir_gauge_with(metrics.high, name, site), read_high, place);
    metrics_read_gauge(weir_gauge_with(metrics.open, name, site), read_open, place);
    metrics_read_counter(weir_counter_with(metrics.waits, name, site), read_waits, place);
    metrics_read_counter(weir_counter_with(metrics.waited, name, site), read_waited, place);
    metrics_read_counter(weir_counter_with(metrics.refused, name, site), read_refused, place);
}

static void show_new_places(void)
{
    if (!metrics.depth)
        add_metrics();
    for (uint32_t count = queue_place_count(); metrics.shown < count; metrics.shown++)
        show_place(queue_place_at(metrics.shown));
}

/* ---- the check ---------------------------------------------------------------------------- */

static void merge(struct look *all, const struct look *look)
{
    for (uint32_t i = 0; i < QUEUE_PLACES; i++)
        all->depths[i] += look->depths[i];
    for (uint32_t i = 0; i < look->found_count; i++)
        report(&look->found[i]);
}

void queues_check(void)
{
    struct look *all = base_calloc(1, sizeof(*all));

    if (!all)
        return;
    queue_look(NULL, LOOK_QUEUES, see, all);
    for (uint32_t i = 0; i < all->found_count; i++)
        report(&all->found[i]);
    for (uint32_t i = 0; i < loop_count(); i++) {
        struct look *look;

        if (quiet_since(i, &quiet[i].mark) && quiet[i].empty)
            continue;
        quiet[i].empty = false;
        look = base_calloc(1, sizeof(*look));
        if (!look || ask_loop(i, look_step, look, NULL, ANSWER_MS) < 0)
            continue;
        quiet[i].empty = look->items == 0;
        merge(all, look);
        base_free(look);
    }
    for (uint32_t i = 0; i < queue_place_count(); i++)
        atomic_store(&queue_place_at(i)->depth, all->depths[i]);
    base_free(all);
    show_new_places();
}

/* ---- the control socket ---------------------------------------------------------------------- */

static void add_place(struct strbuf *out, const struct queue_place *place)
{
    strbuf_addf(out, "{\"kind\":\"%s\"", place->kind);
    tasks_add_member(out, "name", place->name ? place->name : "");
    tasks_add_member(out, "opened_at", atomic_load(&place->site));
    strbuf_addf(out, ",\"capacity\":%u,\"open\":%u,\"depth\":%u,\"high\":%u", place->capacity,
                atomic_load(&place->open), atomic_load(&place->depth), atomic_load(&place->high));
    strbuf_addf(out, ",\"waits\":%llu,\"waited_ms\":%.3f,\"refused\":%llu,\"stayed_full\":%s}",
                (unsigned long long)atomic_load(&place->waits),
                (double)atomic_load(&place->waited_ns) / 1e6,
                (unsigned long long)atomic_load(&place->refused),
                atomic_load(&place->told) ? "true" : "false");
}

static void add_submissions(struct strbuf *out, uint32_t index)
{
    int rc;
    struct loop *loop = runtime_enter(index, 0, &rc);

    if (!loop)
        return;
    pthread_mutex_lock(&loop->submit_lock);
    strbuf_addf(out, "%s{\"loop\":%u,\"capacity\":%u,\"depth\":%u,\"high\":%u,\"refused\":%llu}",
                index ? "," : "", index, RT_SUBMISSIONS_MAX, loop->submit_count, loop->submit_high,
                (unsigned long long)loop->submit_refused);
    pthread_mutex_unlock(&loop->submit_lock);
    runtime_leave();
}

/* The queues that were opened, by place, and those that each loop has for submissions. */
int control_queues(struct strbuf *out, const char *args)
{
    uint32_t count = queue_place_count();

    (void)args;
    strbuf_add_c(out, "{\"queues\":[");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        add_place(out, queue_place_at(i));
    }
    strbuf_add_c(out, "],\"submissions\":[");
    for (uint32_t i = 0; i < loop_count(); i++)
        add_submissions(out, i);
    strbuf_add_c(out, "]}");
    return 0;
}
