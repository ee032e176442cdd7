/* The runtime's small figures: switches, tasks, channels, and what a parked task
 * keeps resident. CPU time of this process over millions of operations. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <weir/chan.h>
#include <weir/run.h>
#include <weir/scope.h>
#include <weir/stream.h>

#include "rt/context.h"

#define SWITCHES 20000000
#define OPERATIONS 10000000
#define SPAWNS 5000000
#define SPAWNS_AT_ONCE 1000000
#define PARKED 100000
#define RING_MAX 10000

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void report(const char *name, double value, const char *unit)
{
    printf("{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", name, value, unit);
}

static void report_ns(const char *name, double began_ns, double operations)
{
    report(name, (cpu_ns() - began_ns) / operations, "ns");
}

/* ---- bare switches: a ring of contexts, each of which jumps to the next ------- */

static struct context home, *ring[RING_MAX];
static uint32_t ring_size;
static uint64_t left;

/* As the scheduler does, when there are many. */
__attribute__((always_inline)) static inline void look_ahead(uint32_t self)
{
    const char *sp;

    if (ring_size <= 2 * CONTEXT_FAR)
        return;
    sp = ring[(self + CONTEXT_NEAR) % ring_size]->sp;
    __builtin_prefetch(ring[(self + CONTEXT_FAR) % ring_size]);
    __builtin_prefetch(sp);
    __builtin_prefetch(sp + 64);
}

static void go_round(void *arg)
{
    uint32_t self = (uint32_t)(uintptr_t)arg, next = (self + 1) % ring_size;

    context_arrived(&home);
    for (;;) {
        if (left-- == 0)
            context_jump(ring[self], &home);
        look_ahead(self);
        context_jump(ring[self], ring[next]);
    }
}

/* Contexts stand at the tops of their stacks, as fibers do. */
static void bare_switches(const char *name, uint32_t size)
{
    struct stacks stacks;
    double began;

    stacks_init(&stacks, STACK_BYTES_DEFAULT);
    ring_size = size;
    for (uint32_t i = 0; i < size; i++) {
        char *low = stack_take(&stacks);
        char *top = low + STACK_BYTES_DEFAULT - (i % 16) * 64 - 192;

        ring[i] = (struct context *)(void *)top;
        context_make(ring[i], low, top, go_round, (void *)(uintptr_t)i);
    }
    context_adopt(&home);
    left = size * 4u;
    context_jump(&home, ring[0]); /* warm */
    began = cpu_ns();
    left = SWITCHES;
    context_jump(&home, ring[0]);
    report_ns(name, began, SWITCHES);
    stacks_done(&stacks);
}

/* ---- in the runtime ------------------------------------------------------------ */

static int yield_often(void *arg)
{
    int rc = 0;

    for (uint32_t i = *(uint32_t *)arg; i > 0 && rc == 0; i--)
        rc = weir_yield();
    return rc;
}

static int scheduler_switches(const char *name, uint32_t tasks)
{
    uint32_t each = SWITCHES / tasks;
    int rc = 0;

    WEIR_SCOPE(s) {
        double began = cpu_ns();

        for (uint32_t i = 0; i < tasks; i++)
            weir_go(s, yield_often, &each);
        rc = weir_join(s);
        report_ns(name, began, SWITCHES);
    }
    return rc;
}

static int count_one(void *arg)
{
    ++*(uint64_t *)arg;
    return 0;
}

static int spawns(void)
{
    uint64_t count = 0;
    double began = cpu_ns();
    int rc = 0;

    WEIR_SCOPE(s)
        for (int i = 0; i < SPAWNS; i++) {
            weir_go(s, count_one, &count);
            rc = weir_join(s);
            if (rc < 0)
                break;
        }
    if (rc == 0 && count != SPAWNS)
        return weir_fail(-EIO, "%llu tasks ran", (unsigned long long)count);
    report_ns("spawn_run_join", began, SPAWNS);
    return rc;
}

/* Started in one scope, one after the other, and joined together. */
static int spawn_million(void)
{
    uint64_t count = 0;
    double began = cpu_ns();
    int rc = 0;

    WEIR_SCOPE(s) {
        for (int i = 0; i < SPAWNS_AT_ONCE; i++)
            weir_go(s, count_one, &count);
        rc = weir_join(s);
        report_ns("spawn_join_million", began, SPAWNS_AT_ONCE);
    }
    if (rc == 0 && count != SPAWNS_AT_ONCE)
        return weir_fail(-EIO, "%llu tasks ran", (unsigned long long)count);
    return rc;
}

