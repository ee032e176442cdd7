/* What two loops, or a loop and the blocking pool, cost when they hand each other
 * work; bench/peers/ holds the same jobs in other stacks.
 *
 *     pair pingpong ROUNDS   a task on each of two loops on two cores, each waiting
 *                            for the other's message
 *     pair busy MESSAGES     one loop sends, one receives, through a channel of 1,024
 *     pair spawn TASKS       all started, then all joined
 *     pair block CALLS       one blocking call after the other
 *
 * Prints one JSON line: CPU and elapsed nanoseconds an operation. */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weir/chan.h>
#include <weir/run.h>
#include <weir/scope.h>

typedef WEIR_CHAN(uint64_t) number_chan;

static struct {
    uint64_t count;
    cpu_set_t allowed;
    number_chan there, back;
    uint64_t ran;
} job;

/* This loop's thread, on the core of its index among those that the process may use. */
static void pin(void)
{
    uint32_t index = weir_loop_index();
    cpu_set_t one;

    for (int core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &job.allowed) && index-- == 0) {
            CPU_ZERO(&one);
            CPU_SET(core, &one);
            (void)sched_setaffinity(0, sizeof(one), &one);
            return;
        }
}

static int open_channels(uint32_t capacity)
{
    int rc = weir_chan_open(&job.there, .capacity = capacity, .shared = true);

    return rc < 0 ? rc : weir_chan_open(&job.back, .capacity = capacity, .shared = true);
}

static void free_channels(void)
{
    weir_chan_free(job.there);
    weir_chan_free(job.back);
}

static int answer(void *arg)
{
    uint64_t item;
    int rc;

    (void)arg;
    pin();
    while ((rc = weir_recv(job.there, &item)) > 0)
        if ((rc = weir_send(job.back, &item)) < 0)
            break;
    weir_close(job.back);
    return rc;
}

static int pingpong(void *arg)
{
    uint64_t item = 0;
    int rc = open_channels(1);

    (void)arg;
    if (rc == 0)
        rc = weir_submit(1, answer, NULL);
    pin();
    for (uint64_t i = 0; i < job.count && rc >= 0; i++) {
        rc = weir_send(job.there, &i);
        if (rc > 0)
            rc = weir_recv(job.back, &item);
        if (rc > 0 && item != i)
            rc = -EIO;
    }
    weir_close(job.there);
    if (rc > 0)
        rc = weir_recv(job.back, &item); /* 0: the other has ended */
    free_channels();
    return rc;
}

static int take_all(void *arg)
{
    uint64_t item, sum = 0;
    int rc;

    (void)arg;
    while ((rc = weir_recv(job.there, &item)) > 0)
        sum += item;
    return rc < 0 ? rc : weir_send(job.back, &sum);
}

static int busy(void *arg)
{
    uint64_t sum = 0;
    int rc = open_channels(1024);

    (void)arg;
    if (rc == 0)
        rc = weir_submit(1, take_all, NULL);
    for (uint64_t i = 0; i < job.count && rc >= 0; i++)
        rc = weir_send(job.there, &i);
    weir_close(job.there);
    if (rc > 0)
        rc = weir_recv(job.back, &sum);
    free_channels();
    return rc < 0 ? rc : sum == job.count * (job.count - 1) / 2 ? 0 : -EIO;
}

static int count_one(void *arg)
{
    ++*(uint64_t *)arg;
    return 0;
}

static int spawn(void *arg)
{
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        for (uint64_t i = 0; i < job.count; i++)
            weir_go(s, count_one, &job.ran);
        rc = weir_join(s);
    }
    return rc < 0 ? rc : job.ran == job.count ? 0 : -EIO;
}

static int block(void *arg)
{
    int rc = 0;

    (void)arg;
    for (uint64_t i = 0; i < job.count && rc == 0; i++)
        rc = weir_block(count_one, &job.ran);
    return rc < 0 ? rc : job.ran == job.count ? 0 : -EIO;
}

static double clock_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static const struct {
    const char *name;
    weir_fn *fn;
    uint32_t loops;
} jobs[] = {
    { "pingpong", pingpong, 2 }, { "busy", busy, 2 }, { "spawn", spawn, 1 }, { "block", block, 1 }
};

int main(int argc, char **argv)
{
    double cpu_ns, elapsed_ns;
    size_t which = 0;
    int rc;

    while (argc == 3 && which < sizeof(jobs) / sizeof(*jobs) &&
           strcmp(argv[1], jobs[which].name) != 0)
        which++;
    job.count = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
    if (job.count == 0 || which == sizeof(jobs) / sizeof(*jobs)) {
        fprintf(stderr, "usage: pair pingpong|busy|spawn|block COUNT\n");
        return 2;
    }
    if (sched_getaffinity(0, sizeof(job.allowed), &job.allowed) < 0)
        return 1;
    cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    elapsed_ns = clock_ns(CLOCK_MONOTONIC);
    rc = weir_run(jobs[which].fn, NULL, .loops = jobs[which].loops);
    cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
    elapsed_ns = clock_ns(CLOCK_MONOTONIC) - elapsed_ns;
    if (rc < 0) {
        fprintf(stderr, "pair: %s\n", weir_error_text(rc));
        return 1;
    }
    printf("{\"cpu_ns\":%.2f,\"elapsed_ns\":%.2f}\n", cpu_ns / (double)job.count,
           elapsed_ns / (double)job.count);
    return 0;
}
