/* The pool engine: permits of the process, connections of a loop.
 *
 * A lease has a permit and a place. A permit is the right to be in use, a place
 * that to exist as a connection; both are semaphores of `max` units. A lease
 * holds one of each; an idle connection keeps its place. So there are never more
 * than max connections, idle ones counted.
 *
 * A loop that has a permit but no idle connection needs a place. If none is
 * free, some connection is idle on another loop (those in use are at most
 * max - 1, as this task has a permit and no connection), or is about to be. The
 * task counts itself in `wanting`, asks every loop that has idle ones to close
 * one, and waits for a place. A loop that shelves a connection first adds it to
 * its count, then looks at wanting; the wanting task first counts itself, then
 * looks at the counts: one of the two sees the other.
 *
 * What a loop keeps of a pool is a shelf, made at the first use, freed by the
 * loop: at its end, or when the pool is freed. The pool itself goes with its
 * last shelf. */
#include <stdatomic.h>

#include <weir/guard.h>
#include <weir/sync.h>

#include "base/alloc.h"
#include "guard/pool_look.h"
#include "guard/pool_share.h"
#include "rt/loop.h"

#define POOL_LOOPS_MAX 256
#define POOL_NAME_BYTES 64
#define POOL_MAX 256
#define POOL_MAX_WAITING 4096
#define POOL_IDLE_MS 60000
#define POOL_AGE_MS 3600000
#define POOL_SWEEP_NS 1000000000 /* how often idle ones are looked at */

struct shelf {
    weir_pool *pool;
    struct loop *loop;
    struct node link;      /* among the loop's shelves */
    struct node idle;      /* weir_pool_item, the last used first */
    struct node held;      /* weir_lease, the oldest first */
    atomic_uint idle_count, held_count;
    _Atomic int64_t oldest_ns; /* of the leases; 0: none */
    _Atomic uint64_t acquired, reused, failed, closed;
    uint64_t waits, waited_ns; /* its loop's own */
    struct timer sweep;
    struct message ask;    /* close an idle one; or all, when the pool is closed */
    atomic_bool asked;
};

struct weir_pool {
    weir_semaphore *permits, *places;
    weir_pool_opts opts;
    atomic_uint wanting;
    atomic_uint refs;      /* the owner, and each shelf */
    atomic_bool closed;
    _Atomic(struct shelf *) shelves[POOL_LOOPS_MAX];
    char name[POOL_NAME_BYTES];
};

/* The public structs carry the links, so that they need no header of ours. */
static struct node *item_link(weir_pool_item *item)
{
    return (struct node *)(void *)&item->next_;
}

static weir_pool_item *item_of(struct node *n)
{
    return container_of((void *)n, weir_pool_item, next_);
}

static struct node *lease_link(weir_lease *lease)
{
    return (struct node *)(void *)&lease->next_;
}

static weir_lease *lease_of(struct node *n)
{
    return container_of((void *)n, weir_lease, next_);
}

_Static_assert(offsetof(weir_pool_item, prev_) - offsetof(weir_pool_item, next_) ==
                       offsetof(struct node, prev) &&
                   offsetof(weir_lease, prev_) - offsetof(weir_lease, next_) ==
                       offsetof(struct node, prev),
               "the public links are laid out as a node");

/* Single writer: the shelf's loop. */
static void count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* ---- the pool ---------------------------------------------------------------------- */

static void fill_opts(weir_pool *pool, const weir_pool_opts *opts)
{
    size_t len = opts->name ? strlen(opts->name) : 0;

    pool->opts = *opts;
    if (!pool->opts.max)
        pool->opts.max = POOL_MAX;
    if (!pool->opts.max_waiting)
        pool->opts.max_waiting = POOL_MAX_WAITING;
    if (!pool->opts.max_idle)
        pool->opts.max_idle = pool->opts.max;
    if (!pool->opts.idle_timeout_ms)
        pool->opts.idle_timeout_ms = POOL_IDLE_MS;
    if (!pool->opts.max_age_ms)
        pool->opts.max_age_ms = POOL_AGE_MS;
    if (len >= sizeof(pool->name))
        len = sizeof(pool->name) - 1;
    if (len > 0)
        memcpy(pool->name, opts->name, len);
    pool->opts.name = pool->name;
}

