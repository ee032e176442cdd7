/* How long tasks of each kind live: a kind is the place that starts them.
 *
 * A task that is many times older than those of its kind get is worth a look: most likely
 * it waits for what will not come. A small table, one place for each of many kinds: where
 * two meet, the later one takes it, and less is known of both. */
#ifndef RT_LIVES_H
#define RT_LIVES_H

#include "rt/loop.h"

#define LIVES_KNOWN 8 /* of so many tasks on, a kind has a usual life */

/* A task of this kind has ended. */
void lives_note(struct loop *loop, const char *site, int64_t life_ns);
/* What tasks of the kind live, the last ones counting most; -1: not known. */
int64_t lives_usual_ns(const struct loop *loop, const char *site);

/* Most tasks end in the turn that they begin in: of those a sixteenth is noted. */
static inline void lives_end(struct loop *loop, const struct task *task)
{
    int64_t life_ns = loop->now_ns - task->begun_ns;

    if (VISIBLE && unlikely(life_ns != 0 || (task->head.generation & 0x1e) == 0))
        lives_note(loop, task->site, life_ns);
}

#endif
