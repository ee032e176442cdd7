/* See explore.h. The runtime's thread-local variables are each context's own. */
#include "interleave/explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interleave/shim.h"
#include "base/chain.h"
#include "rt/context.h"
#include "type/current.h"

#define DEPTH_MAX 4096
#define STACK_SIZE 262144

struct thread {
    struct context context;
    char *stack;
    bool over, started;
    uint64_t steps, seen; /* its own; those of others when it last span */
    bool (*ready)(void *arg); /* NULL: it can go on */
    void *ready_arg;
    struct loop *loop;
    struct chain **slot;
    struct arena *(*arena)(void);
};

struct choice {
    uint8_t thread[EXPLORE_THREADS]; /* those that may go on, the first without cost */
    uint8_t count, taken;
};

/* lint: one process explores one thing at a time */
static struct {
    struct explore *explore;
    struct thread threads[EXPLORE_THREADS];
    struct context outside;
    struct thread *running; /* NULL: no order is being run */
    struct choice path[DEPTH_MAX];
    int depth, known, preemptions;
    uint64_t steps; /* of all threads */
    const volatile void *blind;
    const char *blind_words;
    pthread_mutex_t *locked[EXPLORE_THREADS];
} run;

void explore_blind(const volatile void *place)
{
    run.blind = place;
}

void explore_blind_words(const char *words)
{
    run.blind_words = words;
}

bool interleave_blind_to(const volatile void *place, const char *words)
{
    return place == run.blind || (run.blind_words && strcmp(words, run.blind_words) == 0);
}

bool explore_running(void)
{
    return run.running != NULL;
}

static bool can_go(const struct thread *thread)
{
    return !thread->over && (!thread->ready || thread->ready(thread->ready_arg));
}

static void keep_locals(struct thread *thread)
{
    thread->loop = loop_current;
    thread->slot = error_slot;
    thread->arena = type_arena;
}

static void take_locals(const struct thread *thread)
{
    loop_current = thread->loop;
    error_slot = thread->slot;
    type_arena = thread->arena;
}

static void thread_main(void *arg)
{
    struct thread *thread = arg;
    void (*body)(void *) = run.explore->body[thread - run.threads];

    context_arrived(&run.outside);
    for (;;) {
        body(run.explore->arg);
        thread->over = true;
        interleave_point();
    }
}

/* The next choice of this order, as before or the first of new ones. */
static struct thread *choose(void)
{
    struct choice *choice = &run.path[run.depth];
    struct thread *self = run.running;

    if (run.depth == DEPTH_MAX)
        abort();
    if (run.depth == run.known) {
        bool goes_on = self && can_go(self);

        *choice = (struct choice){ .count = 0 };
        if (goes_on)
            choice->thread[choice->count++] = (uint8_t)(self - run.threads);
        for (int i = 0; i < run.explore->threads; i++)
            if (&run.threads[i] != self && can_go(&run.threads[i]) &&
                (!goes_on || run.preemptions < run.explore->preemptions))
                choice->thread[choice->count++] = (uint8_t)i;
        run.known++;
    }
    run.depth++;
    if (choice->count == 0)
        return NULL;
    if (!can_go(&run.threads[choice->thread[choice->taken]])) {
        fputs("an order did not repeat: something is left over from the one before\n", stderr);
        abort();
    }
    if (self && can_go(self) && choice->taken > 0)
        run.preemptions++;
    return &run.threads[choice->thread[choice->taken]];
}

/* To the chosen one; outside when there is none. */
static void go(struct thread *next)
{
    struct thread *self = run.running;

    if (next == self)
        return;
    if (self)
        keep_locals(self);
    run.running = next;
    if (next) {
        take_locals(next);
        context_jump(self ? &self->context : &run.outside, &next->context);
    } else {
        context_jump(&self->context, &run.outside);
    }
}

void interleave_point(void)
{
    if (!run.running)
        return;
    run.steps++;
    run.running->steps++;
    go(choose());
}

