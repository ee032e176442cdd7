/* Doing a thing once: for ever (once), or for all who ask while it is being done
 * (single-flight).
 *
 * Both have a leader, which runs the caller's function in its own task, and
 * others that wait for it. Leading is handed on before the next leader runs; a
 * leader that finds itself cancelled by then hands it on in turn.
 *
 *   once     not run -> led -> run. A failure belongs to the leader alone, and
 *            the longest waiting tries next.
 *   flight   led -> landed (and gone). All get what the leader got, but a failure
 *            of a leader whose scope was cancelled is its own: the longest
 *            waiting leads next, with its own function.
 *
 * A shared group has one guard, for its table and for all its flights' queues. Starting
 * a flight allocates inside it; results are copied, and .share called, outside.
 *
 * Invariants: tasks wait only while there is a leader; a flight is in its group's
 * table from its start to its landing, whoever leads it, and owns its key, as the
 * first leader's may be gone by then. A group that was freed too early goes with
 * its last flight. */
#include "base/budget.h"
#include "base/chain.h"
#include "base/map.h"
#include "rt/queued.h"

#define FLIGHTS_MAX_UNSET 1024
#define FLIGHT_KEY_BYTES_MAX 65536

/* ---- once ------------------------------------------------------------------- */

enum { ONCE_LEADS = 1 }; /* woken to run it, not because it was run */

static void once_hand_on(weir_once *once)
{
    struct queued *next;

    queued_enter(&once->waiting_, once->shared);
    next = queued_pop(&once->waiting_);
    once->leader_ = next ? next->fiber : NULL;
    queued_leave(&once->waiting_, once->shared);
    queued_wake(next, ONCE_LEADS);
}

static void once_done(weir_once *once)
{
    struct queued *waiting;

    queued_enter(&once->waiting_, once->shared);
    __atomic_store_n(&once->run_, true, __ATOMIC_RELEASE);
    once->leader_ = NULL;
    waiting = queued_pop_all(&once->waiting_);
    queued_leave(&once->waiting_, once->shared);
    queued_wake_list(waiting, 0);
}

static int once_lead(weir_once *once, weir_fn *fn, void *arg)
{
    int rc = rt_check(); /* a cancel may have come since it was handed on */

    if (rc == 0)
        rc = fn(arg);
    if (rc < 0) {
        once_hand_on(once);
        return rc;
    }
    once_done(once);
    return 0;
}

/* Whoever finds it run without the guard has to see what fn did, too. */
static bool once_is_run(const weir_once *once)
{
    return __atomic_load_n(&once->run_, __ATOMIC_ACQUIRE);
}

/* Become the leader (ONCE_LEADS), or wait for what comes of the one there is. */
static int once_enter(weir_once *once)
{
    struct queued self = {
        .wait = { .abandon = queued_abandon, .what = "once", .object = once },
    };
    struct fiber *leader;

    queued_use(&once->waiting_, once->shared, "once");
    leader = once->leader_;
    if (leader && leader != fiber_current())
        return queued_park(&once->waiting_, once->shared, &self);
    if (!leader && !once_is_run(once)) {
        once->leader_ = fiber_current();
        queued_leave(&once->waiting_, once->shared);
        return ONCE_LEADS;
    }
    queued_leave(&once->waiting_, once->shared);
    if (!leader) /* it was run meanwhile */
        return 0;
    return weir_fail(-EDEADLK, "what runs once asks for itself, and would wait for ever");
}

int weir_run_once(weir_once *once, weir_fn *fn, void *arg)
{
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (once_is_run(once)) {
        rt_spend();
        return 0;
    }
    rc = once_enter(once);
    return rc == ONCE_LEADS ? once_lead(once, fn, arg) : rc;
}

/* ---- single-flight ---------------------------------------------------------- */

struct weir_single_flight {
    struct loop *loop; /* NULL: shared */
    weir_wait_queue guard; /* only that: for the table, and the queues of its flights */
    struct map flights; /* by key */
    uint32_t max_flights;
    size_t result_bytes;
    void (*share)(void *result);
    const char *name;
    bool shared, freed;
};

struct flight {
    weir_single_flight *group;
    struct fiber *leader;
    weir_wait_queue waiting;
    size_t key_len;
    char key[];
};

