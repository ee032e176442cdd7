/* Entering an idle stack from its top, and leaving it for good.
 *
 * A task that starts, ends, and is joined is two switches, and with context_switch()
 * both returns are foretold wrongly: each goes to where the other came from. Entering
 * an idle stack by a jump, and leaving it by the return that belongs to the call that
 * entered it, is to the processor a call of a function and its return. Nothing is
 * saved on a stack that is left so: the next entry begins anew.
 *
 * Only where the sanitizers, which follow the stacks, need not be told. */
#ifndef RT_ENTER_H
#define RT_ENTER_H

#include "rt/context.h"

#if defined(__x86_64__) && !defined(CONTEXT_ASAN) && !defined(CONTEXT_TSAN)
#define CONTEXT_ENTERS

void context_enter(void **save_sp, void *top, void (*fn)(void *arg));

/* Take up a stack that context_switch() or context_enter() left; the running one is
 * empty from here on. Not a call, which would have to return. */
_Noreturn static inline __attribute__((always_inline)) void context_leave(void *to_sp)
{
    __asm__ volatile("movq %0, %%rsp\n\t"
                     "popq %%r15\n\t"
                     "popq %%r14\n\t"
                     "popq %%r13\n\t"
                     "popq %%r12\n\t"
                     "popq %%rbx\n\t"
                     "popq %%rbp\n\t"
                     "ret"
                     :
                     : "r"(to_sp)
                     : "memory");
    __builtin_unreachable();
}
#endif

#endif
