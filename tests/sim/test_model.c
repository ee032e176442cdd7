/* Random programs of tasks, scopes, channels (of the loop, and shared ones), locks,
 * semaphores, selects, blocking calls and cancels, on the simulator under random
 * schedules, against the reference model in model.h.
 *
 * A round is a program, a schedule, and a simulation of their own, all drawn from
 * one seed. A million steps by default; WEIR_MODEL_STEPS (or an argument) makes it
 * any number, WEIR_TEST_SEED repeats the round that a failure has printed. */
#include "support/in_task.h"

#include <inttypes.h>

#include <weir/chan.h>
#include <weir/sync.h>
#include <weir/time.h>

#include "base/budget.h"
#include "base/chain.h"
#include "base/clock.h"
#include "rt/sim.h"
#include "sim/model.h"
#include "support/random.h"

#define CHANNELS 4
#define UNITS 3
#define DEPTH_MAX 4
#define CHILDREN_MAX 4
#define STEPS_IN_ROUND 400 /* then tasks do no more */

typedef WEIR_CHAN(uint32_t) item_chan;

/* A task, and where it is. */
struct actor {
    uint32_t id, depth;
    struct model_scope *scope;
    struct model_item *got[CHANNELS]; /* the last of each */
    bool optional, needs;
    int rc;                /* when it has ended */
    bool ended;
    weir_task brother;
};

static struct round {
    struct random random;
    uint64_t seed;
    uint32_t actors, steps;
    item_chan chans[CHANNELS];
    struct model_chan chan_models[CHANNELS];
    weir_mutex mutex;
    weir_rwlock rwlock;
    struct model_lock mutex_model, rwlock_model;
    weir_semaphore *units, *narrow;
    struct model_units units_model, narrow_model;
} now;

static uint64_t steps_done;

static uint32_t below(uint32_t bound)
{
    return random_below(&now.random, bound);
}

__attribute__((noreturn)) static void broken(const char *rule)
{
    fprintf(stderr, "the model does not hold: %s\nto repeat: WEIR_TEST_SEED=%" PRIu64 "\n", rule,
            now.seed);
    abort();
}

static void begins(struct model_call *call, struct actor *self, const char *what)
{
    now.steps++;
    model_time(weir_now().ns);
    model_call_begins(call, self->scope, what);
}

static int ended(struct model_call *call, int rc)
{
    model_time(weir_now().ns);
    model_call_ended(call, rc);
    return rc;
}

/* ---- channels -------------------------------------------------------------------- */

static int do_send(struct actor *self)
{
    uint32_t c = below(CHANNELS), index;
    struct model_item *item = model_offer(&now.chan_models[c]);
    struct model_call call;
    int rc;

    index = model_item_index(item);
    if (below(4) == 0) {
        now.steps++;
        rc = weir_try_send(now.chans[c], &index);
        model_offered(item, rc);
        return 0;
    }
    begins(&call, self, "send");
    rc = weir_send(now.chans[c], &index);
    model_offered(item, rc);
    return ended(&call, rc);
}

static int do_receive(struct actor *self)
{
    uint32_t c = below(CHANNELS), index = 0;
    struct model_call call;
    int rc;

    model_receiving(&now.chan_models[c]);
    if (below(4) == 0) {
        now.steps++;
        rc = weir_try_recv(now.chans[c], &index);
        model_received(&now.chan_models[c], &self->got[c], rc,
                       rc == 1 ? model_item_at(index) : NULL);
        return 0;
    }
    begins(&call, self, "receive");
    rc = weir_recv(now.chans[c], &index);
    model_received(&now.chan_models[c], &self->got[c], rc, rc == 1 ? model_item_at(index) : NULL);
    return ended(&call, rc);
}

