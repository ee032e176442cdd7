/* A program that breaks in the way that it is told to: broken KIND. */
#include <weir/weir.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rt/loop.h"

static volatile int zero;

__attribute__((noinline)) static int touches_nothing(void)
{
    volatile int *nothing = (int *)(uintptr_t)zero;

    *nothing = 1; /* null here */
    return 0;
}

static int breaks_null(void *arg)
{
    int rc = touches_nothing();

    (void)arg;
    return rc + zero;
}

static int breaks_abort(void *arg)
{
    (void)arg;
    abort();
}

static int breaks_divide(void *arg)
{
    (void)arg;
    return 7 / zero;
}

static int breaks_trap(void *arg)
{
    (void)arg;
    __builtin_trap();
}

/* A mapped file without a byte in it. */
static int breaks_bus(void *arg)
{
    FILE *file = tmpfile();
    volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);

    (void)arg;
    return *page;
}

__attribute__((noinline)) static int recurses(int depth)
{
    char room[512];

    memset(room, depth, sizeof(room));
    return depth < 0 ? 0 : recurses(depth + 1) + room[zero];
}

static int breaks_overflow(void *arg)
{
    (void)arg;
    return recurses(1);
}

static int compares(const void *a, const void *b)
{
    return recurses(*(const int *)a + *(const int *)b);
}

/* Within a callback of a library. */
static int breaks_sort(void *arg)
{
    int numbers[] = { 3, 1, 2 };

    (void)arg;
    qsort(numbers, 3, sizeof(numbers[0]), compares);
    return numbers[0];
}

/* The C library notices, and aborts within its own allocator. */
static int breaks_free(void *arg)
{
    char *block = calloc(1, 100);
    char *_Atomic wrong = block + 8;

    (void)arg;
    free(wrong);
    return 0;
}

static int breaks_block(void *arg)
{
    return weir_block(breaks_null, arg);
}

/* In the report itself: where it looks for the loop, there is none. */
static int breaks_twice(void *arg)
{
    loop_current = (struct loop *)(uintptr_t)(zero + 4096);
    return breaks_null(arg);
}

/* The child of a fork has the handler, and none of the threads. */
static int breaks_child(void *arg)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0)
        return breaks_null(arg);
    waitpid(child, &status, 0);
    kill(getpid(), WTERMSIG(status));
    pause();
    return 0;
}

static int breaks_wrong_use(void *arg)
{
    static weir_mutex mutex;

    (void)arg;
    weir_unlock(&mutex);
    return 0;
}

static int waits_long(void *arg)
{
    (void)arg;
    return weir_sleep_ms(60000);
}

static const struct {
    const char *name;
    weir_fn *fn;
} kinds[] = {
    { "null", breaks_null },   { "abort", breaks_abort }, { "divide", breaks_divide },
    { "trap", breaks_trap },   { "bus", breaks_bus },     { "overflow", breaks_overflow },
    { "sort", breaks_sort },   { "free", breaks_free },   { "block", breaks_block },
    { "twice", breaks_twice }, { "child", breaks_child }, { "wrong-use", breaks_wrong_use },
};

static weir_fn *kind_of(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].fn;
    return NULL;
}

static int program(void *arg)
{
    static const weir_context context = { .correlation_id = { "id-7", 4 },
                                          .trace_id = { "trace-8", 7 },
                                          .route = { "/broken/{kind}", 14 } };
    int rc = 0;

    weir_info("the last line before");
    WEIR_SCOPE(s, .name = "the scope") {
        weir_scope_set_context(s, &context);
        weir_go(s, waits_long, NULL, .name = "patient");
        weir_go(s, kind_of(arg), NULL, .name = "culprit"); /* started here */
        rc = weir_join(s);
    }
    return rc;
}

int main(int argc, char **argv)
{
    int rc;

    if (argc != 2 || !kind_of(argv[1]))
        return 2;
    rc = weir_log_open();
    if (rc == 0)
        rc = weir_inspect_open();
    if (rc == 0)
        rc = weir_run(program, argv[1], .loops = 2);
    weir_inspect_close();
    weir_log_close();
    return rc < 0;
}
