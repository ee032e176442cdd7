/* A lock between loops for sections of a few instructions, which never wait, wake
 * or call out while they hold it.
 *
 * Giving it back is one store, the last access to what it guards: whoever learns by
 * it that an object is no longer used may free that. (A pthread mutex looks at
 * itself once more.) A holder that the kernel has taken off its core is let run. */
#ifndef RT_SPIN_H
#define RT_SPIN_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#define SPIN_ROUNDS 200 /* then another thread gets this core */

struct spin {
    atomic_bool held;
};

static inline void spin_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

/* One round of waiting for another core; rounds counts them. */
static inline void spin_relax(unsigned *rounds)
{
    if (++*rounds % SPIN_ROUNDS == 0)
        sched_yield();
    else
        spin_pause();
}

static inline void spin_lock(struct spin *spin)
{
    unsigned rounds = 0;

    while (atomic_exchange_explicit(&spin->held, true, memory_order_acquire))
        do
            spin_relax(&rounds);
        while (atomic_load_explicit(&spin->held, memory_order_relaxed));
}

static inline void spin_unlock(struct spin *spin)
{
    atomic_store_explicit(&spin->held, false, memory_order_release);
}

#endif