struct flight_wait {
    struct queued place;
    void *ret_result;
    bool leads; /* woken to lead the flight, not because it has landed */
};

static weir_str flight_key(const struct flight *flight)
{
    return weir_str_from(flight->key, flight->key_len);
}

static uint64_t flight_bytes(size_t key_len)
{
    return sizeof(struct flight) + key_len;
}

static void group_end(weir_single_flight *group)
{
    map_done(&group->flights);
    base_free(group);
}

int weir_single_flight_new_opt(weir_single_flight **ret_group, const weir_single_flight_opts *opts)
{
    weir_single_flight *group;

    if (!loop_current) {
        rt_wrong_use("a single-flight group was made outside a loop");
        return WEIR_EWRONGUSE;
    }
    group = base_calloc(1, sizeof(*group));
    if (!group)
        return -ENOMEM;
    group->shared = opts->shared;
    group->loop = opts->shared ? NULL : loop_current;
    map_init(&group->flights, loop_random(loop_current));
    group->max_flights = opts->max_flights ? opts->max_flights : FLIGHTS_MAX_UNSET;
    group->result_bytes = opts->result_bytes;
    group->share = opts->share;
    group->name = opts->name ? opts->name : "";
    *ret_group = group;
    return 0;
}

void weir_single_flight_free(weir_single_flight *group)
{
    struct queued *waiting = NULL, **last = &waiting;
    struct map_entry *entry;
    size_t at = 0, count;
    const char *name;

    if (!group)
        return;
    name = group->name;
    queued_enter(&group->guard, group->shared);
    count = group->flights.count;
    group->freed = count > 0;
    while (map_next(&group->flights, &at, &entry)) {
        *last = queued_pop_all(&((struct flight *)entry->value)->waiting);
        while (*last)
            last = &(*last)->next;
    }
    queued_leave(&group->guard, group->shared);
    if (count == 0) {
        group_end(group);
        return;
    }
    rt_wrong_use("single-flight \"%s\" was freed with %zu flights under way", name, count);
    queued_wake_list(waiting, WEIR_ECLOSED);
}

/* A flight, led by this task. Inside: words are for outside. */
static int flight_start(weir_single_flight *group, weir_str key, struct flight **ret_flight)
{
    struct flight *flight;
    int rc;

    if (group->flights.count >= group->max_flights)
        return WEIR_EFULL;
    if (!budget_take(BUDGET_QUEUE, flight_bytes(key.len)))
        return WEIR_EBUDGET;
    flight = base_malloc(flight_bytes(key.len));
    if (!flight) {
        rc = -ENOMEM;
        goto fail;
    }
    *flight = (struct flight){ .group = group, .leader = fiber_current(), .key_len = key.len };
    memcpy(flight->key, key.ptr, key.len);
    rc = map_put(&group->flights, flight_key(flight), flight);
    if (rc < 0)
        goto fail;
    *ret_flight = flight;
    return 0;
fail:
    base_free(flight);
    budget_give(BUDGET_QUEUE, flight_bytes(key.len));
    return rc;
}

static int flight_fail(const weir_single_flight *group, weir_str key, int rc)
{
    if (rc == WEIR_EFULL)
        weir_fail(rc, "%u flights of \"%s\" are under way already", group->max_flights,
                  group->name);
    else if (rc == WEIR_EBUDGET)
        weir_fail(rc, "a flight of \"%s\" with a key of %zu bytes", group->name, key.len);
    return rc;
}

static bool flight_hand_on(struct flight *flight)
{
    weir_single_flight *group = flight->group;
    struct queued *next;

    queued_enter(&group->guard, group->shared);
    next = queued_pop(&flight->waiting);
    if (next)
        flight->leader = next->fiber;
    queued_leave(&group->guard, group->shared);
    if (!next)
        return false;
    container_of(next, struct flight_wait, place)->leads = true;
    queued_wake(next, 0);
    return true;
}

/* Give a parked task the error chain (NULL for none), in its own slot. Without
 * memory it gets the code alone. */
static void chain_give(struct fiber *fiber, const struct chain *chain, int rc)
{
    struct chain **own = error_slot;

    error_slot = &fiber->chain;
    weir_recover();
    if (chain) {
        weir_fail_at(chain->links[0].site, rc, "%s", "");
        if (fiber->chain)
            *fiber->chain = *chain;
    }
    error_slot = own;
}

