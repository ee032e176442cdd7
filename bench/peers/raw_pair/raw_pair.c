/* What two threads that hand each other work cost with nothing around them but
 * system calls: the floor for a runtime's loops and for its blocking pool.
 *
 *     raw_pair pingpong ROUNDS   two threads, each with an epoll and an eventfd of
 *                                its own, wake each other in turn
 *     raw_pair block ROUNDS      a thread with an epoll hands a job to a worker by
 *                                a condition variable; an eventfd tells its end
 *
 * Prints one JSON line: CPU and elapsed nanoseconds a round. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static uint64_t rounds;
static cpu_set_t allowed; /* what this process was given, before any thread is pinned */

static double clock_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The index-th of the cores that this process may use. */
static void pin(unsigned index)
{
    cpu_set_t one;

    for (int core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &allowed) && index-- == 0) {
            CPU_ZERO(&one);
            CPU_SET(core, &one);
            (void)sched_setaffinity(0, sizeof(one), &one);
            return;
        }
}

/* ---- a thread that can be woken ------------------------------------------------ */

struct end {
    int epoll, event;
};

static void end_open(struct end *end)
{
    struct epoll_event interest = { .events = EPOLLIN | EPOLLET };

    end->epoll = epoll_create1(EPOLL_CLOEXEC);
    end->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (end->epoll < 0 || end->event < 0 ||
        epoll_ctl(end->epoll, EPOLL_CTL_ADD, end->event, &interest) < 0) {
        fprintf(stderr, "raw_pair: %s\n", strerror(errno));
        exit(1);
    }
}

/* Edge-triggered: the counter need not be read. */
static void end_wait(struct end *end)
{
    struct epoll_event event;

    while (epoll_wait(end->epoll, &event, 1, -1) != 1)
        ;
}

static void end_wake(struct end *end)
{
    uint64_t one = 1;

    while (write(end->event, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

/* ---- two threads in turn ------------------------------------------------------- */

static struct end ends[2];

static void *answer(void *arg)
{
    (void)arg;
    pin(1);
    for (uint64_t i = 0; i < rounds; i++) {
        end_wait(&ends[1]);
        end_wake(&ends[0]);
    }
    return NULL;
}

static void pingpong(void)
{
    pthread_t other;

    end_open(&ends[0]);
    end_open(&ends[1]);
    pin(0);
    if (pthread_create(&other, NULL, answer, NULL) != 0)
        exit(1);
    for (uint64_t i = 0; i < rounds; i++) {
        end_wake(&ends[1]);
        end_wait(&ends[0]);
    }
    pthread_join(other, NULL);
}

/* ---- a worker ------------------------------------------------------------------ */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    uint64_t queued, done;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER };

static void *work(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < rounds; i++) {
        pthread_mutex_lock(&pool.lock);
        while (pool.queued == 0)
            pthread_cond_wait(&pool.work, &pool.lock);
        pool.queued--;
        pthread_mutex_unlock(&pool.lock);
        pool.done++;
        end_wake(&ends[0]);
    }
    return NULL;
}

static void block(void)
{
    pthread_t worker;

    end_open(&ends[0]);
    if (pthread_create(&worker, NULL, work, NULL) != 0)
        exit(1);
    for (uint64_t i = 0; i < rounds; i++) {
        pthread_mutex_lock(&pool.lock);
        pool.queued++;
        pthread_cond_signal(&pool.work);
        pthread_mutex_unlock(&pool.lock);
        end_wait(&ends[0]);
    }
    pthread_join(worker, NULL);
}

int main(int argc, char **argv)
{
    void (*job)(void) = NULL;
    double cpu_ns, elapsed_ns;

    if (argc == 3)
        job = strcmp(argv[1], "pingpong") == 0 ? pingpong
              : strcmp(argv[1], "block") == 0  ? block
                                               : NULL;
    rounds = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
    if (!job || rounds == 0) {
        fprintf(stderr, "usage: raw_pair pingpong|block ROUNDS\n");
        return 2;
    }
    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
        return 1;
    cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    elapsed_ns = clock_ns(CLOCK_MONOTONIC);
    job();
    cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
    elapsed_ns = clock_ns(CLOCK_MONOTONIC) - elapsed_ns;
    printf("{\"cpu_ns\":%.2f,\"elapsed_ns\":%.2f}\n", cpu_ns / (double)rounds,
           elapsed_ns / (double)rounds);
    return 0;
}
