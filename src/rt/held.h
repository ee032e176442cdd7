/* Which locks a task holds: every lock says so here, for whoever looks for tasks that wait
 * for each other, and for those that end with one. A task that holds more than HELD_NAMED
 * has the rest only counted. */
#ifndef RT_HELD_H
#define RT_HELD_H

#include "rt/loop.h"

/* The code that called the public function this stands in. */
#define HELD_CALLER __builtin_return_address(0)

static inline void held_add(struct fiber *self, const void *lock, const void *taken_at)
{
    self->locks_held++;
    if (likely(self->held_named < HELD_NAMED))
        self->held[self->held_named++] = (struct held_lock){ lock, taken_at };
}

/* Does it hold the lock? Also true when it may, among those that are only counted. */
static inline bool held_has(const struct fiber *self, const void *lock)
{
    for (uint8_t i = 0; i < self->held_named; i++)
        if (self->held[i].lock == lock)
            return true;
    return self->locks_held > self->held_named;
}

static inline void held_remove(struct fiber *self, const void *lock)
{
    self->locks_held--;
    for (uint8_t i = self->held_named; i-- > 0;) {
        if (self->held[i].lock == lock) {
            self->held[i] = self->held[--self->held_named];
            return;
        }
    }
}

#endif
