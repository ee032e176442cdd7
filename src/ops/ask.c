/* Questions to a loop; see ask.h.
 *
 * A question is a message. When its asker has given up it is an orphan: its loop may
 * still come to it. It stays in a list until it is answered, or until the run of the
 * runtime that it was asked in is over: then nobody turns that loop any more, and the list
 * has the last word. A loop that has ended before the others answers nothing more: its
 * askers are told at once, and the questions stay where they were posted.
 *
 * However many ask, a turn is made longer by one step: what has come to the loop besides
 * waits for the next.
 *
 * Invariants: a question is in the list from before it is posted until it is freed;
 * answered is set once, by the loop, as the last thing that it does with it; a loop is over
 * before its askers are told, and a question is in the list before its loop is looked at, so
 * that one of the two sees the other. */
#include "ops/ask.h"

#include <errno.h>
#include <pthread.h>

#include "base/clock.h"
#include "rt/loop.h"

struct question {
    struct message message;
    struct node link;
    ask_step *step;
    void *state;
    void (*free_state)(void *state);
    uint32_t run, loop; /* of the runtime */
    bool orphan;        /* these under the lock */
    bool answered;
    bool refused;       /* the loop is over */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    pthread_once_t once;
    struct node questions;
    uint32_t over; /* the last run of the runtime that is */
    uint64_t stepped[RT_LOOPS_MAX]; /* the turn of the last step; each its loop's own */
} asks = { .lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT };

static void loop_is_over(const struct loop *loop, uint32_t run);

static void asks_init(void)
{
    pthread_condattr_t attr;

    list_init(&asks.questions);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&asks.answered, &attr);
    pthread_condattr_destroy(&attr);
    runtime_on_over(loop_is_over);
}

static void state_free(const struct question *q)
{
    if (q->free_state)
        q->free_state(q->state);
    else
        base_free(q->state);
}

static void question_free(struct question *q)
{
    list_unlink(&q->link);
    base_free(q);
}

/* Orphans that nobody will come to any more. The lock is held. */
static void free_orphans(void)
{
    struct node *n, *next;

    for (n = asks.questions.next; n != &asks.questions; n = next) {
        struct question *q = container_of(n, struct question, link);

        next = n->next;
        if (q->orphan && (q->answered || q->run <= asks.over)) {
            state_free(q);
            question_free(q);
        }
    }
}

static void loop_is_over(const struct loop *loop, uint32_t run)
{
    pthread_mutex_lock(&asks.lock);
    for (struct node *n = asks.questions.next; n != &asks.questions; n = n->next) {
        struct question *q = container_of(n, struct question, link);

        if (q->run == run && (!loop || q->loop == loop->index))
            q->refused = true;
    }
    if (!loop) {
        asks.over = run;
        free_orphans();
    }
    pthread_cond_broadcast(&asks.answered);
    pthread_mutex_unlock(&asks.lock);
}

/* Once a turn, where there is a pulse to tell turns by. */
static bool may_step(const struct loop *loop)
{
    uint64_t turn = atomic_load_explicit(&loop->pulse.began, memory_order_relaxed);
    bool may = turn == 0 || asks.stepped[loop->index] != turn;

    asks.stepped[loop->index] = turn;
    return may;
}

/* On the loop: one step, and the next one when it comes to its messages again. */
static void answer(struct message *message)
{
    struct question *q = container_of(message, struct question, message);

    if (!may_step(loop_current) || !q->step(loop_current, q->state)) {
        loop_post(loop_current, message);
        return;
    }
    pthread_mutex_lock(&asks.lock);
    q->answered = true;
    pthread_cond_broadcast(&asks.answered);
    pthread_mutex_unlock(&asks.lock);
}

static int post(struct question *q, uint32_t index)
{
    int rc;
    struct loop *loop = runtime_enter(index, 0, &rc);

    if (!loop)
        return -ECANCELED;
    q->run = runtime_number();
    q->loop = index;
    pthread_mutex_lock(&asks.lock);
    list_push(&asks.questions, &q->link);
    q->refused = atomic_load(&loop->over);
    pthread_mutex_unlock(&asks.lock);
    loop_post(loop, &q->message);
    runtime_leave();
    return 0;
}

static int wait_for(struct question *q, uint32_t timeout_ms)
{
    int64_t until_ns = clock_monotonic_ns() + (int64_t)timeout_ms * 1000000;
    struct timespec until = { .tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000 };
    int rc = 0;

    pthread_mutex_lock(&asks.lock);
    while (!q->answered && !q->refused && rc == 0)
        rc = -pthread_cond_timedwait(&asks.answered, &asks.lock, &until);
    if (q->answered) {
        rc = 0;
        question_free(q);
    } else {
        rc = q->refused ? -ECANCELED : rc;
        q->orphan = true;
    }
    free_orphans();
    pthread_mutex_unlock(&asks.lock);
    return rc;
}

int ask_loop(uint32_t loop, ask_step *step, void *state, void (*free_state)(void *state),
             uint32_t timeout_ms)
{
    struct question *q = base_calloc(1, sizeof(*q)), refused;
    int rc = -ENOMEM;

    pthread_once(&asks.once, asks_init);
    refused = (struct question){ .state = state, .free_state = free_state };
    if (q) {
        q->message.run = answer;
        q->step = step;
        q->state = state;
        q->free_state = free_state;
        rc = post(q, loop);
    }
    if (rc == 0)
        return wait_for(q, timeout_ms);
    state_free(&refused);
    base_free(q);
    return rc;
}

void ask_done(void)
{
    pthread_once(&asks.once, asks_init);
    pthread_mutex_lock(&asks.lock);
    free_orphans();
    pthread_mutex_unlock(&asks.lock);
}
