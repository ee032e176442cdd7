/* What chan.c and select.c share. */
#ifndef RT_CHAN_H
#define RT_CHAN_H

#include "rt/loop.h"

/* A task that waits at one end of a channel: by itself, or as an arm of a
 * select. In the second case whoever completes it notes the arm. */
struct chan_wait {
    struct node link;
    struct wait *wait;
    void *item;      /* to take from, or to fill */
    int arm;
    int *ret_arm;    /* NULL: not a select */
};

struct weir_chan {
    struct loop *loop;
    struct node senders, receivers; /* chan_wait */
    uint32_t capacity, first, count;
    size_t item_bytes;
    char *items;     /* a ring */
    bool closed, source;
    void (*drop)(void *item);
    const char *name;
};

/* A channel belongs to the loop that made it: a debug build looks. */
static inline void chan_check_loop(const weir_chan *chan)
{
#ifdef WEIR_DEBUG
    if (chan->loop != loop_current)
        rt_wrong_use("channel \"%s\" belongs to loop %u: tasks of another loop can't use it",
                     chan->name ? chan->name : "", chan->loop->index);
#else
    (void)chan;
#endif
}

/* Do it now if it can be done: the result, or -EAGAIN. */
int chan_send_now(weir_chan *chan, const void *item);
int chan_recv_now(weir_chan *chan, void *ret_item);

#endif
