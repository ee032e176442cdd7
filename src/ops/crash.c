/* A crash is told before the process ends by it: which signal, in which task, its stack,
 * what the other loops were doing, and the last events.
 *
 * The signals are taken only where nobody else has (the program, a sanitizer); their
 * handler runs on the alternate stack that each of the runtime's threads has, and the
 * thread that opened this. It uses memory that stands ready, and calls nothing that takes
 * a lock or allocates. Naming the functions of a stack does both: a thread that was
 * started for it does that, while the handler waits for at most NAMING_NS; without an
 * answer (it may have crashed with a lock that is needed) bare addresses are shown. What
 * the program has logged is flushed, then the report is written to standard error at once.
 *
 * Then the default action is put back and the signal is let through, so that the process
 * ends by it, with the core dump and the exit status that it would have had anyway.
 *
 * A crash in the handler ends the process at once, with what was written of the report so
 * far. Another thread that crashes meanwhile waits for the end.
 *
 * Under AddressSanitizer and ThreadSanitizer none of this is compiled in: they have reports
 * of their own. */
#include "ops/crash.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/log.h>

#include "base/clock.h"
#include "ops/parts.h"
#include "rt/alt_stack.h"
#include "rt/loop.h"
#include "rt/overflow.h"

#define NAMING_NS INT64_C(2000000000)
#define NAP_NS 1000000
#define FLUSH_MS 1000
#define OTHER_NAPS 10000 /* that a second thread waits for the end */

#if defined(CONTEXT_ASAN) || defined(CONTEXT_TSAN)

int crash_open(const weir_inspect_opts *opts)
{
    (void)opts;
    return 0;
}

void crash_close(void)
{
}

#else

static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };

#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

enum naming { NAMING_WAITS, NAMING_DONE, NAMING_FAILED };

static struct {
    atomic_int tid;    /* of the thread that has crashed */
    atomic_int naming; /* enum naming */
    sem_t wanted;
    atomic_bool over;
    bool is_open;
    pid_t pid, naming_tid;
    pthread_t thread;
    struct alt_stack *stack; /* of the thread that opened this */
    struct crash_report *report;
    struct sigaction before[SIGNALS];
    bool taken[SIGNALS];
} crash;

/* ---- naming ------------------------------------------------------------------------ */

static void *name_stack(void *arg)
{
    (void)arg;
    crash.naming_tid = gettid();
    while (sem_wait(&crash.wanted) < 0 && errno == EINTR)
        continue;
    if (atomic_load(&crash.over))
        return NULL;
    stack_print(&crash.report->copy, crash.report->stack, sizeof(crash.report->stack));
    atomic_store(&crash.naming, NAMING_DONE);
    return NULL;
}

static void nap(void)
{
    struct timespec time = { .tv_nsec = NAP_NS };

    nanosleep(&time, NULL);
}

/* The child of a fork() has no such thread. */
static bool have_named(void)
{
    int64_t until_ns = clock_monotonic_ns() + NAMING_NS;

    if (getpid() != crash.pid || sem_post(&crash.wanted) < 0)
        return false;
    while (atomic_load(&crash.naming) == NAMING_WAITS && clock_monotonic_ns() < until_ns)
        nap();
    return atomic_load(&crash.naming) == NAMING_DONE;
}

/* ---- the handler ------------------------------------------------------------------- */

static void write_out(const struct plain *text)
{
    size_t done = 0;

    while (done < text->len) {
        ssize_t n = write(STDERR_FILENO, text->bytes + done, text->len - done);

        if (n < 0 && errno == EAGAIN)
            nap();
        else if (n < 0 && errno != EINTR)
            return;
        else if (n > 0)
            done += (size_t)n;
    }
}

