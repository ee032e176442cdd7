/* See alt_stack.h. A thread has at most one such stack: whoever was first keeps it, and
 * gives it up. */
#include "rt/alt_stack.h"

#include <stddef.h>

#include <weir/error.h>

void alt_stack_begin(struct alt_stack *stack)
{
    stack_t before, own = { .ss_sp = stack->bytes, .ss_size = sizeof(stack->bytes) };

    /* A sanitizer, or the program, may have been here first. */
    stack->ours = sigaltstack(NULL, &before) == 0 && before.ss_flags & SS_DISABLE &&
                  sigaltstack(&own, NULL) == 0;
}

void alt_stack_end(struct alt_stack *stack)
{
    stack_t none = { .ss_flags = SS_DISABLE };

    if (stack->ours)
        WEIR_IGNORE(sigaltstack(&none, NULL), "no handler runs here");
}

void alt_stack_mask(sigset_t *ret_before)
{
    static const int own[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, ALT_LOOK_SIGNAL };
    sigset_t mask;

    sigfillset(&mask);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        sigdelset(&mask, own[i]);
    pthread_sigmask(SIG_SETMASK, &mask, ret_before);
}
