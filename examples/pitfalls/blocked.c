/* Two ways to hold a loop up: computing for a second without a pause, and a call of the
 * operating system that blocks the thread. Meanwhile nothing else on that loop runs.
 *
 * What to do instead: hand a long computation, or a call that blocks, to another thread
 * with weir_block(); or let a computation give way now and then with weir_yield(). Wait
 * with weir_sleep_ms(), which parks the task alone. */
#include <weir/weir.h>

#include <inttypes.h>
#include <time.h>

#define COMPUTE_NS INT64_C(1000000000)

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

__attribute__((noinline)) static uint64_t collatz(uint64_t n)
{
    uint64_t steps = 0;

    for (; n > 1; steps++)
        n = n % 2 ? 3 * n + 1 : n / 2;
    return steps;
}

static int computes(void *arg)
{
    int64_t until_ns = now_ns() + COMPUTE_NS;
    uint64_t n = 1, steps = 0;

    (void)arg;
    while (now_ns() < until_ns)
        for (int i = 0; i < 1000; i++)
            steps += collatz(n++); /* held up here */
    weir_info("%" PRIu64 " steps", steps);
    return 0;
}

static int reads(void *arg)
{
    const struct timespec late = { .tv_nsec = 300000000 };

    (void)arg;
    for (int i = 0; i < 3; i++) {
        nanosleep(&late, NULL); /* and here */
        if (weir_yield() < 0)
            return -ECANCELED;
    }
    return 0;
}

static int program(void *arg)
{
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, computes, NULL);
        weir_go(s, reads, NULL);
        rc = weir_join(s);
    }
    return rc;
}

int main(void)
{
    int rc = weir_log_open();

    if (rc == 0)
        rc = weir_inspect_open();
    if (rc == 0)
        rc = weir_run(program, NULL, .loops = 1);
    weir_inspect_close();
    weir_log_close();
    return rc < 0;
}