/* Tell those that waited; group says how, and may be gone when the last was told. */
static void flight_deliver(const weir_single_flight *group, struct queued *place, int rc,
                           const void *result)
{
    const struct chain *chain = rc < 0 ? chain_current() : NULL;
    void (*share)(void *result) = group->share;
    size_t result_bytes = group->result_bytes;
    struct queued *next;

    if (chain && chain->links[chain->count - 1].code != rc)
        chain = NULL; /* of an earlier failure */
    for (; place; place = next) {
        void *ret_result = container_of(place, struct flight_wait, place)->ret_result;

        next = place->next;
        if (rc < 0) {
            chain_give(place->fiber, chain, rc);
        } else if (result_bytes > 0) {
            memcpy(ret_result, result, result_bytes);
            if (share)
                share(ret_result);
        }
        queued_wake(place, rc);
    }
}

/* The flight is over: nobody can ask for its result any more, but those that did. */
static void flight_land(struct flight *flight, int rc, const void *result)
{
    weir_single_flight *group = flight->group;
    struct queued *waiting;
    bool last;

    queued_enter(&group->guard, group->shared);
    map_remove(&group->flights, flight_key(flight));
    waiting = queued_pop_all(&flight->waiting);
    last = group->freed && group->flights.count == 0;
    queued_leave(&group->guard, group->shared);
    flight_deliver(group, waiting, rc, result);
    budget_give(BUDGET_QUEUE, flight_bytes(flight->key_len));
    base_free(flight);
    if (last)
        group_end(group);
}

static int flight_lead(struct flight *flight, weir_flight_fn *fn, void *arg, void *ret_result)
{
    int rc = rt_check(); /* a cancel may have come since it was handed on */

    if (rc == 0)
        rc = fn(arg, ret_result);
    if (rc < 0 && rt_check() < 0 && flight_hand_on(flight))
        return rc;
    flight_land(flight, rc, ret_result);
    return rc;
}

static int flight_refuse(const weir_single_flight *group, weir_str key, size_t result_size)
{
    if (group->loop && group->loop != loop_current) {
        rt_wrong_use("single-flight \"%s\" belongs to loop %u: tasks of another loop can't use it",
                     group->name, group->loop->index);
        return WEIR_EWRONGUSE;
    }
    if (!key.ptr)
        return -ENOMEM;
    if (key.len > FLIGHT_KEY_BYTES_MAX)
        return weir_fail(-EINVAL, "a key of %zu bytes: at most %d fit", key.len,
                         FLIGHT_KEY_BYTES_MAX);
    if (result_size != group->result_bytes)
        return weir_fail(-EINVAL, "a result of %zu bytes is asked for, those of \"%s\" have %zu",
                         result_size, group->name, group->result_bytes);
    return rt_check();
}

int weir_single_flight_run(weir_single_flight *group, weir_str key, weir_flight_fn *fn, void *arg,
                           void *ret_result, size_t result_size)
{
    struct flight_wait self = {
        .place.wait = { .abandon = queued_abandon, .what = "single-flight", .object = group },
        .ret_result = ret_result,
    };
    struct flight *flight, *started = NULL;
    int rc = flight_refuse(group, key, result_size);

    if (rc < 0)
        return rc;
    queued_enter(&group->guard, group->shared);
    flight = map_get(&group->flights, key);
    if (!flight) {
        rc = flight_start(group, key, &started);
    } else if (flight->leader == fiber_current()) {
        rc = -EDEADLK;
    } else {
        queued_stand(&flight->waiting, group->shared, &self.place);
        self.place.guard = &group->guard;
    }
    queued_leave(&group->guard, group->shared);
    if (started)
        return flight_lead(started, fn, arg, ret_result);
    if (rc == -EDEADLK)
        return weir_fail(rc, "a flight asks for itself, and would wait for ever");
    if (rc < 0) {
        rt_spend(); /* who tries again and again lets others run */
        return flight_fail(group, key, rc);
    }
    rc = rt_park(&self.place.wait);
    return self.leads ? flight_lead(flight, fn, arg, ret_result) : rc;
}
