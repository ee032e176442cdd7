/* The runtime's edges: semaphores across loops and runs, tasks submitted at the
 * end, descriptors that others hold as well, stacks with and without guards. */
#include "support/in_task.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/chan.h>
#include <weir/sync.h>
#include <weir/time.h>

#include "base/budget.h"
#include "rt/loop.h"

/* ---- semaphores -------------------------------------------------------------- */

static weir_semaphore *unit;
static weir_scope cancelled_there;
static atomic_uint waiting, stage, got;

static int acquire_there(void *arg)
{
    int rc;

    (void)arg;
    atomic_fetch_add(&waiting, 1);
    rc = weir_acquire(unit);
    if (rc == 0) {
        atomic_fetch_add(&got, 1);
        weir_release(unit);
    }
    return rc;
}

/* Waits on loop 1, and is cancelled there in the very turn in which the loop is
 * told of the unit: by a task that spins until it was released. */
static int wait_and_be_cancelled(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        cancelled_there = s;
        weir_go(s, acquire_there, NULL, .optional = true);
        while (atomic_load(&stage) == 0)
            CHECK_INT(weir_yield(), 0);
        atomic_store(&stage, 2);
        while (atomic_load(&stage) != 3)
            ; /* the loop sees no message meanwhile */
        weir_cancel(s);
        CHECK_INT(weir_join(s), 0);
    }
    atomic_fetch_add(&stage, 1);
    return 0;
}

static int tell_who_has_left(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) { /* whichever loop is told first */
        atomic_store(&stage, 0);
        atomic_store(&waiting, 0);
        atomic_store(&got, 0);
        CHECK_INT(weir_acquire(unit), 0);
        CHECK_INT(weir_submit(1, wait_and_be_cancelled, NULL), 0);
        CHECK_INT(weir_submit(2, acquire_there, NULL), 0);
        while (atomic_load(&waiting) < 2)
            CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(weir_sleep_ms(2), 0);
        atomic_store(&stage, 1);
        while (atomic_load(&stage) != 2)
            CHECK_INT(weir_yield(), 0);
        weir_release(unit);
        atomic_store(&stage, 3);
        for (int ms = 0; ms < 2000 && atomic_load(&got) == 0; ms++)
            CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(atomic_load(&got), 1);
        while (atomic_load(&stage) != 4)
            CHECK_INT(weir_sleep_ms(1), 0);
        CHECK_INT(weir_try_acquire(unit), 0); /* the other loop first, next time */
        weir_release(unit);
    }
    return 0;
}

static void a_unit_finds_the_loop_that_still_waits(void **state)
{
    (void)state;
    assert_int_equal(weir_semaphore_new(&unit, .units = 1), 0);
    assert_int_equal(weir_run(tell_who_has_left, NULL, .loops = 3, .grace_ms = 50), 0);
    weir_semaphore_free(unit);
}

static int contend(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 40; i++)
            weir_go(s, acquire_there, NULL);
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void a_semaphore_outlives_a_runtime(void **state)
{
    (void)state;
    assert_int_equal(weir_semaphore_new(&unit, .units = 1), 0);
    for (uint32_t loops = 3; loops > 0; loops--) {
        /* Something else of the loops' size, so that they move. */
        void *block = malloc(loops * sizeof(struct loop));

        assert_int_equal(weir_run(do_nothing, NULL, .loops = loops, .each = contend), 0);
        free(block);
    }
    weir_semaphore_free(unit);
}

/* Released with a message to this very loop, and freed before that is run. */
static int free_while_told(void *arg)
{
    (void)arg;
    CHECK_INT(weir_semaphore_new(&unit, .units = 2), 0);
    for (int i = 0; i < 16; i++) { /* each 16th release tells instead of giving */
        CHECK_INT(weir_acquire(unit), 0);
        CHECK_INT(weir_acquire(unit), 0);
        WEIR_SCOPE(s) {
            weir_go(s, acquire_there, NULL, .optional = true);
            CHECK_INT(weir_yield(), 0);
            weir_release(unit);
            weir_cancel(s);
            CHECK_INT(weir_join(s), 0);
        }
        if (i < 15)
            weir_release(unit);
    }
    weir_semaphore_free(unit);
    return weir_sleep_ms(1);
}

static void a_semaphore_may_be_freed_with_a_message_under_way(void **state)
{
    (void)state;
    in_task(free_while_told);
}

/* ---- the end ------------------------------------------------------------------ */

static atomic_int submitted_rc;

static int sleep_long(void *arg)
{
    (void)arg;
    atomic_store(&submitted_rc, weir_sleep_ms(30000));
    return 0;
}

static int resubmit(void *arg)
{
    (void)arg;
    while (!weir_stopping())
        CHECK_INT(weir_sleep_ms(1), 0);
    WEIR_IGNORE(weir_submit(0, sleep_long, NULL), "refused when that loop has ended");
    return 0;
}

