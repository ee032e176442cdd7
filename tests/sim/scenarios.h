/* Scenarios that run on any backend, with a trace each that must be the same on
 * all: what a program sees of one is what it sees of the other.
 *
 * A scenario is a task. It says what happened with say(), only where the order
 * follows from the program: not from who runs first, or how long bytes travel
 * (up to some milliseconds each way). */
#ifndef SIM_SCENARIOS_H
#define SIM_SCENARIOS_H

#include <weir/scope.h>

struct scenario {
    const char *name;
    weir_fn *run;
    uint32_t loops;
};

extern const struct scenario scenarios[];
extern const int scenario_count;

/* scenarios_datagram.c */
int datagrams(void *arg);
int datagrams_of_both_families(void *arg);
int datagrams_refused(void *arg);
int datagrams_of_a_peer(void *arg);
int datagrams_wrong(void *arg);

__attribute__((format(printf, 1, 2))) void say(const char *fmt, ...);
/* What was said since the last call; valid until the next say(). */
const char *said(void);

#endif
