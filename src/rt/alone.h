/* Is a task that waits at a channel waiting for nobody? See alone.c. */
#ifndef RT_ALONE_H
#define RT_ALONE_H

#include <stdbool.h>
#include <stdint.h>

struct task;
struct weir_chan;

/* The channel that the task has waited at for as long as since_ns, without a deadline;
 * NULL: it waits for something else, or may be woken by time. */
struct weir_chan *alone_waits_at(const struct task *task, long long since_ns);
/* What one look, of a few steps, keeps from channel to channel; zeroed at first. */
struct alone_known {
    const void *in_use; /* the scope that was found so last, whose channels all are */
    uint32_t looked;    /* at so many tasks */
};
/* Does everyone who could serve those that wait at this channel wait as well, for ever?
 * On the channel's loop; looks at no more than a thousand tasks. */
bool alone_is(const struct weir_chan *chan, long long since_ns, struct alone_known *known);

#endif