static void pool_unref(weir_pool *pool)
{
    if (atomic_fetch_sub(&pool->refs, 1) != 1)
        return;
    weir_semaphore_free(pool->permits);
    weir_semaphore_free(pool->places);
    base_free(pool);
}

int weir_pool_new_opt(weir_pool **ret_pool, const weir_pool_opts *opts)
{
    weir_pool *pool;
    int rc;

    if (!opts->close)
        return weir_fail(-EINVAL, "a pool needs a function that closes what is in it");
    pool = base_calloc(1, sizeof(*pool));
    if (!pool)
        return -ENOMEM;
    atomic_init(&pool->refs, 1);
    fill_opts(pool, opts);
    rc = weir_semaphore_new(&pool->permits, .name = pool->name, .units = pool->opts.max,
                            .max_waiting = pool->opts.max_waiting);
    if (rc == 0)
        rc = weir_semaphore_new(&pool->places, .name = pool->name, .units = pool->opts.max);
    if (rc < 0) {
        pool_unref(pool);
        return rc;
    }
    semaphore_account(pool->permits);
    *ret_pool = pool;
    return 0;
}

weir_semaphore *weir_pool_permits(weir_pool *pool)
{
    return pool->permits;
}

/* ---- shelves ------------------------------------------------------------------------- */

static void shelf_close_item(struct shelf *shelf, weir_pool_item *item)
{
    list_remove(item_link(item));
    atomic_fetch_sub(&shelf->idle_count, 1);
    count(&shelf->closed);
    shelf->pool->opts.close(item);
    weir_release(shelf->pool->places);
}

static void shelf_clear(struct shelf *shelf)
{
    while (!list_empty(&shelf->idle))
        shelf_close_item(shelf, item_of(shelf->idle.next));
}

/* On its loop. */
static void shelf_free(struct shelf *shelf)
{
    weir_pool *pool = shelf->pool;

    shelf_clear(shelf);
    timer_clear(shelf->loop, &shelf->sweep);
    list_remove(&shelf->link);
    atomic_store(&pool->shelves[loop_index(shelf->loop)], NULL);
    base_free(shelf);
    pool_unref(pool);
}

static bool item_is_stale(const struct shelf *shelf, weir_pool_item *item, int64_t now_ns)
{
    const weir_pool_opts *opts = &shelf->pool->opts;

    return now_ns - item->idle_since_ns_ >= (int64_t)opts->idle_timeout_ms * 1000000 ||
           now_ns >= item->retire_ns_ || (opts->dead && opts->dead(item));
}

static void shelf_sweep(struct timer *timer)
{
    struct shelf *shelf = container_of(timer, struct shelf, sweep);
    int64_t now_ns = loop_now_ns(shelf->loop);

    list_each_safe(n, &shelf->idle)
        if (item_is_stale(shelf, item_of(n), now_ns))
            shelf_close_item(shelf, item_of(n));
    if (!list_empty(&shelf->idle))
        timer_set(shelf->loop, &shelf->sweep, now_ns + POOL_SWEEP_NS);
}

/* Another loop needs a place, or the pool was freed. */
static void shelf_asked(struct message *message)
{
    struct shelf *shelf = container_of(message, struct shelf, ask);

    atomic_store(&shelf->asked, false);
    if (atomic_load(&shelf->pool->closed))
        shelf_free(shelf);
    else if (atomic_load(&shelf->pool->wanting) > 0 && !list_empty(&shelf->idle))
        shelf_close_item(shelf, item_of(shelf->idle.prev));
}

/* A loop's shelves: closed with the loop. */
struct shelf_list {
    struct node shelves;
};

static void shelves_done(void *value)
{
    struct shelf_list *list = value;

    while (!list_empty(&list->shelves))
        shelf_free(container_of(list->shelves.next, struct shelf, link));
    base_free(list);
}

static struct shelf_list *shelves_of(struct loop *loop)
{
    struct shelf_list *list = loop_local(loop, LOOP_LOCAL_GUARD);

    if (list)
        return list;
    list = base_malloc(sizeof(*list));
    if (!list)
        return NULL;
    list_init(&list->shelves);
    loop_local_set(loop, LOOP_LOCAL_GUARD, list, shelves_done);
    return list;
}

