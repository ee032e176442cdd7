/* Timers: a million pending, and one of them, at random, moved to another time: cleared
 * and set, as the deadlines of a busy server's operations are. CPU time, the best of
 * eight rounds.
 *
 * Timers stand side by side and are moved one by one, as they come. In timer_floor each is
 * read and written once, and no more: fetching a million timers' lines, which no structure
 * can spare.
 *
 * The figures called turns are as a loop does it: a timer stands in its operation, behind
 * the wait that it limits, as in a sleep; a turn takes up to 64 events, notes each in the
 * wait of its operation, and only then runs their tasks, which move the timers. All of it
 * is counted. There is three times the memory to fetch.
 *
 * Which timers, and when, is drawn before the clock starts. A timer that is in no cache is
 * waited for less when the processor begins to fetch the next ones meanwhile, and it sees
 * a few hundred instructions ahead at most: drawing two random numbers and their remainders
 * is nearly as many as moving a timer, and made a move cost half as much again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <weir/run.h>
#include <weir/scope.h>

#include "rt/loop.h"

#define PENDING 1000000
#define MOVES 8388608
#define ROUNDS 8
#define FEW 1000
#define EVENTS 64
#define SPREAD_MS 60000

struct operation {
    struct wait wait;
    struct timer timer;
};

struct move {
    uint32_t index, after_ms;
};

static uint64_t seed = 88172645463325252u;
static struct operation *operations;
static struct timer *timers;
static struct move *moves;

static uint64_t next_random(void)
{
    seed ^= seed << 13; /* xorshift (Marsaglia, 2003) */
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void fire(struct timer *timer)
{
    (void)timer;
}

/* In ten seconds at the least, in seventy at the most: none comes due meanwhile. */
static int64_t time_of(const struct loop *loop, const struct move *move)
{
    return loop->now_ns + (10000 + (int64_t)move->after_ms) * 1000000;
}

static void draw(uint32_t pending)
{
    for (uint32_t i = 0; i < MOVES; i++)
        moves[i] = (struct move){ (uint32_t)(next_random() % pending),
                                  (uint32_t)(next_random() % SPREAD_MS) };
}

static inline void move_timer(struct loop *loop, struct timer *timer, const struct move *move)
{
    timer_clear(loop, timer);
    timer_set(loop, timer, time_of(loop, move));
}

/* ---- in turns ---- */

static void turns(struct loop *loop)
{
    for (const struct move *move = moves; move < moves + MOVES; move += EVENTS) {
        for (int i = 0; i < EVENTS; i++)
            operations[move[i].index].wait.woken = true;
        for (int i = 0; i < EVENTS; i++)
            move_timer(loop, &operations[move[i].index].timer, &move[i]);
    }
}

static void turns_floor(struct loop *loop)
{
    for (const struct move *move = moves; move < moves + MOVES; move += EVENTS) {
        for (int i = 0; i < EVENTS; i++)
            operations[move[i].index].wait.woken = true;
        for (int i = 0; i < EVENTS; i++)
            operations[move[i].index].timer.at_ns ^= time_of(loop, &move[i]);
    }
}

/* ---- one by one ---- */

static void one_by_one(struct loop *loop)
{
    for (const struct move *move = moves; move < moves + MOVES; move++)
        move_timer(loop, &timers[move->index], move);
}

static void one_by_one_floor(struct loop *loop)
{
    for (const struct move *move = moves; move < moves + MOVES; move++)
        timers[move->index].at_ns ^= time_of(loop, move);
}

/* ---- */

static struct timer *timer_at(bool in_operation, uint32_t i)
{
    return in_operation ? &operations[i].timer : &timers[i];
}

static void report(const char *name, void (*run)(struct loop *loop), struct loop *loop)
{
    double best = 0;

    for (int round = 0; round < ROUNDS; round++) {
        double began = cpu_ns(), each;

        run(loop);
        each = (cpu_ns() - began) / MOVES;
        if (round == 0 || each < best)
            best = each;
    }
    printf("{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"ns\"}\n", name, best);
}

static void report_set(struct loop *loop, const char *name, void (*run)(struct loop *loop),
                       bool in_operation, uint32_t pending)
{
    draw(pending);
    for (uint32_t i = 0; i < pending; i++)
        timer_set(loop, timer_at(in_operation, i), time_of(loop, &moves[i]));
    report(name, run, loop);
    for (uint32_t i = 0; i < pending; i++)
        timer_clear(loop, timer_at(in_operation, i));
}

static int measure(void *arg)
{
    struct loop *loop = loop_self();

    (void)arg;
    operations = aligned_alloc(64, PENDING * sizeof(*operations)); /* as slabs are */
    timers = aligned_alloc(64, PENDING * sizeof(*timers));
    moves = malloc(MOVES * sizeof(*moves));
    if (!operations || !timers || !moves)
        return -ENOMEM;
    for (uint32_t i = 0; i < PENDING; i++) {
        timer_init(&operations[i].timer, fire);
        timer_init(&timers[i], fire);
    }
    report_set(loop, "timer_few", one_by_one, false, FEW);
    report_set(loop, "timer_million", one_by_one, false, PENDING);
    report_set(loop, "timer_turns_few", turns, true, FEW);
    report_set(loop, "timer_turns_million", turns, true, PENDING);
    report("timer_floor", one_by_one_floor, loop);
    report("timer_turns_floor", turns_floor, loop);
    free(moves);
    free(timers);
    free(operations);
    return 0;
}

int main(void)
{
    return weir_run(measure, NULL, .loops = 1) < 0;
}