static int do_select(struct actor *self)
{
    uint32_t in[2] = { below(CHANNELS), below(CHANNELS) }, out = below(CHANNELS);
    uint32_t got[2] = { 0, 0 }, index;
    struct model_item *item = model_offer(&now.chan_models[out]);
    struct model_call call;
    weir_pick pick;

    index = model_item_index(item);
    begins(&call, self, "select");
    model_receiving(&now.chan_models[in[0]]);
    model_receiving(&now.chan_models[in[1]]);
    pick = weir_select(WEIR_RECV(now.chans[in[0]], &got[0]), WEIR_SEND(now.chans[out], &index),
                       WEIR_RECV(now.chans[in[1]], &got[1]), WEIR_AFTER_MS(below(4)),
                       WEIR_DONE(self->brother));
    for (int i = 0; i < 2; i++)
        if (pick.arm != i * 2)
            model_not_received(&now.chan_models[in[i]]);
        else
            model_received(&now.chan_models[in[i]], &self->got[in[i]], pick.rc,
                           pick.rc == 1 ? model_item_at(got[i]) : NULL);
    model_offered(item, pick.arm == 1 ? pick.rc : -EAGAIN);
    /* A brother's own failure is no cancel of this call. */
    ended(&call, pick.arm == -1 ? pick.rc : 0);
    return pick.arm == -1 ? pick.rc : 0;
}

static void do_close(void)
{
    uint32_t c = below(CHANNELS);

    if (below(10))
        return;
    weir_close(now.chans[c]);
    model_closed(&now.chan_models[c]);
}

/* ---- locks ----------------------------------------------------------------------- */

static int pause_briefly(struct actor *self)
{
    struct model_call call;
    uint32_t ms = below(3);
    int64_t begun_ns = weir_now().ns;
    int rc;

    begins(&call, self, "pause");
    rc = ended(&call, ms == 0 ? weir_yield() : weir_sleep_ms(ms));
    if (rc == 0 && weir_now().ns - begun_ns < ms * INT64_C(1000000))
        broken("a sleep that has come to its end has lasted");
    return rc;
}

static int do_lock(struct actor *self)
{
    struct model_call call;
    int rc;

    if (below(4) == 0) {
        now.steps++;
        rc = weir_try_lock(&now.mutex);
        model_lock_tried(&now.mutex_model, true, rc);
    } else {
        begins(&call, self, "lock");
        model_lock_begins(&now.mutex_model, self->id, true);
        rc = weir_lock(&now.mutex);
        model_lock_ended(&now.mutex_model, self->id, rc);
        ended(&call, rc);
    }
    if (rc < 0)
        return rc == -EBUSY ? 0 : rc;
    rc = pause_briefly(self);
    model_unlock(&now.mutex_model, true);
    weir_unlock(&now.mutex);
    return rc;
}

static int take_rwlock(bool writes)
{
    return writes ? weir_write_lock(&now.rwlock) : weir_read_lock(&now.rwlock);
}

static int try_rwlock(bool writes)
{
    return writes ? weir_try_write_lock(&now.rwlock) : weir_try_read_lock(&now.rwlock);
}

static int do_rwlock(struct actor *self)
{
    bool writes = below(3) == 0;
    struct model_call call;
    int rc;

    if (below(4) == 0) {
        now.steps++;
        rc = try_rwlock(writes);
        model_lock_tried(&now.rwlock_model, writes, rc);
    } else {
        begins(&call, self, "read-write lock");
        model_lock_begins(&now.rwlock_model, self->id, writes);
        rc = take_rwlock(writes);
        model_lock_ended(&now.rwlock_model, self->id, rc);
        ended(&call, rc);
    }
    if (rc < 0)
        return rc == -EBUSY ? 0 : rc;
    rc = pause_briefly(self);
    model_unlock(&now.rwlock_model, writes);
    if (writes)
        weir_write_unlock(&now.rwlock);
    else
        weir_read_unlock(&now.rwlock);
    return rc;
}

static int do_acquire(struct actor *self)
{
    struct model_call call;
    int rc;

    begins(&call, self, "acquire");
    rc = ended(&call, weir_acquire(now.units));
    if (rc < 0)
        return rc;
    model_unit_taken(&now.units_model);
    rc = pause_briefly(self);
    model_unit_given(&now.units_model);
    weir_release(now.units);
    return rc;
}

/* ---- the rest -------------------------------------------------------------------- */

static int block_briefly(void *arg)
{
    return *(int *)arg;
}

static int do_block(struct actor *self)
{
    struct model_call call;
    int wanted = (int)below(100), rc;

    begins(&call, self, "blocking call");
    rc = ended(&call, weir_block(block_briefly, &wanted));
    if (rc >= 0 && rc != wanted)
        broken("a blocking call gives what its function returned");
    return rc;
}