static void tell(const siginfo_t *info, const void *context)
{
    struct crash_report *report = crash.report;
    const struct loop *loop = loop_current;

    if (loop)
        running_read(loop, &report->running);
    crash_copy_stack(report, context);
    crash_write_head(report, info, loop);
    report->named = have_named();
    crash_write_stack(report);
    crash_write_loops(report, loop);
    plain_text(&report->text, "weir: the process ends by ");
    plain_text(&report->text, crash_signal_name(info->si_signo));
    plain_text(&report->text, "\n");
    if (getpid() == crash.pid)
        WEIR_IGNORE(weir_log_flush(FLUSH_MS), "what is not out by then is lost");
}

/* The same instruction faults again; a signal that was sent is sent again, and comes when
 * the handler has returned. */
static void let_through(int number, const siginfo_t *info)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigset_t mask;

    WEIR_IGNORE(sigaction(number, &action, NULL), "there is nothing else to do");
    if (info->si_code > 0)
        return;
    sigemptyset(&mask);
    sigaddset(&mask, number);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    syscall(SYS_tgkill, getpid(), gettid(), number);
}

static void on_crash(int number, siginfo_t *info, void *context)
{
    int first = 0;

    if (atomic_compare_exchange_strong(&crash.tid, &first, gettid())) {
        tell(info, context);
        write_out(&crash.report->text);
    } else if (first == gettid()) {
        plain_text(&crash.report->text, "\nweir: a second crash, in the report of the first\n");
        write_out(&crash.report->text);
    } else {
        if (gettid() == crash.naming_tid)
            atomic_store(&crash.naming, NAMING_FAILED);
        for (int i = 0; i < OTHER_NAPS; i++)
            nap();
    }
    let_through(number, info);
}

/* ---- life -------------------------------------------------------------------------- */

static void take_signals(void)
{
    struct sigaction own = { .sa_sigaction = on_crash,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

    /* None is blocked: a fault while it is ends the process without a word. */
    sigemptyset(&own.sa_mask);
    for (size_t i = 0; i < SIGNALS; i++) {
        struct sigaction *before = &crash.before[i];

        crash.taken[i] = sigaction(signals[i], NULL, before) == 0 &&
                         (overflow_handles(before) ||
                          (!(before->sa_flags & SA_SIGINFO) && before->sa_handler == SIG_DFL)) &&
                         sigaction(signals[i], &own, NULL) == 0;
    }
}

static int start_thread(void)
{
    sigset_t all, before;
    int rc;

    atomic_store(&crash.over, false);
    atomic_store(&crash.naming, NAMING_WAITS);
    sem_init(&crash.wanted, 0, 0);
    sigfillset(&all);
    for (size_t i = 0; i < SIGNALS; i++)
        sigdelset(&all, signals[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = -pthread_create(&crash.thread, NULL, name_stack, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_setname_np(crash.thread, "weir-crash");
    return rc;
}

static void free_memory(void)
{
    base_free(crash.report);
    base_free(crash.stack);
    crash.report = NULL;
    crash.stack = NULL;
}

int crash_open(const weir_inspect_opts *opts)
{
    int rc;

    if (opts->no_handlers)
        return 0;
    crash.report = base_calloc(1, sizeof(*crash.report));
    crash.stack = base_calloc(1, sizeof(*crash.stack));
    rc = crash.report && crash.stack ? start_thread() : -ENOMEM;
    if (rc < 0) {
        free_memory();
        return weir_fail(rc, "making ready for a crash");
    }
    crash.pid = getpid();
    crash_note_code(crash.report);
    alt_stack_begin(crash.stack);
    ticks_to_ns(0); /* so that its first call is not the handler's */
    take_signals();
    crash.is_open = true;
    return 0;
}

void crash_close(void)
{
    if (!crash.is_open)
        return;
    for (size_t i = 0; i < SIGNALS; i++)
        if (crash.taken[i])
            WEIR_IGNORE(sigaction(signals[i], &crash.before[i], NULL), "it was there before");
    if (getpid() == crash.pid) {
        atomic_store(&crash.over, true);
        sem_post(&crash.wanted);
        pthread_join(crash.thread, NULL);
    }
    alt_stack_end(crash.stack);
    crash.is_open = false;
    free_memory();
}

#endif
