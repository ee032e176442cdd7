/* Pools of threads for blocking calls. */
#ifndef RT_THREADS_H
#define RT_THREADS_H

#include <pthread.h>

#include <weir/block.h>

#include "rt/loop.h"

#define THREADS_NAME_BYTES 16

struct pool_thread;

struct weir_threads {
    pthread_mutex_t lock;
    struct node link;              /* among all pools */
    char name[THREADS_NAME_BYTES];
    struct pool_thread *idle;      /* the last that became idle is the first */
    struct node jobs;              /* that wait for a thread */
    struct node running;           /* that have one */
    uint32_t threads_max, queue_max;
    int64_t idle_ns;               /* WEIR_NEVER_NS: threads stay */
    bool closing;
    bool has_exited;               /* exited is yet to be joined */
    pthread_t exited;
    pthread_cond_t gone;           /* no thread is left */
    struct message told_gone;      /* the same, for a loop */
    struct loop *closer;
    struct wait *closer_wait;
    void *_Atomic observed;        /* the observer's */
    weir_threads_stats stats;
};

void threads_init(weir_threads *threads, const char *name, uint32_t threads_max, uint32_t queue_max,
                  int64_t idle_ns);
/* Wait for what runs, on this thread, and free what the pool holds. */
void threads_done(weir_threads *threads);
/* The same from a task, which is parked. */
void threads_close(weir_threads *threads);
/* Start a thread ahead of the first job; 0 or -EAGAIN. */
int threads_start_one(weir_threads *threads);

/* Is there room for one more job? Otherwise counts a refusal, and fails. */
int threads_refuse(weir_threads *threads);
/* 0 or -EBUSY. */
int threads_submit(weir_threads *threads, struct block_job *job);
/* Its caller goes: take it out, or leave it to the pool if it may be. */
enum job_end threads_give_up(weir_threads *threads, struct block_job *job);
/* Has a thread begun it? */
bool threads_began(struct weir_threads *threads, const struct block_job *job);
/* A job has ended: count it. begun_ns is when it began. */
void threads_count(weir_threads *threads, int64_t queued_ns, int64_t begun_ns, int64_t ended_ns);

#define THREADS_LOOK_JOBS 8

/* What a pool does, and who holds its threads. */
struct threads_look {
    char name[THREADS_NAME_BYTES];
    uint32_t threads_max, queue_max;
    weir_threads_stats stats;
    uint32_t count;
    struct {
        const char *name, *site; /* of the call; of the task that made it */
        int64_t age_ns;          /* since it was made */
    } jobs[THREADS_LOOK_JOBS];   /* the oldest */
};
/* Any thread, while the pool lives. */
void threads_look(weir_threads *threads, struct threads_look *ret_look);
/* Look at all pools that there are, those of the runtime first; at most max of them. Returns
 * how many there are. Any thread. */
uint32_t threads_look_at_all(struct threads_look *ret_looks, uint32_t max);

#endif
