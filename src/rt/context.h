/* Switching from one context to another, with what the sanitizers must be told.
 *
 * Each target has its own assembly; this is the only place that calls it. */
#ifndef RT_CONTEXT_H
#define RT_CONTEXT_H

#include "rt/loop.h"

#ifdef CONTEXT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef CONTEXT_TSAN
#include <sanitizer/tsan_interface.h>
#endif

void context_switch(void **save_sp, void *to_sp);
void context_begin(void);

/* Put under top what context_switch() takes from a stack that it takes up, so that
 * it goes on in context_begin() with fn and arg, on a stack aligned to 16 bytes. */
#if defined(__x86_64__)
static inline void **context_frame(void **top, void (*fn)(void *arg), void *arg)
{
    void **sp = top - 9;

    /* r15, r14, r13, r12, rbx, rbp, return. */
    memset(sp, 0, 9 * sizeof *sp);
    sp[3] = (void *)fn;
    sp[4] = arg;
    sp[6] = (void *)context_begin;
    return sp;
}
#elif defined(__aarch64__)
static inline void **context_frame(void **top, void (*fn)(void *arg), void *arg)
{
    void **sp = top - 20;
    register void *begin __asm__("x17") = (void *)context_begin;
    register void *modifier __asm__("x16") = top;

    /* x29, x30, x19 to x28, d8 to d15. The address is signed as context_switch()
     * signs its own (pacia1716, a hint). */
    __asm__("hint #8" : "+r"(begin) : "r"(modifier));
    memset(sp, 0, 20 * sizeof *sp);
    sp[1] = begin;
    sp[2] = arg;
    sp[3] = (void *)fn;
    return sp;
}
#else
#error "no context switch for this processor: see src/rt/switch_*.S"
#endif

/* Make a context that will call fn(arg) on the stack that ends at top. */
static inline void context_make(struct context *context, char *low, char *top,
                                void (*fn)(void *arg), void *arg)
{
    void **sp = context_frame((void **)((uintptr_t)top & ~(uintptr_t)15), fn, arg);

    context->sp = sp;
    (void)low;
#ifdef CONTEXT_ASAN
    context->fake_stack = NULL;
    context->stack_low = low;
    context->stack_bytes = (size_t)(top - low);
    __asan_unpoison_memory_region(low, (size_t)(top - low));
#endif
#ifdef CONTEXT_TSAN
    context->tsan_fiber = __tsan_create_fiber(0);
#endif
}

/* The context of the thread's own stack. */
static inline void context_adopt(struct context *context)
{
    memset(context, 0, sizeof(*context));
#ifdef CONTEXT_TSAN
    context->tsan_fiber = __tsan_get_current_fiber();
#endif
}

static inline void context_forget(struct context *context)
{
    (void)context;
#ifdef CONTEXT_TSAN
    if (context->tsan_fiber)
        __tsan_destroy_fiber(context->tsan_fiber);
    context->tsan_fiber = NULL;
#endif
}

/* The first thing that runs on a new stack says so. */
static inline void context_arrived(struct context *previous)
{
    (void)previous;
#ifdef CONTEXT_ASAN
    const void *low;
    size_t bytes;

    /* The thread's own stack becomes known at the first switch away from it. */
    __sanitizer_finish_switch_fiber(NULL, &low, &bytes);
    if (previous && previous->stack_low == NULL) {
        previous->stack_low = low;
        previous->stack_bytes = bytes;
    }
#endif
}

/* How far ahead contexts that will be switched to are fetched: a stack that was
 * not used for a while is in no cache, and its page in no TLB. First the line with
 * the stack pointer, then, when that is there, what it points to. */
#define CONTEXT_FAR 16
#define CONTEXT_NEAR 8

#ifdef CONTEXT_TSAN
/* The switch of fibers must be the last thing before the jump, in code that is
 * not instrumented. */
__attribute__((no_sanitize("thread"), noinline))
#else
static inline
#endif
void context_jump(struct context *from, struct context *to);

#ifndef CONTEXT_TSAN
static inline void context_jump(struct context *from, struct context *to)
{
#ifdef CONTEXT_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack_low, to->stack_bytes);
#endif
    context_switch(&from->sp, to->sp);
#ifdef CONTEXT_ASAN
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}
#endif

#endif
