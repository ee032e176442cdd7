/* See loops.h. */
#include "interleave/loops.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/weir.h>

#include "rt/backend.h"

#define NOW_NS 1000000000

static bool waked[INTERLEAVE_LOOPS]; /* what an eventfd holds */

/* ---- a backend that sleeps and wakes ---------------------------------------------- */

static int io_open(struct loop *loop)
{
    (void)loop;
    return 0;
}

static void io_close(struct loop *loop)
{
    (void)loop;
}

static int64_t io_now(struct loop *loop)
{
    (void)loop;
    return NOW_NS;
}

static bool is_set(void *arg)
{
    return *(bool *)arg;
}

static void io_poll(struct loop *loop, int64_t until_ns)
{
    if (explore_running() && until_ns > NOW_NS)
        explore_wait(is_set, &waked[loop->index]);
    else
        interleave_point();
    waked[loop->index] = false;
}

static void io_wake(struct loop *loop)
{
    interleave_point();
    waked[loop->index] = true;
}

static const struct io_ops ops = {
    .name = "interleave",
    .open = io_open,
    .close = io_close,
    .now_ns = io_now,
    .poll = io_poll,
    .wake = io_wake,
};

/* ---- loops and their tasks ---------------------------------------------------------- */

static int stay(void *arg)
{
    (void)arg;
    return weir_sleep_ms(3600000);
}

static void start_loops(uint32_t loops)
{
    weir_run_opts opts = { .size = sizeof(opts), .loops = loops };

    if (runtime_start(stay, NULL, &opts, &ops, NULL) < 0)
        _exit(9);
    loops_settle(loops);
}

void loops_begin(void)
{
    for (int i = 0; i < INTERLEAVE_LOOPS; i++)
        waked[i] = false;
}

void loops_run_task(uint32_t index, weir_fn *fn, void *arg)
{
    struct loop *loop = loop_at(index);
    struct task *task;

    loop_adopt_thread(loop);
    task = task_new(loop->app, fn, arg, "here");
    if (!task)
        _exit(9);
    ready_push(loop, task);
    for (uint32_t live = loop->app->live; loop->app->live == live;)
        loop_turn(loop, true);
}

void loops_settle(uint32_t loops)
{
    for (int i = 0; i < 4; i++)
        for (uint32_t at = 0; at < loops; at++) {
            loop_adopt_thread(loop_at(at));
            loop_turn(loop_at(at), false);
        }
}

int loops_explore(struct explore *how, uint32_t loops, bool told, void (*prepare)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        bool held;

        start_loops(loops);
        if (prepare)
            prepare();
        held = explore(how, told);
        fprintf(stderr, "%llu orders of %d threads\n", (unsigned long long)how->orders,
                how->threads);
        _exit(held ? 0 : how->stuck ? 1 : 2);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
