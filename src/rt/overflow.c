/* Naming the task whose stack has overflowed.
 *
 * Why: a guard page turns an overflow into a plain SIGSEGV, which says nothing of
 * tasks. A debug build takes that signal, where nobody else has (a sanitizer, the
 * program's own handler), says which task it was when the address lies in the guard
 * of the running one, and lets the signal do its work: the process ends by it, at
 * the same place.
 *
 * Invariants: the handler stands only for the first such signal, and only on threads
 * that have a stack for it; everything else that is a SIGSEGV stays silent. */
#include "rt/overflow.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rt/loop.h"

#ifdef WEIR_DEBUG
static void say_overflow(const struct loop *loop, const struct fiber *fiber)
{
    char text[300];
    int len = snprintf(
        text, sizeof(text),
        "weir: wrong use: task \"%.100s\" has overflowed its stack of %zu bytes: keep "
        "large things elsewhere (weir_alloc()), or ask for more (.stack_bytes)\n",
        task_name(fiber->task), loop->stacks.stack_bytes);

    if (len > 0)
        WEIR_IGNORE(write(2, text, (size_t)len), "the process ends anyway");
}

static void on_fault(int number, siginfo_t *info, void *unused)
{
    struct loop *loop = loop_current;
    const struct fiber *fiber = loop ? loop->current : NULL;
    const char *at = info->si_addr;

    (void)number;
    (void)unused;
    /* A large frame reaches beyond the guard at once. */
    if (fiber && fiber->task && at < fiber->stack_low + loop->stacks.page_bytes &&
        at >= fiber->stack_low - loop->stacks.stack_bytes)
        say_overflow(loop, fiber);
    /* SA_RESETHAND: the same access now ends the process; a signal that was sent has none. */
    if (info->si_code <= 0)
        raise(SIGSEGV);
}

bool overflow_handles(const struct sigaction *action)
{
    return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_fault;
}

/* The handler stays at the end: another loop's thread may need it, and without a stack
 * for it it changes nothing. */
void overflow_watch(void)
{
    struct sigaction now,
        own = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND };

    if (sigaction(SIGSEGV, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
        now.sa_handler == SIG_DFL)
        WEIR_IGNORE(sigaction(SIGSEGV, &own, NULL), "it says more, but is not needed");
}
#endif
