/* A program whose loops are held up, or not, in the way that it is told: held KIND; with
 * the kind "serve", a server with the flags that follow. */
#include <weir/embed.h>
#include <weir/sim.h>
#include <weir/weir.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS INT64_C(1000000)

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* On the CPU, however long that takes. */
__attribute__((noinline)) static void burn(int64_t ms)
{
    int64_t until_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) + ms * MS;

    while (now_ns(CLOCK_THREAD_CPUTIME_ID) < until_ns)
        continue;
}

static int holds(void *arg)
{
    (void)arg;
    burn(300);
    return 0;
}

static int holds_again(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        burn(300); /* each time */
        if (weir_sleep_ms(1) < 0)
            return -ECANCELED;
    }
    return 0;
}

/* Never more than a few milliseconds at a time, but all the time. */
static int works(void *arg)
{
    int64_t until_ns = now_ns(CLOCK_MONOTONIC) + strtoll(getenv("HELD_MS"), NULL, 10) * MS;
    int rc = 0;

    (void)arg;
    while (rc == 0 && now_ns(CLOCK_MONOTONIC) < until_ns) {
        burn(3);
        rc = weir_sleep_ms(1);
    }
    return rc;
}

static int works_everywhere(void *arg)
{
    int rc = 0;

    WEIR_SCOPE(s) {
        for (int i = 0; i < 4; i++)
            weir_go(s, works, arg, .spread = true);
        rc = weir_join(s);
    }
    return rc;
}

static int short_one(void *arg)
{
    (void)arg;
    burn(3);
    return 0;
}

static int holds_by_many(void *arg)
{
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 400; i++)
            weir_go(s, short_one, NULL);
        rc = weir_join(s);
    }
    return rc;
}

static int on_loop_stack(void *arg)
{
    (void)arg;
    burn(300); /* on the loop's stack */
    return 0;
}

static int holds_on_loop_stack(void *arg)
{
    return weir_on_loop_stack(on_loop_stack, arg);
}

/* The child has no watchdog, the parent still has. */
static int holds_after_fork(void *arg)
{
    pid_t child = fork();
    int status = 1;

    if (child == 0) {
        burn(300);
        weir_inspect_close();
        _exit(0);
    }
    while (waitpid(child, &status, WNOHANG) == 0) /* however long it takes: no hold of ours */
        if (weir_sleep_ms(10) < 0)
            return -ECHILD;
    return status == 0 ? holds(arg) : -ECHILD;
}

static int program(void *arg)
{
    int rc = 0;

    WEIR_SCOPE(s) {
        weir_go(s, (weir_fn *)arg, NULL, .name = "holder");
        rc = weir_join(s);
    }
    return rc;
}

static int embedded(weir_fn *fn)
{
    int rc = weir_embed_start(program, (void *)fn, .loops = 1);

    burn(300); /* the foreign loop's own affair */
    while (rc >= 0 && (rc = weir_loop_step()) > 0) {
        struct pollfd ready = { .fd = weir_loop_fd(), .events = POLLIN };

        burn(150);
        poll(&ready, 1, 1000);
    }
    return rc < 0 ? rc : weir_embed_end();
}

static int simulated(weir_fn *fn)
{
    weir_sim *sim = weir_sim_new(.seed = 1);
    int rc = sim ? weir_sim_run(sim, program, (void *)fn) : -ENOMEM;

    weir_sim_free(sim);
    return rc;
}

static const struct kind {
    const char *name;
    weir_fn *fn;
    uint32_t blocked_ms;
    bool no_handlers, embed, simulate;
} kinds[] = {
    { .name = "once", .fn = holds },
    { .name = "again", .fn = holds_again },
    { .name = "works", .fn = works_everywhere },
    { .name = "many", .fn = holds_by_many },
    { .name = "loop-stack", .fn = holds_on_loop_stack },
    { .name = "fork", .fn = holds_after_fork },
    { .name = "off", .fn = holds, .blocked_ms = WEIR_OFF },
    { .name = "slower", .fn = holds, .blocked_ms = 1000 },
    { .name = "no-handlers", .fn = holds, .no_handlers = true },
    { .name = "embed", .fn = holds, .embed = true },
    { .name = "embed-works", .fn = short_one, .embed = true },
    { .name = "simulated", .fn = holds, .simulate = true },
};

static int run_kind(const struct kind *kind)
{
    int rc = weir_log_open();

    if (rc == 0)
        rc = weir_inspect_open(.blocked_ms = kind->blocked_ms, .no_handlers = kind->no_handlers,
                               .no_socket = true);
    if (rc == 0)
        rc = kind->embed      ? embedded(kind->fn)
             : kind->simulate ? simulated(kind->fn)
                              : weir_run(program, (void *)kind->fn, .loops = 2);
    weir_inspect_close();
    weir_log_close();
    return rc < 0;
}

static int slow(weir_exchange *x)
{
    burn(300);
    return weir_reply_text(x, 200, "late");
}

int main(int argc, char **argv)
{
    weir_app *app;

    if (argc < 2)
        return 2;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(argv[1], kinds[i].name) == 0)
            return run_kind(&kinds[i]);
    app = weir_app_new(.title = "held");
    weir_get(app, "/slow/{n}", slow);
    return weir_main(app, argc - 1, argv + 1);
}
