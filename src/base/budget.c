/* The counters behind the byte budget; see budget.h.
 *
 * The total is claimed by compare-and-swap before the kind's counter moves, so
 * the bound holds under any interleaving; a reader between the two steps sees a
 * total that is ahead of the kinds' sum, never one that lets too much in. */
#include "base/budget.h"

#include <stdatomic.h>
#include <stddef.h>

static struct {
    _Atomic uint64_t limit;
    _Atomic uint64_t used;
    _Atomic uint64_t by[BUDGET_KINDS];
} budget;

static const char *const kind_names[BUDGET_KINDS] = {
    [BUDGET_STACK] = "stack", [BUDGET_BUFFER] = "buffer",         [BUDGET_ARENA] = "arena",
    [BUDGET_QUEUE] = "queue", [BUDGET_CONNECTION] = "connection",
};

void budget_set(uint64_t limit)
{
    atomic_store(&budget.limit, limit);
}

uint64_t budget_limit(void)
{
    return atomic_load_explicit(&budget.limit, memory_order_relaxed);
}

bool budget_take(enum budget_kind kind, uint64_t bytes)
{
    uint64_t limit = budget_limit();
    uint64_t used = atomic_load_explicit(&budget.used, memory_order_relaxed);
    uint64_t after;

    do {
        if (__builtin_add_overflow(used, bytes, &after) || (limit && after > limit))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&budget.used, &used, after,
                                                    memory_order_relaxed, memory_order_relaxed));
    atomic_fetch_add_explicit(&budget.by[kind], bytes, memory_order_relaxed);
    return true;
}

void budget_give(enum budget_kind kind, uint64_t bytes)
{
    atomic_fetch_sub_explicit(&budget.by[kind], bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&budget.used, bytes, memory_order_relaxed);
}

uint64_t budget_used(void)
{
    return atomic_load_explicit(&budget.used, memory_order_relaxed);
}

uint64_t budget_used_by(enum budget_kind kind)
{
    return atomic_load_explicit(&budget.by[kind], memory_order_relaxed);
}

const char *budget_kind_name(enum budget_kind kind)
{
    return (unsigned)kind < BUDGET_KINDS ? kind_names[kind] : "unknown";
}

bool budget_admits(uint64_t bytes)
{
    uint64_t limit = budget_limit();
    uint64_t after;

    if (!limit)
        return true;
    return !__builtin_add_overflow(budget_used(), bytes, &after) && after <= limit - limit / 16;
}
