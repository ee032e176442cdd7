/* The processor's own counter: the cheapest clock, for what is only shown. It counts
 * evenly and alike on all processors of the machines that weir supports (x86-64 with an
 * invariant time stamp counter, aarch64's virtual counter). Nothing is decided by it:
 * simulated time does not pass here. */
#ifndef BASE_TICKS_H
#define BASE_TICKS_H

#include <stdint.h>

static inline uint64_t ticks_now(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
#error "this processor's counter is not known"
#endif
}

/* How many a second: measured against the monotonic clock since the first call, which
 * waits a millisecond; better the longer the process runs. Any thread. */
double ticks_per_second(void);
/* Ticks as nanoseconds. */
uint64_t ticks_to_ns(uint64_t ticks);

#endif
