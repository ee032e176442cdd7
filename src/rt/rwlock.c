/* The read-write lock: many tasks that read, or one that writes.
 *
 * One queue holds readers and writers in the order in which they came, and nobody
 * overtakes: a reader that comes while a writer waits stands behind it, so that
 * readers can't keep a writer out; when a writer has had its turn, those before
 * the next writer all go in, so that writers can't keep readers out. The lock is
 * handed over, before the task that gets it runs.
 *
 * Who reads is known by name for as many as fit into named_, for the sake of
 * mistakes: with more readers than that, the others are only counted.
 *
 * Invariants: never a writer and a reader; while nobody holds the lock nobody
 * waits; while tasks read, the first that waits is a writer (its giving up lets
 * in the readers behind it). */
#include "rt/held.h"
#include "rt/queued.h"

#define NAMED_MAX (sizeof(((weir_rwlock *)0)->named_) / sizeof(void *))

struct rwlock_wait {
    struct queued place;
    weir_rwlock *lock;
    bool writes;
};

/* The place that this reader (or, for NULL, nobody) has by name. */
static void **named_place(weir_rwlock *lock, const struct fiber *reader)
{
    for (size_t i = 0; i < NAMED_MAX; i++)
        if (lock->named_[i] == reader)
            return &lock->named_[i];
    return NULL;
}

static void let_read(weir_rwlock *lock, struct fiber *reader)
{
    void **place = named_place(lock, NULL);

    if (place)
        *place = reader;
    lock->readers_++;
}

/* Let in whoever can go in, from the first on: a list to be woken outside. */
static struct queued *rwlock_admit(weir_rwlock *lock)
{
    struct queued *first, *in = NULL, **last = &in;

    while (!lock->writer_ && (first = queued_first(&lock->waiting_)) != NULL) {
        bool writes = container_of(first, struct rwlock_wait, place)->writes;

        if (writes && lock->readers_ > 0)
            break;
        queued_remove(first);
        if (writes)
            lock->writer_ = first->fiber;
        else
            let_read(lock, first->fiber);
        first->next = NULL;
        *last = first;
        last = &first->next;
    }
    return in;
}

static void rwlock_abandon(struct wait *wait, int code)
{
    struct queued *place = container_of(wait, struct queued, wait), *in = NULL;
    weir_rwlock *lock = container_of(place, struct rwlock_wait, place)->lock;
    bool left;

    queued_enter(&lock->waiting_, lock->shared);
    left = place->in_queue;
    if (left) {
        queued_remove(place);
        in = rwlock_admit(lock);
    }
    queued_leave(&lock->waiting_, lock->shared);
    if (left)
        wait_wake(wait, code);
    queued_wake_list(in, 0);
}

static bool holds(weir_rwlock *lock, const struct fiber *self)
{
    return lock->writer_ == self || named_place(lock, self) != NULL;
}

/* Inside, and out of it. */
static __attribute__((noinline)) int rwlock_wait(weir_rwlock *lock, bool writes, const void *caller)
{
    struct rwlock_wait self = {
        .place.wait = { .abandon = rwlock_abandon,
                        .what = writes ? "lock for writing" : "lock for reading",
                        .object = lock,
                        .kind = WAIT_LOCK },
        .lock = lock,
        .writes = writes,
    };
    int rc = queued_park(&lock->waiting_, lock->shared, &self.place);

    if (rc == 0)
        held_add(fiber_current(), lock, caller);
    return rc;
}

/* Go in if nobody is in the way. Inside. */
static bool rwlock_take(weir_rwlock *lock, struct fiber *self, bool writes, const void *caller)
{
    if (lock->writer_ || (writes ? lock->readers_ > 0 : queued_first(&lock->waiting_) != NULL))
        return false;
    if (writes)
        lock->writer_ = self;
    else
        let_read(lock, self);
    held_add(self, lock, caller);
    return true;
}