static int start_resubmit(void *arg)
{
    (void)arg;
    return weir_submit(1, resubmit, NULL);
}

static void what_is_submitted_at_the_end_has_the_grace_too(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) { /* the other loop may have ended before */
        atomic_store(&submitted_rc, -ECANCELED);
        assert_int_equal(weir_run(start_resubmit, NULL, .loops = 2, .grace_ms = 10), 0);
        assert_int_equal(atomic_load(&submitted_rc), -ECANCELED);
    }
}

static void a_stop_without_a_runtime_changes_nothing(void **state)
{
    (void)state;
    errno = EDOM;
    rt_stop_all();
    assert_int_equal(errno, EDOM);
}

/* ---- descriptors --------------------------------------------------------------- */

static void never_done(struct io_op *op)
{
    (void)op;
    CHECK(!"an event came for a file that is gone");
}

static int events_after_a_detach(void *arg)
{
    struct loop *loop = loop_self();
    struct io_file *file = calloc(1, sizeof(*file));
    struct io_op op = { .done = never_done, .kind = IO_RECV };
    int ends[2], other;

    (void)arg;
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    CHECK_INT(loop_io(loop)->attach(loop, file, ends[0], false), 0);
    other = dup(ends[0]); /* as a forked child has it */
    CHECK_INT(weir_sleep_ms(1), 0);
    loop_io(loop)->detach(loop, file, false);
    op.file = file;
    file->reader = &op; /* what stands in that memory next */
    file->ready = 0;
    CHECK_INT(write(ends[1], "x", 1), 1);
    CHECK_INT(weir_sleep_ms(2), 0);
    CHECK_INT(file->ready, 0);
    free(file);
    close(other);
    close(ends[1]);
    return 0;
}

static void a_detached_descriptor_is_forgotten_though_another_holds_it(void **state)
{
    (void)state;
    in_task(events_after_a_detach);
}

/* ---- stacks ---------------------------------------------------------------------- */

/* As on a kernel before 6.13, with the usual vm.max_map_count: no guard markers,
 * and no look at the file that would tell of a greater number. */
static void refuse_guard_markers(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 102, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

    CHECK_INT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        _exit(77); /* not on this system: a program's emulator, say */
}

#define MANY 16000 /* over what guards of their own are for */

typedef WEIR_CHAN(int) gate_chan;

static int park_here(void *arg)
{
    return weir_recv(*(gate_chan *)arg, &(int){ 0 });
}

/* count tasks are parked at the same time. */
static void park_at_once(int count)
{
    gate_chan gate;

    CHECK_INT(weir_chan_open(&gate), 0);
    WEIR_SCOPE(s) {
        for (int n = 0; n < count; n++)
            weir_go(s, park_here, &gate);
        CHECK_INT(weir_sleep_ms(1), 0);
        weir_close(gate);
        CHECK_INT(weir_join(s), 0);
    }
    weir_chan_free(gate);
}

static int many_parked(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) /* the second time on stacks that were given back */
        park_at_once(MANY);
    CHECK_INT(loop_current->stacks.guard, STACK_GUARD_SLAB);
    return 0;
}

static int one_task(void *arg)
{
    (void)arg;
    CHECK_INT(loop_current->stacks.guard, STACK_GUARD_PROTECT); /* counted back */
    return 0;
}

static void guards_run_out_and_come_back(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        refuse_guard_markers();
        for (int i = 0; i < 2; i++)
            CHECK_INT(weir_run(many_parked, NULL, .loops = 1), 0);
        CHECK_INT(weir_run(one_task, NULL, .loops = 1), 0);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

/* More at once than are kept for good, again and again. */
static int over_the_cache(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++)
        park_at_once(MANY / 5);
    CHECK(loop_current->idle_fiber_count >= MANY / 5); /* warm for the next wave */
    for (int period = 0; period < 100; period++)
        fiber_cache_trim(loop_current);
    CHECK(loop_current->idle_fiber_count <= RT_FIBERS_KEPT);
    park_at_once(MANY / 5);
    return 0;
}

static void stacks_beyond_the_cache_go_and_come(void **state)
{
    (void)state;
    in_task(over_the_cache);
    assert_int_equal(budget_used(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unit_finds_the_loop_that_still_waits),
        cmocka_unit_test(a_semaphore_outlives_a_runtime),
        cmocka_unit_test(a_semaphore_may_be_freed_with_a_message_under_way),
        cmocka_unit_test(what_is_submitted_at_the_end_has_the_grace_too),
        cmocka_unit_test(a_stop_without_a_runtime_changes_nothing),
        cmocka_unit_test(a_detached_descriptor_is_forgotten_though_another_holds_it),
        cmocka_unit_test(guards_run_out_and_come_back),
        cmocka_unit_test(stacks_beyond_the_cache_go_and_come),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