static struct shelf *shelf_new(weir_pool *pool, struct loop *loop)
{
    struct shelf_list *list = shelves_of(loop);
    struct shelf *shelf = list ? base_calloc(1, sizeof(*shelf)) : NULL;

    if (!shelf)
        return NULL;
    shelf->pool = pool;
    shelf->loop = loop;
    list_init(&shelf->idle);
    list_init(&shelf->held);
    list_push(&list->shelves, &shelf->link);
    timer_init(&shelf->sweep, shelf_sweep);
    shelf->ask.run = shelf_asked;
    atomic_fetch_add(&pool->refs, 1);
    atomic_store(&pool->shelves[loop_index(loop)], shelf);
    return shelf;
}

static struct shelf *shelf_of(weir_pool *pool)
{
    struct loop *loop = loop_self();
    struct shelf *shelf = atomic_load_explicit(&pool->shelves[loop_index(loop)],
                                               memory_order_relaxed);

    return shelf ? shelf : shelf_new(pool, loop);
}

static void shelf_ask(struct shelf *shelf)
{
    if (!atomic_exchange(&shelf->asked, true))
        loop_post(shelf->loop, &shelf->ask);
}

void weir_pool_free(weir_pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->closed, true);
    for (uint32_t i = 0; i < POOL_LOOPS_MAX; i++) {
        struct shelf *shelf = atomic_load(&pool->shelves[i]);

        /* One that is asked for a connection still frees itself then. */
        if (shelf && shelf->loop == loop_self() && !atomic_load(&shelf->asked))
            shelf_free(shelf);
        else if (shelf)
            shelf_ask(shelf);
    }
    pool_unref(pool);
}

/* ---- leases ---------------------------------------------------------------------------- */

/* The oldest is the first that was put in, for leases are put in as they begin. */
static void shelf_note_oldest(struct shelf *shelf)
{
    int64_t at_ns = list_empty(&shelf->held) ? 0 : lease_of(shelf->held.next)->since_ns_;

    atomic_store_explicit(&shelf->oldest_ns, at_ns, memory_order_relaxed);
}

static void lease_begin(struct shelf *shelf, weir_lease *lease)
{
    lease->shelf_ = shelf;
    lease->since_ns_ = loop_now_ns(shelf->loop);
    lease->task_ = task_handle(fiber_current()->task);
    list_push(&shelf->held, lease_link(lease));
    atomic_fetch_add_explicit(&shelf->held_count, 1, memory_order_relaxed);
    shelf_note_oldest(shelf);
}

static void lease_end(struct shelf *shelf, weir_lease *lease)
{
    list_remove(lease_link(lease));
    atomic_fetch_sub_explicit(&shelf->held_count, 1, memory_order_relaxed);
    shelf_note_oldest(shelf);
    lease->shelf_ = NULL;
    lease->item = NULL;
}

static weir_pool_item *shelf_take(struct shelf *shelf)
{
    int64_t now_ns = loop_now_ns(shelf->loop);

    while (!list_empty(&shelf->idle)) {
        weir_pool_item *item = item_of(shelf->idle.next);

        if (item_is_stale(shelf, item, now_ns)) {
            shelf_close_item(shelf, item);
            continue;
        }
        list_remove(item_link(item));
        atomic_fetch_sub(&shelf->idle_count, 1);
        return item;
    }
    return NULL;
}

static int take_place(weir_pool *pool)
{
    int rc;

    if (weir_try_acquire(pool->places) == 0)
        return 0;
    atomic_fetch_add(&pool->wanting, 1);
    for (uint32_t i = 0; i < loop_count() && i < POOL_LOOPS_MAX; i++) {
        struct shelf *shelf = atomic_load(&pool->shelves[i]);

        if (shelf && atomic_load(&shelf->idle_count) > 0)
            shelf_ask(shelf);
    }
    rc = weir_acquire(pool->places);
    atomic_fetch_sub(&pool->wanting, 1);
    return rc;
}

