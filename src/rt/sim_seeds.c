/* A program under many seeds, and the report on the first that fails; see
 * weir/sim.h.
 *
 * The seeds run one after the other in a process of their own (each in one, where
 * memory fails): a check that fails may end it, and the report is made by who waits
 * for it. Each run that makes the
 * failure smaller has a process of its own as well, begun where the first one
 * began, so that nothing is left of one run in the next. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/sim.h>

#include "base/clock.h"
#include "rt/sim_seeds.h"

#define REAL_S 120         /* a run that takes longer is stopped */
#define TRACE_SHOWN 16384  /* bytes of a trace, its end */
#define COUNT_DEFAULT 100
#define CALM_MS 10000
#define FINISH_MS 600000
#define SHRINK_TRIES 400

struct shared {
    struct sim_opts opts;
    struct sim_verdict verdict;
    uint64_t done;
    int64_t virtual_ns;
};

static struct shared *shared_new(void)
{
    void *p = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                   -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

/* ---- one run ------------------------------------------------------------ */

void sim_program_run(const struct sim_program *program, const struct sim_opts *opts,
                     struct sim_verdict *verdict, int trace_fd)
{
    weir_sim *handle = sim_handle_new(opts);
    uint32_t wrong = rt_wrong_uses();
    struct sim *sim;

