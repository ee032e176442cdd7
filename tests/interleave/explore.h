/* Runs up to three threads in every order that differs in at most a given number of
 * preemptions, one order after another.
 *
 * The threads are contexts on one thread of the system. At each point (an atomic
 * operation of a file that is built with shim.h, a mutex, a wait) the explorer lets the
 * running one go on, or, at the cost of a preemption, another that can; where it can't
 * go on, each of the others in turn. It goes through all such choices depth first:
 * each order is a run from the beginning that repeats the choices made so far. */
#ifndef INTERLEAVE_EXPLORE_H
#define INTERLEAVE_EXPLORE_H

#include <stdbool.h>
#include <stdint.h>

#define EXPLORE_THREADS 3

struct explore {
    int threads;
    int preemptions;
    void (*begin)(void *arg);         /* before each order */
    void (*body[EXPLORE_THREADS])(void *arg);
    bool (*holds)(void *arg);         /* after each: is all as it must be? */
    void *arg;
    uint64_t orders;                  /* how many there were */
    bool stuck;                       /* the last one: nobody could go on */
};

/* True when every order came to its end and held. Otherwise the last one did not, and
 * its choices are printed when told is true. */
bool explore(struct explore *explore, bool told);

/* Is an order being run? Points outside of one are passed by. */
bool explore_running(void);
/* For a body: wait until ready(arg) is true. */
void explore_wait(bool (*ready)(void *arg), void *arg);
/* Loads with atomic_load() of this place, or with these words as its argument, give 0 from
 * now on. */
void explore_blind(const volatile void *place);
void explore_blind_words(const char *words);

#endif