static int acquire_failed(weir_pool *pool, int rc)
{
    struct shelf *shelf = shelf_of(pool);
    weir_pool_stats stats;

    if (shelf)
        count(&shelf->failed);
    weir_pool_read(pool, &stats);
    return weir_wrap(rc, "pool \"%s\": %u of %u held, the oldest for %lld ms", pool->name,
                     stats.held, stats.max, (long long)stats.oldest_ms);
}

/* A task that had to wait comes back in a later turn of its loop. */
static void count_wait(struct shelf *shelf, int64_t began_ns)
{
    int64_t waited_ns = loop_now_ns(shelf->loop) - began_ns;

    if (waited_ns <= 0)
        return;
    shelf->waits++;
    shelf->waited_ns += (uint64_t)waited_ns;
}

/* The shelf of this loop, with a permit; or NULL, and why. */
static inline struct shelf *acquire_shelf(weir_pool *pool, int *ret_rc)
{
    int64_t began_ns = fiber_current() ? loop_current->now_ns : 0;
    int rc = weir_acquire(pool->permits);
    struct shelf *shelf = rc < 0 ? NULL : shelf_of(pool);

    if (shelf) {
        count_wait(shelf, began_ns);
        return shelf;
    }
    if (rc >= 0)
        weir_release(pool->permits);
    *ret_rc = acquire_failed(pool, rc < 0 ? rc : -ENOMEM);
    return NULL;
}

int weir_pool_acquire(weir_pool *pool, weir_lease *ret_lease)
{
    weir_pool_item *item;
    int rc = 0;
    struct shelf *shelf = acquire_shelf(pool, &rc);

    if (!shelf)
        return rc;
    item = shelf_take(shelf);
    if (!item)
        rc = take_place(pool);
    if (rc < 0) {
        weir_release(pool->permits);
        return acquire_failed(pool, rc);
    }
    ret_lease->item = item;
    lease_begin(shelf, ret_lease);
    count(&shelf->acquired);
    if (item)
        count(&shelf->reused);
    return 0;
}

static void shelf_put(struct shelf *shelf, weir_pool_item *item)
{
    const weir_pool_opts *opts = &shelf->pool->opts;
    int64_t now_ns = loop_now_ns(shelf->loop);

    if (item->retire_ns_ == 0) {
        int64_t age_ns = (int64_t)opts->max_age_ms * 1000000;

        item->retire_ns_ = now_ns + age_ns - age_ns / 10 +
                           (int64_t)(loop_random(shelf->loop) % ((uint64_t)age_ns / 5 + 1));
    }
    item->idle_since_ns_ = now_ns;
    list_push_front(&shelf->idle, item_link(item));
    if (atomic_fetch_add(&shelf->idle_count, 1) + 1 > opts->max_idle ||
        atomic_load(&shelf->pool->wanting) > 0 || now_ns >= item->retire_ns_)
        shelf_close_item(shelf, item_of(shelf->idle.prev));
    else if (!timer_is_set(&shelf->sweep))
        timer_set(shelf->loop, &shelf->sweep, now_ns + POOL_SWEEP_NS);
}

void weir_pool_release(weir_lease *lease, weir_pool_item *item)
{
    struct shelf *shelf = lease->shelf_;
    weir_pool *pool = shelf->pool;

    lease_end(shelf, lease);
    if (item)
        shelf_put(shelf, item);
    else
        weir_release(pool->places);
    weir_release(pool->permits);
}

/* ---- connections that are shared -------------------------------------------------------- */

int pool_acquire_permit(weir_pool *pool, weir_lease *ret_lease)
{
    int rc = 0;
    struct shelf *shelf = acquire_shelf(pool, &rc);

    if (!shelf)
        return rc;
    ret_lease->item = NULL;
    lease_begin(shelf, ret_lease);
    count(&shelf->acquired);
    return 0;
}

void pool_release_permit(weir_lease *lease)
{
    struct shelf *shelf = lease->shelf_;

    lease_end(shelf, lease);
    weir_release(shelf->pool->permits);
}

weir_pool_item *pool_take_idle(weir_lease *lease)
{
    struct shelf *shelf = lease->shelf_;
    weir_pool_item *item = shelf_take(shelf);

    if (item)
        count(&shelf->reused);
    return item;
}