    *verdict = (struct sim_verdict){ .failed = true, .rc = -ENOMEM };
    if (!handle)
        return;
    sim = sim_of_handle(handle);
    sim_trace_to(sim, trace_fd);
    sim->faults_copy = &verdict->faults;
    verdict->rc = weir_sim_run(handle, program->fn, program->arg);
    if (verdict->rc >= 0 && rt_wrong_uses() != wrong)
        verdict->rc = WEIR_EWRONGUSE;
    verdict->failed = verdict->rc < 0;
    if (verdict->failed)
        weir_error_print(verdict->why, sizeof(verdict->why));
    verdict->faults = sim_faults(sim);
    verdict->virtual_ns = sim_now_ns(sim);
    weir_recover();
    weir_sim_free(handle);
}

/* Only this process is to die of a failed check, and without a core. */
static void child_begin(int out_fd)
{
    signal(SIGABRT, SIG_DFL);
    alarm(REAL_S);
    if (out_fd < 0)
        return;
    dup2(out_fd, 1);
    dup2(out_fd, 2);
}

/* The first line that it wrote. */
static void read_first_line(int fd, char *text, size_t size)
{
    ssize_t n = pread(fd, text, size - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
}

static void wait_for(pid_t pid, struct sim_verdict *verdict)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    verdict->failed = true;
    verdict->rc = 0;
    verdict->signal = WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

bool sim_program_try(const struct sim_program *program, const struct sim_opts *opts,
                     struct sim_verdict *ret_verdict)
{
    int out = memfd_create("weir-sim", MFD_CLOEXEC);
    struct shared *shared = shared_new();
    pid_t pid = out < 0 || !shared ? -1 : fork();

    if (pid == 0) {
        child_begin(out);
        sim_program_run(program, opts, &shared->verdict, -1);
        _exit(0);
    }
    if (pid > 0) {
        wait_for(pid, &shared->verdict);
        if (shared->verdict.signal)
            read_first_line(out, shared->verdict.why, sizeof(shared->verdict.why));
        *ret_verdict = shared->verdict;
    }
    if (out >= 0)
        close(out);
    if (shared)
        munmap(shared, sizeof(*shared));
    return pid > 0;
}

void sim_program_show(const struct sim_program *program, const struct sim_opts *opts, int trace_fd)
{
    struct sim_opts shown = *opts;
    struct sim_verdict verdict = { 0 };
    pid_t pid;

    shown.show = 2;
    pid = fork();
    if (pid == 0) {
        int null = memfd_create("weir-sim", MFD_CLOEXEC);

        child_begin(null);
        sim_program_run(program, &shown, &verdict, trace_fd);
        _exit(0);
    }
    if (pid > 0)
        wait_for(pid, &verdict);
}

/* ---- the report --------------------------------------------------------- */

static void print_replay(const char *what, const struct sim_opts *opts)
{
    char text[SIM_OPTS_TEXT_BYTES];

    sim_opts_print(opts, text);
    fprintf(stderr, "  %s: WEIR_SIM='%s' %s\n", what, text, program_invocation_name);
}

static void print_verdict(const struct sim_opts *opts, const struct sim_verdict *verdict)
{
    if (verdict->signal > 0)
        fprintf(stderr, "weir: seed %" PRIu64 " ended with signal %d (%s)%s%s\n", opts->seed,
                verdict->signal, strsignal(verdict->signal), *verdict->why ? ": " : "",
                verdict->why);
    else if (verdict->signal < 0)
        fprintf(stderr, "weir: seed %" PRIu64 " ended its process with %d\n", opts->seed,
                -verdict->signal);
    else
        fprintf(stderr, "weir: seed %" PRIu64 " gave %s: %s\n", opts->seed,
                weir_error_name(verdict->rc), verdict->why);
}

/* The end of what was written to fd, from the start of a line on. */
static void print_end(int fd)
{
    static const char cut[] = "... (what came before is in the run itself)\n";
    char text[TRACE_SHOWN + 1];
    off_t size = lseek(fd, 0, SEEK_END), from = size > TRACE_SHOWN ? size - TRACE_SHOWN : 0;
    ssize_t n = pread(fd, text, TRACE_SHOWN, from);
    char *begin = text, *line;

    text[n > 0 ? n : 0] = '\0';
    line = from > 0 ? strchr(text, '\n') : NULL;
    if (line)
        begin = line + 1;
    fprintf(stderr, "%s%s", from > 0 ? cut : "", begin);
}

static void report(const struct sim_program *program, const struct sim_opts *opts,
                   const struct sim_verdict *verdict, uint32_t tries)
{
    struct sim_shrunk small;
    int trace;

    print_verdict(opts, verdict);
    print_replay("to repeat", opts);
    if (tries == 0)
        return;
    sim_shrink(program, opts, verdict, tries, &small);
    if (!small.alone) {
        fprintf(stderr, "  it does not fail so when it is run alone: something is left of the runs "
                        "before it\n");
        return;
    }
    fprintf(stderr, "  made smaller in %u runs: ", small.tries);
    if (small.faults == 0)
        fprintf(stderr, "it takes no fault\n");
    else
        fprintf(stderr, "%u fault%s enough\n", small.faults, small.faults == 1 ? " is" : "s are");
    print_replay("to repeat that", &small.opts);
    trace = memfd_create("weir-sim", MFD_CLOEXEC);
    if (trace < 0)
        return;
    sim_program_show(program, &small.opts, trace);
    print_end(trace);
    close(trace);
}

/* ---- many seeds --------------------------------------------------------- */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

/* What a program must be made for is drawn only when it is asked for. */
static uint32_t draw_asked(uint64_t *random, bool asked, uint32_t bound)
{
    uint64_t x = sim_random(random);

    return asked && (x & 1) ? 1 + (uint32_t)((x >> 8) % bound) : 0;
}

static int opts_of_seed(const weir_sim_seeds_opts *from, uint64_t seed, struct sim_opts *opts)
{
    uint64_t random = ~seed;

    sim_opts_draw(opts, seed);
    opts->calm_ms = or_default(from->calm_ms, CALM_MS);
    opts->finish_ms = or_default(from->finish_ms, FINISH_MS);
    opts->cancel = draw_asked(&random, from->cancels, 20);
    opts->cancel_any = draw_asked(&random, from->cancels, 5);
    opts->no_memory = draw_asked(&random, from->memory, 20);
    return from->options ? sim_opts_parse(opts, from->options) : 0;
}

/* In the process that runs them. */
static void run_seeds(const struct sim_program *program, const weir_sim_seeds_opts *from,
                      struct shared *shared)
{
    uint64_t count = or_default(from->count, COUNT_DEFAULT);

    for (uint64_t i = 0; i < count && !shared->verdict.failed; i++) {
        opts_of_seed(from, (from->first ? from->first : 1) + i, &shared->opts);
        memset(&shared->verdict, 0, sizeof(shared->verdict));
        alarm(REAL_S);
        sim_program_run(program, &shared->opts, &shared->verdict, -1);
        shared->virtual_ns += shared->verdict.virtual_ns;
        shared->done += !shared->verdict.failed;
    }
}

static int run_in_child(const struct sim_program *program, const weir_sim_seeds_opts *from,
                        struct shared *shared)
{
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid < 0)
        return weir_fail(-errno, "no process for the seeds");
    if (pid == 0) {
        child_begin(-1);
        run_seeds(program, from, shared);
        fflush(NULL);
        _exit(0);
    }
    wait_for(pid, &shared->verdict);
    return 0;
}

/* Each in a process of its own. */
static int run_apart(const struct sim_program *program, const weir_sim_seeds_opts *from,
                     struct shared *shared)
{
    uint64_t count = or_default(from->count, COUNT_DEFAULT);

