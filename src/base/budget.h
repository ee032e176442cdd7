/* The process's budget of bytes: buffers, arenas, stacks and queues take from it
 * before they take memory, so that a flood is refused at the door instead of
 * ending in the kernel's out-of-memory killer.
 *
 * Holders take in large steps (a slab, a chunk), so the atomics here are cold.
 * Invariant: while nobody is taking or giving, budget_used() is the sum of the
 * kinds' counters. */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum budget_kind {
    BUDGET_STACK,
    BUDGET_BUFFER,
    BUDGET_ARENA,
    BUDGET_QUEUE,
    BUDGET_CONNECTION, /* slabs of connections, exchanges, tasks and scopes */
    BUDGET_KINDS
};

/* The bound, in bytes; 0 for none. */
void budget_set(uint64_t limit);
uint64_t budget_limit(void);

/* Take bytes if they fit; false (and nothing taken) when they don't. */
bool budget_take(enum budget_kind kind, uint64_t bytes);
void budget_give(enum budget_kind kind, uint64_t bytes);

uint64_t budget_used(void);
uint64_t budget_used_by(enum budget_kind kind);
const char *budget_kind_name(enum budget_kind kind);

/* Would another connection fit? A sixteenth of the budget is kept for the
 * requests of the connections that are already in. */
bool budget_admits(uint64_t bytes);

#endif
