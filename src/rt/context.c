/* The switch under ThreadSanitizer: see context.h. Elsewhere it is inline. */
#include "rt/context.h"

#ifdef CONTEXT_TSAN
void context_jump(struct context *from, struct context *to)
{
    __tsan_switch_to_fiber(to->tsan_fiber, 0);
    context_switch(&from->sp, to->sp);
}
#endif