    fflush(NULL);
    for (uint64_t i = 0; i < count && !shared->verdict.failed; i++) {
        opts_of_seed(from, (from->first ? from->first : 1) + i, &shared->opts);
        if (!sim_program_try(program, &shared->opts, &shared->verdict))
            return weir_fail(-EAGAIN, "no process for a seed");
        shared->virtual_ns += shared->verdict.virtual_ns;
        shared->done += !shared->verdict.failed;
    }
    return 0;
}

/* What a process keeps for good (its metrics, its caches) the first run alone asks
 * memory for: where allocations fail, a run after others would not be what it is alone. */
static bool must_be_apart(const weir_sim_seeds_opts *from)
{
    struct sim_opts first;

    return from->memory || (opts_of_seed(from, 1, &first) == 0 && first.no_memory > 0);
}

static int all_seeds(const struct sim_program *program, const weir_sim_seeds_opts *from,
                     struct shared *shared)
{
    int64_t begun_ns = clock_monotonic_ns();
    double seconds;
    int rc = (must_be_apart(from) ? run_apart : run_in_child)(program, from, shared);

    if (rc < 0)
        return rc;
    seconds = (double)(clock_monotonic_ns() - begun_ns) / 1e9;
    fprintf(stderr, "weir: %" PRIu64 " seeds, %.0f a second, %.2f hours of virtual time\n",
            shared->done, (double)shared->done / (seconds > 0 ? seconds : 1),
            (double)shared->virtual_ns / 3.6e12);
    if (!shared->verdict.failed)
        return 0;
    report(program, &shared->opts, &shared->verdict, from->no_shrink ? 0 : SHRINK_TRIES);
    return shared->verdict.rc < 0 ? shared->verdict.rc : -ECHILD;
}

/* The one run that the environment asks for, in this very process: for a debugger. */
static int run_given(const struct sim_program *program, const char *given)
{
    struct sim_verdict verdict;
    struct sim_opts opts;
    int rc;

    sim_opts_init(&opts);
    rc = sim_opts_given(&opts, given);
    if (rc < 0)
        return rc;
    sim_program_run(program, &opts, &verdict, 2);
    if (verdict.failed)
        print_verdict(&opts, &verdict);
    return verdict.failed ? verdict.rc : 0;
}

int weir_sim_seeds_opt(weir_fn *fn, void *arg, const weir_sim_seeds_opts *opts)
{
    const struct sim_program program = { fn, arg };
    const char *given = getenv("WEIR_SIM");
    struct sim_opts first;
    struct shared *shared;
    int rc;

    if (given)
        return run_given(&program, given);
    rc = opts_of_seed(opts, 1, &first);
    if (rc < 0)
        return rc;
    shared = shared_new();
    if (!shared)
        return -ENOMEM;
    rc = all_seeds(&program, opts, shared);
    munmap(shared, sizeof(*shared));
    return rc;
}
