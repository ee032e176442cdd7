/* Parks tasks, and tells what else a loop does between two runs of one that always yields: how
 * long it is kept from running, in CPU time, which other programs do not lengthen, and by the
 * clock.
 *
 *     parked TASKS SOCKET
 *
 * After "ready", each line on standard input is answered by one of JSON about the time since
 * the line before; the end of the input is the program's. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <weir/weir.h>

static struct {
    atomic_bool asked, over;
    const char *socket;
    long tasks;
} parked;

static void *read_lines(void *arg)
{
    char line[64];

    while (fgets(line, sizeof(line), stdin))
        atomic_store(&parked.asked, true);
    atomic_store(&parked.over, true);
    return arg;
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int sleeper(void *arg)
{
    (void)arg;
    return weir_sleep_ms(3600000);
}

static void probe(void)
{
    int64_t cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID), wall_ns = now_ns(CLOCK_MONOTONIC);
    int64_t longest_cpu_ns = 0, longest_wall_ns = 0;
    unsigned long runs = 0;

    while (!atomic_load(&parked.over)) {
        int64_t before_cpu_ns = cpu_ns, before_wall_ns = wall_ns;

        WEIR_IGNORE(weir_yield(), "nothing cancels it");
        cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
        wall_ns = now_ns(CLOCK_MONOTONIC);
        if (cpu_ns - before_cpu_ns > longest_cpu_ns)
            longest_cpu_ns = cpu_ns - before_cpu_ns;
        if (wall_ns - before_wall_ns > longest_wall_ns)
            longest_wall_ns = wall_ns - before_wall_ns;
        runs++;
        if (!atomic_exchange(&parked.asked, false))
            continue;
        printf("{\"runs\":%lu,\"longest_cpu_ms\":%.4f,\"longest_wall_ms\":%.4f}\n", runs,
               (double)longest_cpu_ns / 1e6, (double)longest_wall_ns / 1e6);
        fflush(stdout);
        runs = 0;
        longest_cpu_ns = longest_wall_ns = 0;
        cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
        wall_ns = now_ns(CLOCK_MONOTONIC);
    }
}

static int program(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        for (long i = 0; i < parked.tasks; i++)
            weir_go(s, sleeper, NULL);
        WEIR_IGNORE(weir_sleep_ms(1), "all have begun then");
        puts("ready");
        fflush(stdout);
        probe();
        weir_cancel(s);
        WEIR_IGNORE(weir_join(s), "it is cancelled");
    }
    return 0;
}

int main(int argc, char **argv)
{
    pthread_t reader;
    int rc;

    parked.tasks = argc == 3 ? strtol(argv[1], NULL, 10) : 0;
    if (parked.tasks < 1 || weir_inspect_open(.socket = argv[2]) < 0 ||
        pthread_create(&reader, NULL, read_lines, NULL) != 0) {
        fprintf(stderr, "usage: parked TASKS SOCKET\n");
        return 2;
    }
    rc = weir_run(program, NULL, .loops = 1, .grace_ms = 1000);
    pthread_join(reader, NULL);
    weir_inspect_close();
    return rc < 0;
}