/* Any scope around. */
static void do_cancel(struct actor *self)
{
    struct model_scope *scope = self->scope;

    if (below(4))
        return;
    while (scope->parent && scope->parent->handle && below(2))
        scope = scope->parent;
    if (scope->handle == 0)
        return;
    weir_cancel((weir_scope){ (uint32_t)(scope->handle >> 32), (uint32_t)scope->handle });
    model_scope_cancel(scope);
}

static int run_actor(void *arg);

static void actor_init(struct actor *child, const struct actor *parent, struct model_scope *scope,
                       weir_task brother)
{
    *child = (struct actor){ .id = ++now.actors,
                             .depth = parent->depth + 1,
                             .scope = scope,
                             .optional = below(3) == 0,
                             .needs = below(6) == 0,
                             .brother = brother };
}

static void check_results(const struct actor *children, const weir_task *tasks, const bool *held,
                          uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int rc = 0, found;

        if (!held[i])
            continue;
        found = weir_result(tasks[i], &rc);
        if (found == -EINPROGRESS ? children[i].ended : found != 0)
            broken("a child that was kept can be asked for its result");
        if (found == 0 && (children[i].ended ? rc != children[i].rc : rc >= 0))
            broken("a child's result is what it returned");
    }
}

static void start_children(struct actor *self, weir_scope s, struct model_scope *scope,
                           struct actor *children, weir_task *tasks, bool *held, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        actor_init(&children[i], self, scope, i > 0 ? tasks[i - 1] : self->brother);
        held[i] = below(2) == 0;
        now.steps++;
        model_child_wanted(scope, children[i].optional);
        tasks[i] = weir_go(s, run_actor, &children[i], .optional = children[i].optional,
                           .hold = held[i], .needs = children[i].needs ? now.narrow : NULL);
    }
}

static int step(struct actor *self);

static int do_scope(struct actor *self)
{
    struct model_scope *outer = self->scope, *scope;
    struct actor children[CHILDREN_MAX];
    weir_task tasks[CHILDREN_MAX];
    bool held[CHILDREN_MAX];
    uint32_t count = 1 + below(CHILDREN_MAX);
    weir_scope_opts opts = { .size = sizeof(opts),
                             .site = WEIR_HERE,
                             .timeout_ms = below(3) ? 0 : 1 + below(8),
                             .limit = below(3) ? 0 : 1 + below(2),
                             .shield = below(8) == 0,
                             .grace_ms = 1 + below(4) };
    weir_scope s = weir_scope_open_opt(&opts);
    int rc = 0;

    scope = model_scope_open(
        outer, opts.timeout_ms ? weir_now().ns + opts.timeout_ms * INT64_C(1000000) : WEIR_NEVER_NS,
        opts.shield, opts.limit);
    scope->handle = (uint64_t)s.slot << 32 | s.generation;
    self->scope = scope;
    start_children(self, s, scope, children, tasks, held, count);
    for (uint32_t i = below(4); i > 0 && rc >= 0; i--)
        rc = step(self);
    if (below(6)) {
        rc = weir_join(s);
        model_time(weir_now().ns);
        model_joined(scope, rc);
        check_results(children, tasks, held, count);
    }
    model_scope_leave(scope);
    weir_scope_close(s);
    model_time(weir_now().ns);
    model_scope_closed(scope);
    self->scope = outer;
    return rc;
}

static int step(struct actor *self)
{
    if (now.steps > STEPS_IN_ROUND)
        return 0;
    switch (below(self->depth < DEPTH_MAX ? 20 : 16)) {
    case 0:
    case 1:
    case 2: return do_send(self);
    case 3:
    case 4:
    case 5: return do_receive(self);
    case 6:
    case 7: return do_select(self);
    case 8: return do_lock(self);
    case 9:
    case 10: return do_rwlock(self);
    case 11: return do_acquire(self);
    case 12: return do_block(self);
    case 13: return pause_briefly(self);
    case 14: do_close(); return 0;
    case 15: do_cancel(self); return below(12) ? 0 : -EIO;
    default: return do_scope(self);
    }
}

