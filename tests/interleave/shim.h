/* Put in front of a source file of the runtime by the compiler (-include): each of its
 * atomic operations, and each mutex, becomes a point at which the explorer may let
 * another thread go on. As only one runs at a time, the operations themselves are
 * plain; what is explored are the orders of a sequentially consistent machine. What a
 * weaker one may do beyond is ThreadSanitizer's part, and that of reading. */
#ifndef INTERLEAVE_SHIM_H
#define INTERLEAVE_SHIM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

void interleave_point(void);
void interleave_lock(pthread_mutex_t *mutex);
void interleave_unlock(pthread_mutex_t *mutex);
/* What a look with atomic_load() at this place, or by these words, does not see: a planted
 * fault. */
bool interleave_blind_to(const volatile void *place, const char *words);
/* Until another thread has gone on since this one last was here. */
void interleave_spin(void);
void interleave_lock_flag(bool *held);

#define SHIM_READ(p)                                                                              \
    ({                                                                                            \
        __auto_type shim_p = (p);                                                                 \
        interleave_point();                                                                       \
        *shim_p;                                                                                  \
    })
#define SHIM_WRITE(p, v)                                                                          \
    ({                                                                                            \
        __auto_type shim_to = (p);                                                                \
        interleave_point();                                                                       \
        *shim_to = (v);                                                                           \
        (void)0;                                                                                  \
    })
/* The old value; new may speak of it as shim_old. */
#define SHIM_CHANGE(p, new)                                                                       \
    ({                                                                                            \
        __auto_type shim_in = (p);                                                                \
        interleave_point();                                                                       \
        __auto_type shim_old = (*shim_in);                                                        \
        *shim_in = (new);                                                                         \
        shim_old;                                                                                 \
    })
#define SHIM_COMPARE(p, e, v)                                                                     \
    ({                                                                                            \
        __auto_type shim_of = (p);                                                                \
        __auto_type shim_e = (e);                                                                 \
        interleave_point();                                                                       \
        bool shim_same = *shim_of == *shim_e;                                                     \
        if (shim_same)                                                                            \
            *shim_of = (v);                                                                       \
        else                                                                                      \
            *shim_e = *shim_of;                                                                   \
        shim_same;                                                                                \
    })

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_strong_explicit
#undef atomic_fetch_add
#undef atomic_fetch_sub
#undef atomic_fetch_or
#undef atomic_fetch_and

#define atomic_load(p)                                                                            \
    ({                                                                                            \
        __auto_type shim_at = (p);                                                                \
        interleave_point();                                                                       \
        interleave_blind_to(shim_at, #p) ? (__typeof__(*shim_at))0 : *shim_at;                        \
    })
#define atomic_load_explicit(p, order) SHIM_READ(p)
#define atomic_store(p, v) SHIM_WRITE(p, v)
#define atomic_store_explicit(p, v, order) SHIM_WRITE(p, v)
#define atomic_exchange(p, v) SHIM_CHANGE(p, v)
#define atomic_exchange_explicit(p, v, order) SHIM_CHANGE(p, v)
#define atomic_compare_exchange_weak(p, e, v) SHIM_COMPARE(p, e, v)
#define atomic_compare_exchange_strong(p, e, v) SHIM_COMPARE(p, e, v)
#define atomic_compare_exchange_strong_explicit(p, e, v, order, other) SHIM_COMPARE(p, e, v)
#define atomic_fetch_add(p, v) SHIM_CHANGE(p, shim_old + (v))
#define atomic_fetch_sub(p, v) SHIM_CHANGE(p, shim_old - (v))
#define atomic_fetch_or(p, v) SHIM_CHANGE(p, shim_old | (v))
#define atomic_fetch_and(p, v) SHIM_CHANGE(p, shim_old & (v))

/* In the place of rt/spin.h: who waits for another thread lets one go on. */
#define RT_SPIN_H
struct spin {
    bool held;
};

static inline void spin_pause(void)
{
}

static inline void spin_relax(unsigned *rounds)
{
    ++*rounds;
    interleave_spin();
}

static inline void spin_lock(struct spin *spin)
{
    interleave_lock_flag(&spin->held);
}

static inline void spin_unlock(struct spin *spin)
{
    interleave_point();
    spin->held = false;
}

#define pthread_mutex_lock(mutex) interleave_lock(mutex)
#define pthread_mutex_unlock(mutex) interleave_unlock(mutex)

#endif
