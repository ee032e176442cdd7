/* What a loop's tasks are doing, for whoever looks: on the loop's own thread, a few at a
 * time, so that a look at a hundred thousand of them never holds a turn up.
 *
 * A walk is a cursor over the loop's table of tasks: those that start or end meanwhile
 * may be missed or seen, each at most once; nothing is kept between two steps but the
 * cursor. */
#ifndef RT_INSPECT_H
#define RT_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/scope.h>

struct loop;
struct scope;
struct task;
struct wait;

#define INSPECT_PATH_BYTES 160
#define INSPECT_NAME_BYTES 64
#define INSPECT_ID_BYTES 64
#define INSPECT_ROUTE_BYTES 96

enum inspect_state {
    INSPECT_QUEUED, /* has not started: waits for its turn, or for what it needs */
    INSPECT_READY,
    INSPECT_RUNNING,
    INSPECT_PARKED,
    INSPECT_AWAY, /* runs on another loop */
    INSPECT_ENDED /* kept for its result */
};

/* One task, copied: nothing in it points into the loop but site, what, and the
 * addresses, which are only to be compared. */
struct inspect_task {
    weir_task handle;
    uint32_t loop;
    enum inspect_state state;
    const char *site;                /* "file.c:12 function" */
    char name[INSPECT_NAME_BYTES];
    char path[INSPECT_PATH_BYTES];   /* its scopes, outermost first, as in "a > b" */
    char correlation_id[INSPECT_ID_BYTES], trace_id[INSPECT_ID_BYTES];
    char route[INSPECT_ROUTE_BYTES]; /* of the request that it works for; may be cut */
    const char *what;                /* parked: for what; else NULL */
    const void *object;              /* and on what; may be NULL */
    int64_t since_ns;                /* and since when, on its loop's clock */
    int64_t waited_ns, age_ns;       /* parked for; since its first run (0: not yet) */
    int64_t left_ns;                 /* until its deadline; INT64_MAX: none */
    bool cancelled;                  /* its scope has been */
    const void *stack_pointer;       /* where its registers are saved; NULL: it runs, or
                                        has no stack */
    const char *stack_low, *stack_high;
    uint32_t locks_held;
    const char *suspect;             /* why it may never end; NULL: nothing says so */
    int64_t usual_ns;                /* a suspect for its age: what its kind's live; else 0 */
};

/* The next task of the loop from *cursor (0 at first) on, or NULL at the end. */
const struct task *inspect_next(const struct loop *loop, uint32_t *cursor);
#define INSPECT_SLOTS 2048 /* a step looks at so many of the table's places at most */
/* The same, for one step of several: NULL also when the cursor has come to until. A table
 * that was large once may be almost empty. */
const struct task *inspect_next_until(const struct loop *loop, uint32_t *cursor, uint32_t until);
bool inspect_at_end(const struct loop *loop, uint32_t cursor);
/* How many there are now. */
uint32_t inspect_count(const struct loop *loop);
void inspect_task(const struct loop *loop, const struct task *task, struct inspect_task *ret_task);
/* A scope and those around it, outermost first: "a > b". */
void inspect_path(const struct scope *scope, char *path, size_t size);
/* Why it is a suspect, in full: "" when it is none. Returns text. */
const char *inspect_suspect(const struct inspect_task *task, char *text, size_t size);
const char *inspect_state_name(enum inspect_state state);

#endif
