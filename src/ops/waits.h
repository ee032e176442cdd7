/* Who waits for whom: the wait-for graph of all loops, and the tasks in it that wait for
 * each other and will do so for ever.
 *
 * A task that waits for a lock waits for those that hold it; one that joins a scope waits
 * for every task in it. Each must come through, so one of them that never does is enough.
 * All other waits (for input, time, an item) may end by what is not in the graph, and are
 * left out of it.
 *
 * It is a pure structure: deadlock.c fills it in and says what it found. */
#ifndef OPS_WAITS_H
#define OPS_WAITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/scope.h>

#define WAITS_LOCKS 8

struct waits_node {
    weir_task task;
    uint32_t loop;
    bool joins;          /* on: a scope; else a lock */
    const void *on;
    const void *in[2];   /* scopes whose join waits for it; the second may be NULL */
    const void *held[WAITS_LOCKS];
    uint32_t held_count;
};

struct waits {
    struct waits_node *nodes;
    uint32_t count, room;
    struct waits_link *ways;  /* who stands in the way of those that wait on what */
    uint32_t way_count, way_room;
    struct waits_link *queue; /* who waits on what, once it is solved */
    int32_t *next;            /* one that the node waits for, and that waits for ever too;
                                 -1: it may come through */
    uint32_t *mark;           /* of nodes in a cycle: MARK_CYCLE */
};

void waits_init(struct waits *waits);
void waits_done(struct waits *waits);
/* A task that waits. false without memory, or when there are too many. */
bool waits_add(struct waits *waits, const struct waits_node *node);
/* Look for those that can't come through, once: after it the two below may be asked.
 * false without memory. */
bool waits_solve(struct waits *waits);
/* The next cycle from *cursor (0 at first) on: the indices of its nodes, each waiting for
 * the one behind it and the last for the first, at most max (the rest is left out).
 * Returns how many it has; 0 at the end. Each cycle is given once. */
uint32_t waits_cycle(const struct waits *waits, uint32_t *cursor, uint32_t *ret_nodes,
                     uint32_t max);
/* How many tasks wait for ever without being in a cycle: for those that are. */
uint32_t waits_behind(const struct waits *waits);

#endif
