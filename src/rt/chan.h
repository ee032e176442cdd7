/* What chan.c, chan_shared.c and select.c share. */
#ifndef RT_CHAN_H
#define RT_CHAN_H

#include "rt/parked.h"
#include "rt/queue.h"

/* A task that waits at one end of a channel of its loop: by itself, or as an arm
 * of a select, which must be claimed before it is served. Without an item it waits
 * for room that is kept for it. */
struct chan_wait {
    struct node link;
    struct wait *wait;
    void *item;      /* to take from, or to fill */
    int arm;
    struct parked *parked; /* NULL: not a select */
};

enum {
    CHAN_CLOSED = 1,
    CHAN_ONESHOT = 2,
    CHAN_RESERVED = 4 /* some of its room is kept: reserved is not 0 */
};

struct weir_chan {
    struct loop *loop;              /* NULL: shared, or made outside a loop */
    struct node senders, receivers; /* chan_wait, or of shared ones chan_place */
    uint32_t capacity, first, count;
    uint32_t reserved;
    size_t item_bytes;
    char *items;     /* a ring */
    uint8_t state;
    bool shared, source;
    bool foreign;    /* a task sent that was not started where it was opened */
    bool alone;      /* nobody is left to wake who waits at it, as it seemed last */
    uint32_t high;   /* the most that was in it; of a local one */
    const struct scope *sent_in; /* of the task that sent last; NULL: none has; local */
    const char *sender_site;
    weir_scope opened_in;
    atomic_uint ends[2]; /* tasks that were started to send, and to receive */
    atomic_bool keeps_room; /* a task has asked for room to be kept */
    void (*drop)(void *item);
    const char *name;
    struct queue queue;
};

/* A channel belongs to the loop that made it: a debug build looks. One that was made
 * before the runtime ran is not looked at. */
static inline void chan_check_loop(const weir_chan *chan)
{
#ifdef WEIR_DEBUG
    if (chan->loop && chan->loop != loop_current)
        rt_wrong_use("channel \"%s\" belongs to loop %u: tasks of another loop can't use it, "
                     "unless it is opened with .shared",
                     chan->name ? chan->name : "", chan->loop->index);
#else
    (void)chan;
#endif
}

/* A task other than the last one sends; see leaks in src/ops. */
void chan_note_sender(weir_chan *chan, const struct fiber *self);

static inline void chan_note(weir_chan *chan)
{
    const struct fiber *self = loop_current ? loop_current->current : NULL;

    if (VISIBLE && unlikely(!self || chan->sent_in != self->task->scope))
        chan_note_sender(chan, self);
}

/* Do it now if it can be done: the result, or -EAGAIN. */
int chan_send_now(weir_chan *chan, const void *item);
int chan_recv_now(weir_chan *chan, void *ret_item);

/* ---- shared channels ---------------------------------------------------------- */

enum chan_end { CHAN_SENDERS, CHAN_RECEIVERS };

/* A task's place in a shared channel's line. */
struct chan_place {
    struct node link;
    struct parked *parked;
    void *item; /* to take from, or to fill; NULL: wait for room that is kept */
    int arm;
    enum chan_end end;
};

size_t shared_bytes(size_t item_bytes, uint32_t capacity);
weir_chan *shared_new(size_t item_bytes, uint32_t capacity, bool oneshot);
/* Before its memory is freed: what is left in it. */
void shared_drop(weir_chan *chan);
void shared_close(weir_chan *chan);
uint32_t shared_depth(const weir_chan *chan);

/* As chan_send_now(). */
int shared_send_now(weir_chan *chan, const void *item);
int shared_recv_now(weir_chan *chan, void *ret_item);
/* The checkpoints behind their first check. */
int shared_send(weir_chan *chan, const void *item);
int shared_recv(weir_chan *chan, void *ret_item);
int shared_reserve(weir_chan *chan);
void shared_send_reserved(weir_chan *chan, const void *item);
void shared_unreserve(weir_chan *chan);

/* Stand in line; the task may be served within, or from then on by any loop. */
void shared_enter(weir_chan *chan, struct chan_place *place);
/* Out of the line, if it is still in it. */
void shared_leave(weir_chan *chan, struct chan_place *place);

#endif
