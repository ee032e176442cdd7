/* What the process tells of itself, under the names that Prometheus's client
 * libraries agree on, and its budget of bytes.
 *
 * Read when it is asked for, from the kernel. What can't be read is NaN, which
 * is not 0. */
#include "obs/metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/clock.h"
#include "obs/metrics_state.h"
#include "obs/metrics_threads.h"

/* The head of a small file; false when it can't be read. */
static bool read_head(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static double read_cpu(void *arg)
{
    struct timespec t;

    (void)arg;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0
               ? (double)t.tv_sec + 1e-9 * (double)t.tv_nsec
               : NAN;
}

/* /proc/self/statm: sizes in pages; the first is the virtual, the second the
 * resident. */
static double read_memory(void *arg)
{
    unsigned long long pages[2];
    char text[128];

    if (!read_head("/proc/self/statm", text, sizeof text) ||
        sscanf(text, "%llu %llu", &pages[0], &pages[1]) != 2)
        return NAN;
    return (double)pages[arg ? 1 : 0] * (double)sysconf(_SC_PAGESIZE);
}

static double read_fds(void *arg)
{
    DIR *dir = opendir("/proc/self/fd");
    double count = -3; /* ".", ".." and the directory's own */

    (void)arg;
    if (!dir)
        return NAN;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static double read_max_fds(void *arg)
{
    struct rlimit limit;

    (void)arg;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return NAN;
    return limit.rlim_cur == RLIM_INFINITY ? INFINITY : (double)limit.rlim_cur;
}

/* Field 22 of /proc/self/stat: ticks from boot. Field 2 may hold spaces and
 * brackets, so the count starts behind the last bracket. */
static double start_time(void)
{
    char text[1024], *at;
    unsigned long long ticks;
    struct timespec boot;

    if (!read_head("/proc/self/stat", text, sizeof text) ||
        clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
        return NAN;
    at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (!at)
        return NAN;
    ticks = strtoull(at, NULL, 10);
    return (double)clock_wall_ns() / 1e9 - ((double)boot.tv_sec + (double)boot.tv_nsec / 1e9) +
           (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static double read_budget(void *arg)
{
    return (double)budget_used_by((enum budget_kind)(intptr_t)arg);
}

static double read_limit(void *arg)
{
    (void)arg;
    return (double)budget_limit();
}

static void add_budget(void)
{
    weir_gauge *used = weir_gauge_new("weir_budget_bytes", "Bytes taken from the process's budget.",
                                      .labels = { "kind" });

    for (int i = 0; i < BUDGET_KINDS; i++)
        metrics_read_gauge(weir_gauge_with(used, weir_str_c(budget_kind_name((enum budget_kind)i))),
                           read_budget, (void *)(intptr_t)i);
    weir_gauge_new("weir_budget_limit_bytes", "The process's budget of bytes; 0: none.",
                   .read = read_limit);
}

void metrics_process_add(void)
{
    static char resident;

    weir_counter_new("process_cpu_seconds_total", "User and system CPU time spent, in seconds.",
                     .read = read_cpu);
    weir_gauge_new("process_resident_memory_bytes", "Resident memory size in bytes.",
                   .read = read_memory, .arg = &resident);
    weir_gauge_new("process_virtual_memory_bytes", "Virtual memory size in bytes.",
                   .read = read_memory);
    weir_gauge_new("process_open_fds", "Number of open file descriptors.", .read = read_fds);
    weir_gauge_new("process_max_fds", "Maximum number of open file descriptors.",
                   .read = read_max_fds);
    weir_gauge_set(weir_gauge_new("process_start_time_seconds",
                                  "Start time of the process since the Unix epoch, in seconds."),
                   start_time());
    add_budget();
    metrics_threads_add();
}
