/* Finding tasks that wait for each other for ever; see waits.h, and walk.h for who calls. */
#ifndef OPS_DEADLOCK_H
#define OPS_DEADLOCK_H

#include "ops/waits.h"

struct loop;
struct task;

/* On the loop: add the task, if it has waited since since_ns for what others stand in the
 * way of. false: there are too many. */
bool deadlock_see(struct waits *waits, const struct loop *loop, const struct task *task,
                  int64_t since_ns);
/* And when all of its tasks were seen. */
void deadlock_see_loop(struct waits *waits, struct loop *loop);
/* What was seen of all loops: tell each deadlock once. */
void deadlock_tell(struct waits *waits);

#endif
