/* Finding tasks that nobody is left to wake, and scopes that do not end; see walk.h for who
 * calls. */
#ifndef OPS_LEAKS_H
#define OPS_LEAKS_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/scope.h>

#include "rt/alone.h"
#include "rt/inspect.h"

struct task;

#define LEAKS_FOUND 8
#define LEAKS_NAMED 3

enum leak_kind { LEAK_CHANNEL, LEAK_SCOPE };

/* Tasks that are stuck for one reason. */
struct leak {
    enum leak_kind kind;
    const void *object;       /* the channel or scope */
    const char *site;         /* where that was opened */
    char name[INSPECT_NAME_BYTES];
    const char *sender_site;  /* of a channel: who sent last */
    int64_t waited_ns;
    uint32_t count, named;
    weir_task tasks[LEAKS_NAMED];
};

/* Of one loop; zeroed at first. */
struct leaks {
    struct alone_known known;
    uint32_t count;
    struct leak found[LEAKS_FOUND];
};

/* On the loop: a task that has waited since since_ns. */
void leaks_see(struct leaks *leaks, const struct task *task, int64_t since_ns);
/* Tell each once a place. */
void leaks_tell(uint32_t loop, const struct leaks *leaks);

#endif
