/* The mutex, as the condition variable needs it. */
#ifndef RT_MUTEX_H
#define RT_MUTEX_H

#include "rt/rt.h"

/* Does the current task hold it? */
bool mutex_is_own(weir_mutex *mutex);
/* Take a mutex that the current task does not hold, in its turn, whatever is
 * cancelled meanwhile; caller: the code that it is taken back for. */
void mutex_take_back(weir_mutex *mutex, const void *caller);

#endif
