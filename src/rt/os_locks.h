/* Locks of the operating system's threads that a task holds: it must not wait with one.
 *
 * While it waits, its thread runs other tasks. One of them that takes the same lock stops
 * the thread, and with it the task that would let it go; a recursive one lets both in.
 *
 * A program that is linked with the library weir-os-locks notes each lock that it takes
 * (os_locks.c); debug builds look there before a task leaves its stack. */
#ifndef RT_OS_LOCKS_H
#define RT_OS_LOCKS_H

#include <stddef.h>

struct fiber;

struct os_lock {
    const void *lock, *taken_at;
    const char *frame; /* in the stack that it was taken on */
    const char *kind;  /* "mutex" */
};

/* Of this thread's locks, the one that was taken last on a stack; or NULL. There is no such
 * function in programs that are linked without the library. */
extern __attribute__((weak, visibility("default"))) const struct os_lock *
os_locks_last(const char *stack_low, const char *stack_high);

/* The task of this fiber waits, for what: is it free of such locks? */
void os_locks_look(const struct fiber *self, const char *what);
/* The task of this fiber ends. */
void os_locks_look_at_end(const struct fiber *self);

static inline void os_locks_check(const struct fiber *self, const char *what)
{
#ifdef WEIR_DEBUG
    if (os_locks_last)
        os_locks_look(self, what);
#else
    (void)self;
    (void)what;
#endif
}

static inline void os_locks_check_end(const struct fiber *self)
{
#ifdef WEIR_DEBUG
    if (os_locks_last)
        os_locks_look_at_end(self);
#else
    (void)self;
#endif
}

#endif
