/* Waiting in a lock's queue: the parts off the straight way; see queued.h.
 *
 * The guard is a lock as in spin.h, but a plain integer, as it stands in public
 * structs which C++ reads too.
 *
 * Which loop a lock belongs to is written into it at its first use, with the number
 * of the run of the runtime, as a static lock is used in run after run. */
#include "rt/queued.h"
#include "rt/spin.h"

void queued_guard_wait(weir_wait_queue *queue)
{
    unsigned rounds = 0;

    do {
        while (__atomic_load_n(&queue->guard_, __ATOMIC_RELAXED) != 0)
            spin_relax(&rounds);
    } while (__atomic_exchange_n(&queue->guard_, 1, __ATOMIC_ACQUIRE) != 0);
}

static void queued_told(struct message *message)
{
    struct queued *place = container_of(message, struct queued, message);

    wait_wake(&place->wait, place->rc);
}

void queued_post(struct queued *place, int rc)
{
    place->rc = rc;
    place->message.run = queued_told;
    loop_post(place->loop, &place->message);
}

void queued_check_loop(weir_wait_queue *queue, const char *what)
{
    uint32_t mine;

    if (!loop_current)
        return;
    mine = runtime_number() << 9 | (loop_current->index + 1);
    if (queue->loop_ >> 9 != mine >> 9)
        queue->loop_ = mine;
    else if (queue->loop_ != mine)
        rt_wrong_use("a %s that tasks of loop %u use is used by a task of loop %u: "
                     "make it with .shared = true",
                     what, (queue->loop_ & 511) - 1, loop_current->index);
}

void queued_abandon(struct wait *wait, int code)
{
    struct queued *place = container_of(wait, struct queued, wait);
    bool left;

    queued_enter(place->guard, place->shared);
    left = place->in_queue;
    if (left)
        queued_remove(place);
    queued_leave(place->guard, place->shared);
    if (left)
        wait_wake(wait, code);
}

void queued_end(weir_wait_queue *queue, bool shared, const char *what)
{
    struct queued *waiting;

    queued_enter(queue, shared);
    waiting = queued_pop_all(queue);
    queued_leave(queue, shared);
    if (!waiting)
        return;
    rt_wrong_use("%s was freed while a task waits for it", what);
    queued_wake_list(waiting, WEIR_ECLOSED);
}
