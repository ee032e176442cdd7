/* A loop's open scopes, for whoever looks: as inspect.h does for its tasks. */
#ifndef RT_INSPECT_SCOPE_H
#define RT_INSPECT_SCOPE_H

#include "rt/inspect.h"

struct scope;

/* One scope, copied. Names are pointers to the program's own strings. */
struct inspect_scope {
    uint32_t slot, generation;
    uint32_t parent_slot, parent_generation; /* 0: it is the application's */
    uint32_t loop;
    char name[INSPECT_NAME_BYTES];
    char site[INSPECT_PATH_BYTES];
    char origin[INSPECT_NAME_BYTES];         /* where its cancel began */
    weir_task opener;                        /* slot 0: the loop itself */
    uint32_t live, limit, failed;            /* limit 0: none */
    int cancel_code;
    bool joining;                            /* its opener waits for its children */
    int64_t age_ns, left_ns;                 /* left: INT64_MAX: no deadline */
};

/* The next one from *cursor (0 at first) on; false at the end. On the loop's thread. */
bool inspect_scope_next(const struct loop *loop, uint32_t *cursor, struct inspect_scope *ret_scope);

#endif
