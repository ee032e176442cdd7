/* What queues tell of themselves, for whoever looks.
 *
 * Each queue is known by the place that opened it: however many a program opens there,
 * they share one line of figures. A queue of one loop is in that loop's list and is looked
 * at on its thread; one of all loops is in the process's list, under a lock. */
#ifndef RT_QUEUE_H
#define RT_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/scope.h>

#include "base/list.h"
#include "rt/loop.h"

#define QUEUE_PLACES 256 /* beyond them, further ones share the last */

#define QUEUE_NAME_BYTES 64

struct queue_place {
    const char *_Atomic site; /* "file.c:12"; NULL: not taken yet */
    const char *name, *kind;  /* kind: "channel"; name: NULL, or what follows */
    char name_copy[QUEUE_NAME_BYTES]; /* a queue's name may end with it, a place stays */
    uint32_t number;          /* its own: queue_place_at() */
    uint32_t capacity;        /* of the first that was opened there */
    _Atomic uint32_t open;    /* of them now */
    _Atomic uint32_t depth;   /* in all of them, at the last look */
    _Atomic uint32_t high;    /* the most that one of them has held */
    _Atomic uint64_t waits, waited_ns, refused;
    _Atomic bool told;        /* that it stays full */
};

struct queue_state {
    uint32_t depth, capacity, high, waiting;
    bool full;
};

/* A task, as it was: any loop's. */
struct queue_user {
    _Atomic uint64_t handle; /* generation and slot; 0: none, or no task */
    const char *_Atomic site;
    _Atomic uint32_t loop;
};

/* Stands in what is a queue. */
struct queue {
    struct node link;
    struct queue_place *place; /* NULL: it is not known */
    void (*read)(const struct queue *queue, struct queue_state *ret_state);
    bool shared;
    uint8_t full_looks;        /* in a row */
    struct queue_user filler, drainer; /* who was last held up by it; who last took from
                                          it, or waited to */
};

/* It is open: on its loop, or with shared from anywhere. Without a loop it stays unknown. */
void queue_open(struct queue *queue, const char *kind, const char *name, const char *site,
                uint32_t capacity, bool shared);
void queue_close(struct queue *queue);
/* The loop ends before its queues. */
void queue_forget_all(struct loop *loop);

/* Generation and slot. */
static inline uint64_t queue_handle(const struct task *task)
{
    return (uint64_t)task->head.generation << 32 | task->head.slot;
}

/* The running task was held up, or refused, as it is full. */
void queue_note_filler(struct queue *queue, bool refused);
/* place: the queue's, from before the wait: the queue may be gone. */
void queue_note_waited(struct queue_place *place, int64_t waited_ns);
/* The running task takes from it, or waits to. */
void queue_note_drainer(struct queue *queue);

/* Look at some of the loop's queues (at most max, the next ones the next time), or, with a
 * NULL loop, at those of all loops. A look brings the places' figures up to date;
 * each is called for every queue. */
void queue_look(struct loop *loop, uint32_t max,
                void (*each)(struct queue *queue, const struct queue_state *state, void *arg),
                void *arg);
/* The places in use: 0 to the number returned, less one. */
uint32_t queue_place_count(void);
struct queue_place *queue_place_at(uint32_t index);

#endif