static int run_actor(void *arg)
{
    struct actor *self = arg;
    struct model_scope *scope = self->scope;
    int rc = 0;

    model_time(weir_now().ns);
    model_child_runs(scope);
    if (self->needs)
        model_unit_taken(&now.narrow_model);
    for (uint32_t steps = 1 + below(6); steps > 0 && (rc >= 0 || below(3)); steps--)
        rc = step(self);
    rc = rc < 0 && below(3) ? rc : 0;
    if (self->needs)
        model_unit_given(&now.narrow_model);
    self->rc = rc;
    self->ended = true;
    model_time(weir_now().ns);
    model_child_ends(scope, self->optional, rc);
    return rc;
}

/* ---- rounds ---------------------------------------------------------------------- */

static void drop_item(void *item)
{
    model_dropped(model_item_at(*(uint32_t *)item));
}

static int run_round(void *arg)
{
    struct actor root = { .id = ++now.actors,
                          .scope = model_scope_open(NULL, WEIR_NEVER_NS, false, 0) };

    (void)arg;
    for (uint32_t c = 0; c < CHANNELS; c++) {
        now.chan_models[c].capacity = c;
        CHECK_INT(
            weir_chan_open(&now.chans[c], .capacity = c, .drop = drop_item, .shared = below(2)), 0);
    }
    while (now.steps < STEPS_IN_ROUND) {
        now.steps++;
        /* A deadline of its own around what may wait for each other for ever. */
        WEIR_SCOPE(s, .timeout_ms = 40) {
            root.scope = model_scope_open(root.scope, weir_now().ns + 40 * INT64_C(1000000), false,
                                          0);
            root.scope->handle = (uint64_t)s.slot << 32 | s.generation;
            do_scope(&root);
            root.scope = root.scope->parent;
        }
        weir_recover();
    }
    for (uint32_t c = 0; c < CHANNELS; c++) {
        model_chan_over(&now.chan_models[c], weir_chan_depth(now.chans[c].chan));
        weir_chan_free(now.chans[c]);
    }
    CHECK_INT(weir_try_write_lock(&now.rwlock), 0);
    weir_write_unlock(&now.rwlock);
    CHECK_INT(weir_try_lock(&now.mutex), 0);
    weir_unlock(&now.mutex);
    for (int i = 0; i < UNITS; i++)
        CHECK_INT(weir_try_acquire(now.units), 0);
    CHECK_INT(weir_try_acquire(now.units), -EAGAIN);
    for (int i = 0; i < UNITS; i++)
        weir_release(now.units);
    return 0;
}

static void one_round(uint64_t seed)
{
    struct sim_opts opts;
    struct sim *sim;
    int rc;

    memset(&now, 0, sizeof(now));
    now.seed = now.random.state = seed;
    now.units_model.units = UNITS;
    now.narrow_model.units = 1;
    model_begin(broken);
    sim_opts_init(&opts);
    opts.seed = seed;
    opts.block_ms = below(4);
    opts.suspend = below(4) ? 0 : 1 + below(20);
    assert_int_equal(weir_semaphore_new(&now.units, .units = UNITS), 0);
    assert_int_equal(weir_semaphore_new(&now.narrow, .units = 1), 0);
    sim = sim_new(&opts);
    assert_non_null(sim);
    rc = sim_run(sim, run_round, NULL, NULL);
    if (rc < 0)
        broken(weir_error_name(rc));
    sim_free(sim);
    weir_semaphore_free(now.units);
    weir_semaphore_free(now.narrow);
    steps_done += now.steps;
}

static uint64_t steps_wanted = 1000000;

static void random_programs_keep_to_the_model(void **state)
{
    uint64_t used = budget_used();
    int64_t begun_ns = clock_monotonic_ns();
    struct random random;

    (void)state;
    random_begin(&random);
    one_round(random.state); /* alone, when it is given */
    if (getenv("WEIR_TEST_SEED"))
        return;
    while (steps_done < steps_wanted)
        one_round(random_next(&random));
    assert_int_equal(budget_used(), used);
    print_message("%" PRIu64 " steps, %.1f million a second\n", steps_done,
                  (double)steps_done * 1000 / (double)(clock_monotonic_ns() - begun_ns));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_programs_keep_to_the_model) };
    const char *given = getenv("WEIR_MODEL_STEPS");

    if (argc > 1)
        given = argv[1];
    if (given)
        steps_wanted = strtoull(given, NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