typedef WEIR_CHAN(uint64_t) number_chan;

static int channel(const char *name, bool shared)
{
    number_chan c;
    uint64_t got, sum = 0;
    double began;
    int rc = weir_chan_open(&c, .capacity = 64, .shared = shared);

    if (rc < 0)
        return rc;
    began = cpu_ns();
    for (uint64_t i = 0; i < OPERATIONS && rc >= 0; i++) {
        rc = weir_send(c, &i);
        if (rc > 0)
            rc = weir_recv(c, &got);
        sum += got;
    }
    report_ns(name, began, OPERATIONS);
    weir_chan_free(c);
    return sum == (uint64_t)OPERATIONS * (OPERATIONS - 1) / 2 ? 0 : -EIO;
}

/* ---- memory --------------------------------------------------------------------- */

/* Resident memory and page tables of this process. */
static double resident_kib(void)
{
    char line[200];
    double rss = 0, tables = 0;
    FILE *file = fopen("/proc/self/status", "re");

    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            rss = strtod(line + 6, NULL);
        if (strncmp(line, "VmPTE:", 6) == 0)
            tables = strtod(line + 6, NULL);
    }
    fclose(file);
    return rss + tables;
}

/* Memory that was used once is not a measure of the next use: each of these
 * figures is taken in a process of its own. */
static int in_child(weir_fn *fn)
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        int rc = weir_run(fn, NULL, .loops = 1);

        if (rc < 0)
            fprintf(stderr, "micro_rt: %s\n", weir_error_text(rc));
        fflush(stdout);
        _exit(rc < 0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -errno;
    return status == 0 ? 0 : -EIO;
}

static int park(void *arg)
{
    (void)arg;
    return weir_sleep_ms(600000);
}

static int parked(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        double before = resident_kib();

        for (int i = 0; i < PARKED; i++)
            weir_go(s, park, NULL);
        if (weir_sleep_ms(200) == 0)
            report("parked_task_bytes", (resident_kib() - before) / PARKED, "KiB");
        weir_cancel(s);
        if (weir_join(s) != -ECANCELED)
            return -EIO;
    }
    weir_recover();
    return 0;
}

static int read_one(void *arg)
{
    weir_str data;
    ssize_t n = weir_stream_read(arg, &data);

    return n < 0 ? (int)n : 0;
}

/* The streams are there before: what is measured is the tasks that read them. */
static int parked_in_reads(void *arg)
{
    weir_stream **ends = calloc(2 * PARKED, sizeof(*ends));
    int rc = ends ? 0 : -ENOMEM;

    (void)arg;
    for (int i = 0; i < PARKED && rc == 0; i++)
        rc = weir_stream_pair(&ends[2 * i], &ends[2 * i + 1]);
    if (rc == 0)
        WEIR_SCOPE(s) {
            double before = resident_kib();

            for (int i = 0; i < PARKED; i++)
                weir_go(s, read_one, ends[2 * i]);
            rc = weir_sleep_ms(200);
            if (rc == 0)
                report("parked_read_bytes", (resident_kib() - before) / PARKED, "KiB");
            weir_cancel(s);
            if (weir_join(s) != -ECANCELED)
                rc = -EIO;
        }
    weir_recover();
    for (int i = 0; ends && i < 2 * PARKED; i++)
        weir_stream_close(ends[i]);
    free(ends);
    return rc;
}

static int measure(void *arg)
{
    int rc = scheduler_switches("switch_scheduler", 2);

    (void)arg;
    if (rc == 0)
        rc = scheduler_switches("switch_scheduler_10000", 10000);
    if (rc == 0)
        rc = spawns();
    if (rc == 0)
        rc = spawn_million();
    if (rc == 0)
        rc = channel("chan_send_recv", false);
    if (rc == 0)
        rc = channel("chan_shared", true);
    return rc;
}

int main(void)
{
    int rc = in_child(parked);

    if (rc == 0)
        rc = in_child(parked_in_reads);
    if (rc < 0)
        return 1;
    bare_switches("switch_2_tasks", 2);
    bare_switches("switch_10000_tasks", RING_MAX);
    rc = weir_run(measure, NULL, .loops = 1);
    if (rc < 0)
        fprintf(stderr, "micro_rt: %s\n", weir_error_text(rc));
    return rc < 0;
}
