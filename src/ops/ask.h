/* Questions to a loop, from the operator's threads.
 *
 * The loop answers on its own thread, between two of its batches, in steps that are
 * short: no turn gets longer by more than one step. A loop that is held up answers late
 * or never; who asks does not wait for it longer than it said. */
#ifndef OPS_ASK_H
#define OPS_ASK_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* One step of an answer, with the state that ask_loop() was given; true: it is whole.
 * On the loop's own stack: it may look at the loop's tasks, and must not keep pointers to
 * them in the state between two steps. */
typedef bool ask_step(struct loop *loop, void *state);

/* Have a loop run step until it is through, and wait for that. state is a block from
 * base_calloc(), handed over: after 0 it is the caller's again; after a failure it is freed,
 * with free_state (NULL: base_free()), as soon as the loop will not touch it any more.
 * 0, or
 *   -ETIMEDOUT   the loop has not answered in time
 *   -ECANCELED   no runtime runs, it has no such loop, or that loop has ended
 *   -ENOMEM
 * Thread: any but a loop's; several may ask at once. */
int ask_loop(uint32_t loop, ask_step *step, void *state, void (*free_state)(void *state),
             uint32_t timeout_ms);
/* Free what questions of runtimes that are over have left behind. */
void ask_done(void);

#endif