void explore_wait(bool (*ready)(void *arg), void *arg)
{
    struct thread *self = run.running;

    self->ready = ready;
    self->ready_arg = arg;
    interleave_point();
    self->ready = NULL;
}

static uint64_t steps_of_others(const struct thread *thread)
{
    return run.steps - thread->steps;
}

static bool others_went_on(void *arg)
{
    const struct thread *thread = arg;

    return steps_of_others(thread) > thread->seen;
}

void interleave_spin(void)
{
    struct thread *self = run.running;

    if (!self)
        return;
    explore_wait(others_went_on, self);
    self->seen = steps_of_others(self);
}

static bool is_clear(void *arg)
{
    return !*(bool *)arg;
}

void interleave_lock_flag(bool *held)
{
    if (run.running)
        explore_wait(is_clear, held);
    *held = true;
}

static bool lock_is_free(void *mutex)
{
    for (int i = 0; i < EXPLORE_THREADS; i++)
        if (run.locked[i] == mutex)
            return false;
    return true;
}

void interleave_lock(pthread_mutex_t *mutex)
{
    if (!run.running)
        return;
    explore_wait(lock_is_free, mutex);
    run.locked[run.running - run.threads] = mutex; /* each holds one at a time */
}

void interleave_unlock(pthread_mutex_t *mutex)
{
    (void)mutex;
    if (!run.running)
        return;
    run.locked[run.running - run.threads] = NULL;
    interleave_point();
}

static bool all_over(void)
{
    for (int i = 0; i < run.explore->threads; i++)
        if (!run.threads[i].over)
            return false;
    return true;
}

static bool run_once(void)
{
    struct thread outside = { .over = false };

    keep_locals(&outside);
    run.explore->begin(run.explore->arg);
    run.depth = run.preemptions = 0;
    run.steps = 0;
    for (int i = 0; i < run.explore->threads; i++) {
        struct thread *thread = &run.threads[i];

        thread->over = false;
        thread->steps = thread->seen = 0;
        thread->ready = NULL;
        run.locked[i] = NULL;
        thread->loop = NULL;
        thread->slot = NULL;
        thread->arena = NULL;
        context_make(&thread->context, thread->stack, thread->stack + STACK_SIZE, thread_main,
                     thread);
    }
    go(choose());
    for (int i = 0; i < run.explore->threads; i++)
        context_forget(&run.threads[i].context);
    take_locals(&outside);
    run.explore->stuck = !all_over();
    return !run.explore->stuck && run.explore->holds(run.explore->arg);
}

/* The next order to try: the last choice that has another left. */
static bool next_order(void)
{
    run.known = run.depth;
    while (run.known > 0) {
        struct choice *choice = &run.path[run.known - 1];

        if (choice->taken + 1 < choice->count) {
            choice->taken++;
            return true;
        }
        run.known--;
    }
    return false;
}

static void tell(void)
{
    fprintf(stderr, "after %llu orders, this one %s:", (unsigned long long)run.explore->orders,
            run.explore->stuck ? "leaves nobody who can go on" : "ends with something amiss");
    for (int i = 0; i < run.depth; i++)
        if (run.path[i].count > 0)
            fprintf(stderr, " %d", run.path[i].thread[run.path[i].taken]);
    fputc('\n', stderr);
}

bool explore(struct explore *how, bool told)
{
    bool held;

    run.explore = how;
    run.known = 0;
    how->orders = 0;
    context_adopt(&run.outside);
    for (int i = 0; i < how->threads; i++) {
        run.threads[i].stack = aligned_alloc(64, STACK_SIZE); /* lint: allow(malloc): a stack */
        if (!run.threads[i].stack)
            abort();
    }
    do {
        how->orders++;
        held = run_once();
    } while (held && next_order());
    if (!held && told)
        tell();
    for (int i = 0; i < how->threads; i++)
        free(run.threads[i].stack);
    return held;
}
