/* A blocking call's round trip, beside the bare thing: a queue under a mutex, a
 * condition variable for the thread, an eventfd in an epoll for the way back.
 * Both in turns, in this process; the least of several rounds of each, as CPU time
 * of the process and as wall time. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <weir/block.h>
#include <weir/run.h>

#define ROUNDS 7
#define TRIPS 20000

struct spent {
    double cpu_ns, wall_ns; /* a trip */
};

static double clock_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void begin(struct spent *spent)
{
    spent->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    spent->wall_ns = clock_ns(CLOCK_MONOTONIC);
}

static void end(struct spent *spent, struct spent *least)
{
    double cpu_ns = (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - spent->cpu_ns) / TRIPS;
    double wall_ns = (clock_ns(CLOCK_MONOTONIC) - spent->wall_ns) / TRIPS;

    if (least->cpu_ns == 0 || cpu_ns < least->cpu_ns)
        least->cpu_ns = cpu_ns;
    if (least->wall_ns == 0 || wall_ns < least->wall_ns)
        least->wall_ns = wall_ns;
}

static int count_one(void *arg)
{
    *(uint64_t *)arg += 1;
    return 0;
}

/* ---- the bare thing ------------------------------------------------------- */

struct job {
    struct job *next;
    weir_fn *fn;
    void *arg;
    int rc;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct job *jobs, *ended;
    int event, epoll;
    int stop;
} bare = { .lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER };

static void *bare_thread(void *arg)
{
    uint64_t one = 1;

    (void)arg;
    pthread_mutex_lock(&bare.lock);
    for (;;) {
        struct job *job = bare.jobs;

        if (!job) {
            if (bare.stop)
                break;
            pthread_cond_wait(&bare.work, &bare.lock);
            continue;
        }
        bare.jobs = job->next;
        pthread_mutex_unlock(&bare.lock);
        job->rc = job->fn(job->arg);
        pthread_mutex_lock(&bare.lock);
        job->next = bare.ended;
        bare.ended = job;
        pthread_mutex_unlock(&bare.lock);
        if (write(bare.event, &one, sizeof(one)) != sizeof(one))
            abort();
        pthread_mutex_lock(&bare.lock);
    }
    pthread_mutex_unlock(&bare.lock);
    return NULL;
}

static void bare_call(weir_fn *fn, void *arg)
{
    struct job job = { .fn = fn, .arg = arg }, *ended = NULL;
    struct epoll_event event;

    pthread_mutex_lock(&bare.lock);
    job.next = bare.jobs;
    bare.jobs = &job;
    pthread_mutex_unlock(&bare.lock);
    pthread_cond_signal(&bare.work);
    while (!ended) {
        if (epoll_wait(bare.epoll, &event, 1, -1) != 1)
            abort();
        pthread_mutex_lock(&bare.lock);
        ended = bare.ended;
        bare.ended = NULL;
        pthread_mutex_unlock(&bare.lock);
    }
}

static void bare_open(pthread_t *ret_thread)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };

    bare.epoll = epoll_create1(EPOLL_CLOEXEC);
    bare.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bare.epoll < 0 || bare.event < 0 ||
        epoll_ctl(bare.epoll, EPOLL_CTL_ADD, bare.event, &event) < 0 ||
        pthread_create(ret_thread, NULL, bare_thread, NULL) != 0)
        abort();
}

static void bare_close(pthread_t thread)
{
    pthread_mutex_lock(&bare.lock);
    bare.stop = 1;
    pthread_cond_signal(&bare.work);
    pthread_mutex_unlock(&bare.lock);
    pthread_join(thread, NULL);
    close(bare.event);
    close(bare.epoll);
}

/* ---- both, in turns ------------------------------------------------------- */

static struct spent least_bare, least_weir;

static int measure(void *arg)
{
    struct spent spent;
    uint64_t count = 0;
    int rc = 0;

    (void)arg;
    for (int round = 0; round < ROUNDS && rc == 0; round++) {
        begin(&spent);
        for (int i = 0; i < TRIPS; i++)
            bare_call(count_one, &count);
        end(&spent, &least_bare);
        begin(&spent);
        for (int i = 0; i < TRIPS && rc == 0; i++)
            rc = weir_block(count_one, &count);
        end(&spent, &least_weir);
    }
    return rc < 0 || count != 2u * ROUNDS * TRIPS ? -1 : 0;
}

static void report(const char *name, double value, const char *unit)
{
    printf("{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", name, value, unit);
}

int main(void)
{
    pthread_t thread;
    int rc;

    bare_open(&thread);
    rc = weir_run(measure, NULL, .loops = 1);
    bare_close(thread);
    if (rc < 0)
        return 1;
    report("block_cpu", least_weir.cpu_ns, "ns");
    report("block_cpu_bare", least_bare.cpu_ns, "ns");
    report("block_cpu_ratio", least_weir.cpu_ns / least_bare.cpu_ns, "times");
    report("block_wall", least_weir.wall_ns, "ns");
    report("block_wall_bare", least_bare.wall_ns, "ns");
    report("block_wall_ratio", least_weir.wall_ns / least_bare.wall_ns, "times");
    return 0;
}
