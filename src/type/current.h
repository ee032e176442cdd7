/* The arena of the running task, which this layer can't see: the runtime sets the
 * function on each of its threads. NULL where no runtime is. */
#ifndef TYPE_CURRENT_H
#define TYPE_CURRENT_H

#include "base/arena.h"

extern _Thread_local struct arena *(*type_arena)(void);

/* NULL, with the error chain saying why, outside a task. */
struct arena *type_arena_here(void);

#endif