int pool_take_place(weir_lease *lease)
{
    struct shelf *shelf = lease->shelf_;
    int rc = take_place(shelf->pool);

    return rc < 0 ? acquire_failed(shelf->pool, rc) : 0;
}

void pool_release_place(weir_pool *pool)
{
    weir_release(pool->places);
}

void pool_put_idle(weir_pool *pool, weir_pool_item *item)
{
    struct shelf *shelf = shelf_of(pool);

    if (shelf) {
        shelf_put(shelf, item);
        return;
    }
    pool->opts.close(item);
    weir_release(pool->places);
}

uint32_t pool_wanted(weir_pool *pool)
{
    return atomic_load_explicit(&pool->wanting, memory_order_relaxed);
}

void weir_pool_read(weir_pool *pool, weir_pool_stats *ret_stats)
{
    weir_pool_stats stats = { .max = pool->opts.max };
    int64_t oldest_ns = 0;

    for (uint32_t i = 0; i < POOL_LOOPS_MAX; i++) {
        struct shelf *shelf = atomic_load(&pool->shelves[i]);
        int64_t at_ns = shelf ? atomic_load_explicit(&shelf->oldest_ns, memory_order_relaxed) : 0;

        if (!shelf)
            continue;
        if (at_ns && (!oldest_ns || at_ns < oldest_ns))
            oldest_ns = at_ns;
        stats.held += atomic_load_explicit(&shelf->held_count, memory_order_relaxed);
        stats.idle += atomic_load(&shelf->idle_count);
        stats.acquired += atomic_load_explicit(&shelf->acquired, memory_order_relaxed);
        stats.reused += atomic_load_explicit(&shelf->reused, memory_order_relaxed);
        stats.failed += atomic_load_explicit(&shelf->failed, memory_order_relaxed);
        stats.closed += atomic_load_explicit(&shelf->closed, memory_order_relaxed);
    }
    stats.oldest_ms = oldest_ns ? (weir_now().ns - oldest_ns) / 1000000 : 0;
    *ret_stats = stats;
}

/* ---- for whoever looks ------------------------------------------------------------------ */

static void look_at(const struct shelf *shelf, struct pool_look *look)
{
    const weir_pool *pool = shelf->pool;

    look->pool = pool;
    memcpy(look->name, pool->name, sizeof(look->name));
    look->max = pool->opts.max;
    look->max_waiting = pool->opts.max_waiting;
    look->waiting = semaphore_waiting(pool->permits);
    look->held = atomic_load(&shelf->held_count);
    look->idle = atomic_load(&shelf->idle_count);
    look->acquired = atomic_load(&shelf->acquired);
    look->reused = atomic_load(&shelf->reused);
    look->failed = atomic_load(&shelf->failed);
    look->closed = atomic_load(&shelf->closed);
    look->waits = shelf->waits;
    look->waited_ns = shelf->waited_ns;
    list_each(n, &shelf->held) {
        const weir_lease *lease = lease_of(n);

        if (look->holder_count == POOL_LOOK_HOLDERS)
            break;
        look->holders[look->holder_count].task = lease->task_;
        look->holders[look->holder_count++].age_ns = loop_now_ns(shelf->loop) - lease->since_ns_;
    }
}

void pools_leases(struct loop *loop, uint32_t max,
                  void (*each)(void *arg, weir_task task, const void *permits), void *arg)
{
    struct shelf_list *list = loop_local(loop, LOOP_LOCAL_GUARD);

    if (!list)
        return;
    list_each(n, &list->shelves) {
        const struct shelf *shelf = container_of(n, struct shelf, link);

        if (semaphore_waiting(shelf->pool->permits) == 0)
            continue;
        list_each(m, &shelf->held) {
            if (max-- == 0)
                return;
            each(arg, lease_of(m)->task_, shelf->pool->permits);
        }
    }
}

void pools_look(struct loop *loop, struct pools_look *look)
{
    struct shelf_list *list = loop_local(loop, LOOP_LOCAL_GUARD);

    memset(look, 0, sizeof(*look));
    if (!list)
        return;
    list_each(n, &list->shelves)
        if (look->count < POOL_LOOK_POOLS)
            look_at(container_of(n, struct shelf, link), &look->pools[look->count++]);
}
