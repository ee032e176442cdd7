/* The look at the operating system's locks before a task waits; see os_locks.h. */
#include <stdio.h>

#include "rt/loop.h"
#include "rt/os_locks.h"
#include "rt/place.h"

static const struct os_lock *taken_by(const struct fiber *self)
{
    return os_locks_last(self->stack_low, self->stack_low + loop_current->stacks.stack_bytes);
}

/* " 0x5581…" or " orders_lock (0x5581…)": a static one has a name. */
static void name_lock(const void *lock, char *text, size_t size)
{
    char name[PLACE_BYTES];

    if (place_name(lock, false, name, sizeof(name)))
        snprintf(text, size, "%s (%p)", name, lock);
    else
        snprintf(text, size, "at %p", lock);
}

void os_locks_look(const struct fiber *self, const char *what)
{
    const struct os_lock *lock = taken_by(self);
    char name[PLACE_BYTES + 32], taken[PLACE_BYTES];

    if (likely(!lock))
        return;
    name_lock(lock->lock, name, sizeof(name));
    place_name(lock->taken_at, true, taken, sizeof(taken));
    rt_wrong_use(
        "task \"%s\" (%s) waits (%s) while it holds the thread's %s %s, taken at %s: other "
        "tasks run on this thread meanwhile, and the first that takes it stops the "
        "loop for good; unlock it before what may wait, or use weir_lock()",
        task_name(self->task), self->task->site, what ? what : "for others", lock->kind, name,
        taken);
}

void os_locks_look_at_end(const struct fiber *self)
{
    const struct os_lock *lock = taken_by(self);
    char name[PLACE_BYTES + 32], taken[PLACE_BYTES];

    if (likely(!lock))
        return;
    name_lock(lock->lock, name, sizeof(name));
    place_name(lock->taken_at, true, taken, sizeof(taken));
    rt_wrong_use("task \"%s\" (%s) ended with the thread's %s %s held, taken at %s: unlock it on "
                 "every way out",
                 task_name(self->task), self->task->site, lock->kind, name, taken);
}