static int rwlock_lock(weir_rwlock *lock, bool writes, const void *caller)
{
    struct fiber *self;
    int rc = rt_check();

    if (rc < 0)
        return rc;
    self = fiber_current();
    queued_use(&lock->waiting_, lock->shared, "read-write lock");
    if (holds(lock, self)) {
        queued_leave(&lock->waiting_, lock->shared);
        return weir_fail(-EDEADLK, "the task holds this lock already, and would wait for itself");
    }
    if (!rwlock_take(lock, self, writes, caller))
        return rwlock_wait(lock, writes, caller);
    queued_leave(&lock->waiting_, lock->shared);
    rt_spend();
    return 0;
}

static int rwlock_try(weir_rwlock *lock, bool writes, const void *caller)
{
    struct fiber *self = fiber_current();
    bool taken;

    if (unlikely(!self)) {
        rt_wrong_use("a read-write lock is tried outside a task: only a task can hold one");
        return WEIR_EWRONGUSE;
    }
    queued_use(&lock->waiting_, lock->shared, "read-write lock");
    taken = rwlock_take(lock, self, writes, caller);
    queued_leave(&lock->waiting_, lock->shared);
    return taken ? 0 : -EBUSY;
}

int weir_read_lock(weir_rwlock *lock)
{
    return rwlock_lock(lock, false, HELD_CALLER);
}

int weir_write_lock(weir_rwlock *lock)
{
    return rwlock_lock(lock, true, HELD_CALLER);
}

int weir_try_read_lock(weir_rwlock *lock)
{
    return rwlock_try(lock, false, HELD_CALLER);
}

int weir_try_write_lock(weir_rwlock *lock)
{
    return rwlock_try(lock, true, HELD_CALLER);
}

/* Are there readers that had no room among the named? */
static bool has_unnamed(const weir_rwlock *lock)
{
    uint32_t named = 0;

    for (size_t i = 0; i < NAMED_MAX; i++)
        named += lock->named_[i] != NULL;
    return lock->readers_ > named;
}

/* The task, which is NULL outside one, reads no longer. Inside; false: it did not. */
static bool rwlock_end_read(weir_rwlock *lock, struct fiber *self)
{
    void **place = self ? named_place(lock, self) : NULL;

    if (!place && (!self || self->locks_held == 0 || !has_unnamed(lock)))
        return false;
    if (place)
        *place = NULL;
    lock->readers_--;
    return true;
}

static bool rwlock_end_write(weir_rwlock *lock, struct fiber *self)
{
    if (!self || lock->writer_ != self)
        return false;
    lock->writer_ = NULL;
    return true;
}

static void rwlock_unlock(weir_rwlock *lock, bool writes)
{
    struct fiber *self = fiber_current();
    struct queued *in = NULL;
    bool held;

    queued_enter(&lock->waiting_, lock->shared);
    held = writes ? rwlock_end_write(lock, self) : rwlock_end_read(lock, self);
    if (held)
        in = rwlock_admit(lock);
    queued_leave(&lock->waiting_, lock->shared);
    if (held)
        held_remove(self, lock);
    else
        rt_wrong_use(writes ? "a task ends a write under a lock that it does not hold"
                            : "a task ends a read of a lock that it does not read under");
    queued_wake_list(in, 0);
}

void weir_read_unlock(weir_rwlock *lock)
{
    rwlock_unlock(lock, false);
}

void weir_write_unlock(weir_rwlock *lock)
{
    rwlock_unlock(lock, true);
}

void weir_rwlock_done(weir_rwlock *lock)
{
    bool held;

    if (!lock)
        return;
    queued_enter(&lock->waiting_, lock->shared);
    held = lock->writer_ || lock->readers_ > 0;
    queued_leave(&lock->waiting_, lock->shared);
    if (held)
        rt_wrong_use("a read-write lock was freed while a task holds it");
    queued_end(&lock->waiting_, lock->shared, "a read-write lock");
}
