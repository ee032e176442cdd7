/* For how long a loop has been held up: a judgement over samples, apart from how they are
 * taken, so that a machine's bad days can be played through.
 *
 * What counts is time in which the loop's thread could have turned the loop: what it was on
 * a processor for, or slept in a system call of a task. Time that it was ready to run and
 * the machine gave to others does not count, nor does time in which a debugger or a signal
 * had stopped it; of a stretch in which the watcher itself was late (the machine was busy,
 * or asleep, or all of the process was stopped) no more counts than it had meant to wait. */
#ifndef OPS_HOLD_H
#define OPS_HOLD_H

#include <stdbool.h>
#include <stdint.h>

struct hold_sample {
    int64_t now_ns;    /* of the monotonic clock, when it was taken */
    uint64_t turn;     /* which turn it is; 0: the loop waits */
    uint64_t steps;    /* changes when another task runs */
    int64_t run_ns;    /* the thread was on a processor, ever; below 0: not known */
    int64_t delay_ns;  /* and ready to run, but waited for one */
    char state;        /* of the thread: R, S, D, T, t as in proc(5); 0: not known */
};

struct hold {
    struct hold_sample last;
    /* Of what runs now, since it was first seen in this turn. */
    int64_t held_ns;        /* what counts */
    int64_t run_ns, delay_ns;
    bool reported;          /* the owner's to set; off when something else runs */
    /* Of what else ran in this turn, and was not reported. */
    int64_t others_ns;
    bool others_reported;   /* the owner's to set; off at the next turn */
};

/* Take the next sample, period_ns after the last one as was meant. False: what was held
 * up by the last one's task, or turn, is not any more. */
bool hold_add(struct hold *hold, const struct hold_sample *sample, int64_t period_ns);

#endif
