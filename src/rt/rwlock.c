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
    reader->locks_held++;
}

static void let_write(weir_rwlock *lock, struct fiber *writer)
{
    lock->writer_ = writer;
    writer->locks_held++;
}

/* Let in whoever can go in, from the first on. */
static void rwlock_serve(weir_rwlock *lock)
{
    struct queued *first;

    while (!lock->writer_ && (first = queued_first(&lock->waiting_)) != NULL) {
        bool writes = container_of(first, struct rwlock_wait, place)->writes;

        if (writes && lock->readers_ > 0)
            return;
        queued_remove(first);
        if (writes)
            let_write(lock, first->wait.fiber);
        else
            let_read(lock, first->wait.fiber);
        wait_wake(&first->wait, 0);
    }
}

static void rwlock_abandon(struct wait *wait, int code)
{
    struct queued *place = container_of(wait, struct queued, wait);
    weir_rwlock *lock = container_of(place, struct rwlock_wait, place)->lock;

    queued_abandon(wait, code);
    rwlock_serve(lock);
}

static bool holds(weir_rwlock *lock, const struct fiber *self)
{
    return lock->writer_ == self || named_place(lock, self) != NULL;
}

static int rwlock_wait(weir_rwlock *lock, bool writes)
{
    struct rwlock_wait self = {
        .place.wait = { .abandon = rwlock_abandon,
                        .what = writes ? "lock for writing" : "lock for reading",
                        .object = lock },
        .lock = lock,
        .writes = writes,
    };

    return queued_park(&lock->waiting_, &self.place);
}

static int rwlock_lock(weir_rwlock *lock, bool writes)
{
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (holds(lock, fiber_current()))
        return weir_fail(-EDEADLK, "the task holds this lock already, and would wait for itself");
    rc = writes ? weir_try_write_lock(lock) : weir_try_read_lock(lock);
    if (rc < 0)
        return rwlock_wait(lock, writes);
    rt_spend();
    return 0;
}

int weir_read_lock(weir_rwlock *lock)
{
    return rwlock_lock(lock, false);
}

int weir_write_lock(weir_rwlock *lock)
{
    return rwlock_lock(lock, true);
}

int weir_try_read_lock(weir_rwlock *lock)
{
    if (lock->writer_ || queued_first(&lock->waiting_))
        return -EBUSY;
    let_read(lock, fiber_current());
    return 0;
}

int weir_try_write_lock(weir_rwlock *lock)
{
    if (lock->writer_ || lock->readers_ > 0)
        return -EBUSY;
    let_write(lock, fiber_current());
    return 0;
}

/* Are there readers that had no room among the named? */
static bool has_unnamed(const weir_rwlock *lock)
{
    uint32_t named = 0;

    for (size_t i = 0; i < NAMED_MAX; i++)
        named += lock->named_[i] != NULL;
    return lock->readers_ > named;
}

void weir_read_unlock(weir_rwlock *lock)
{
    struct fiber *self = fiber_current();
    void **place = self ? named_place(lock, self) : NULL;

    if (!place && (!self || self->locks_held == 0 || !has_unnamed(lock))) {
        rt_wrong_use("a task ends a read of a lock that it does not read under");
        return;
    }
    if (place)
        *place = NULL;
    self->locks_held--;
    lock->readers_--;
    rwlock_serve(lock);
}

void weir_write_unlock(weir_rwlock *lock)
{
    struct fiber *self = fiber_current();

    if (!self || lock->writer_ != self) {
        rt_wrong_use("a task ends a write under a lock that it does not hold");
        return;
    }
    self->locks_held--;
    lock->writer_ = NULL;
    rwlock_serve(lock);
}

void weir_rwlock_done(weir_rwlock *lock)
{
    if (!lock)
        return;
    if (lock->writer_ || lock->readers_ > 0)
        rt_wrong_use("a read-write lock was freed while a task holds it");
    queued_end(&lock->waiting_, "a read-write lock");
}
