/* What this thread holds of the operating system's locks: the library weir-os-locks.
 *
 * It is no part of libweir. The linker leads every call of a program to pthread_mutex_lock()
 * and its like here (--wrap), and the call is noted when it has succeeded. Calls from within
 * shared libraries are not seen; what they lock, they unlock.
 *
 * A wait at a condition needs nothing: it holds its mutex again when it returns, and the
 * thread stands still meanwhile. A recursive lock is noted as often as it is taken.
 *
 * Invariant: locks[0 .. count) are in the order in which they were taken. A thread that holds
 * more than LOCKS_NOTED has the rest not noted. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <threads.h>

#include "rt/os_locks.h"

#define LOCKS_NOTED 32

static _Thread_local struct {
    uint32_t count;
    struct os_lock locks[LOCKS_NOTED];
} held;

const struct os_lock *os_locks_last(const char *stack_low, const char *stack_high)
{
    for (uint32_t i = held.count; i-- > 0;)
        if (held.locks[i].frame >= stack_low && held.locks[i].frame < stack_high)
            return &held.locks[i];
    return NULL;
}

static void note(const void *lock, const char *kind, const void *taken_at, const void *frame)
{
    if (held.count < LOCKS_NOTED)
        held.locks[held.count++] = (struct os_lock){ lock, taken_at, frame, kind };
}

static void forget(const void *lock)
{
    for (uint32_t i = held.count; i-- > 0;) {
        if (held.locks[i].lock != lock)
            continue;
        held.count--;
        for (; i < held.count; i++)
            held.locks[i] = held.locks[i + 1];
        return;
    }
}

/* EOWNERDEAD: the caller holds it, and its last owner has died with it. */
#define TAKE(name, kind, params, args)                                              \
    int __real_##name params;                                                             \
    int __wrap_##name params;                                                             \
    int __wrap_##name params                                                              \
    {                                                                                     \
        int rc = __real_##name args;                                                      \
                                                                                          \
        if (rc == 0 || rc == EOWNERDEAD)                                                  \
            note((const void *)lock, kind, __builtin_return_address(0),                   \
                 __builtin_frame_address(0));                                             \
        return rc;                                                                        \
    }

#define LEAVE(name, type)                                                                 \
    int __real_##name(type *lock);                                                        \
    int __wrap_##name(type *lock);                                                        \
    int __wrap_##name(type *lock)                                                         \
    {                                                                                     \
        forget((const void *)lock);                                                            \
        return __real_##name(lock);                                                       \
    }

#define TAKE_NOW(name, kind, type) TAKE(name, kind, (type *lock), (lock))
#define TAKE_UNTIL(name, kind, type)                                                      \
    TAKE(name, kind, (type *lock, const struct timespec *at), (lock, at))
#define TAKE_BY_CLOCK(name, kind, type)                                                   \
    TAKE(name, kind, (type *lock, clockid_t clock, const struct timespec *at),      \
         (lock, clock, at))

/* The same names are in os_locks.cmake. */
TAKE_NOW(pthread_mutex_lock, "mutex", pthread_mutex_t)
TAKE_NOW(pthread_mutex_trylock, "mutex", pthread_mutex_t)
TAKE_UNTIL(pthread_mutex_timedlock, "mutex", pthread_mutex_t)
TAKE_BY_CLOCK(pthread_mutex_clocklock, "mutex", pthread_mutex_t)
LEAVE(pthread_mutex_unlock, pthread_mutex_t)
TAKE_NOW(pthread_rwlock_rdlock, "read lock", pthread_rwlock_t)
TAKE_NOW(pthread_rwlock_tryrdlock, "read lock", pthread_rwlock_t)
TAKE_UNTIL(pthread_rwlock_timedrdlock, "read lock", pthread_rwlock_t)
TAKE_BY_CLOCK(pthread_rwlock_clockrdlock, "read lock", pthread_rwlock_t)
TAKE_NOW(pthread_rwlock_wrlock, "write lock", pthread_rwlock_t)
TAKE_NOW(pthread_rwlock_trywrlock, "write lock", pthread_rwlock_t)
TAKE_UNTIL(pthread_rwlock_timedwrlock, "write lock", pthread_rwlock_t)
TAKE_BY_CLOCK(pthread_rwlock_clockwrlock, "write lock", pthread_rwlock_t)
LEAVE(pthread_rwlock_unlock, pthread_rwlock_t)
TAKE_NOW(pthread_spin_lock, "spin lock", volatile int)
TAKE_NOW(pthread_spin_trylock, "spin lock", volatile int)
LEAVE(pthread_spin_unlock, volatile int)
TAKE_NOW(mtx_lock, "mutex", mtx_t)
TAKE_NOW(mtx_trylock, "mutex", mtx_t)
TAKE_UNTIL(mtx_timedlock, "mutex", mtx_t)
LEAVE(mtx_unlock, mtx_t)
