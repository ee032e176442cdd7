/* Who waits for whom: the wait-for graph of all loops, and the tasks in it that wait for
 * each other and will do so for ever.
 *
 * Tasks wait on things (a lock, a scope, the units of a semaphore, an end of a channel:
 * see rt/wakers.h), and have ways to things: they hold them, or are a part of them. A task
 * waits for ever on a thing when `enough` of the ways to it are those of tasks that wait for
 * ever: for a lock or a join one will do, as each of its ways must come free; for units
 * and ends of channels it takes all there are, so who has one that is not in the graph, or
 * of which nothing is known, lets all through. A task that waits on several things, as
 * in a select, waits for ever when it does so on each.
 *
 * All other waits (for input, time) may end by what is not in the graph, and are left out
 * of it. Leaving one out can hide a deadlock, but never make one up.
 *
 * It is a pure structure: deadlock.c fills it in and says what it found. */
#ifndef OPS_WAITS_H
#define OPS_WAITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/scope.h>

struct waits_node {
    weir_task task;
    uint32_t loop;
    int64_t since_ns;    /* for whoever looks again, as what follows; 0: it has no stack */
    uint8_t kind;        /* of the wait */
    bool proxy;          /* it stands for a task of another loop */
    uint32_t on, on_end; /* its part of ons */
    uint32_t way, way_end;
};

struct waits {
    struct waits_node *nodes;
    uint32_t count, room;
    struct waits_link *ons, *ways; /* in the order of the nodes: ways once it is solved */
    uint32_t on_count, on_room, way_count, way_room;

    /* Once it is solved: */
    struct waits_link *by_on, *by_way;   /* in the order of the things */
    struct waits_thing *things;
    uint32_t thing_count;
    int32_t *next; /* one that the node waits for, and that waits for ever too; -1: it may
                      come through */
    uint8_t *mark; /* of nodes in a cycle, and those that were given */
};

void waits_init(struct waits *waits);
void waits_done(struct waits *waits);
/* A task that waits: number count, then. After it, what it waits on; and any time, the ways of
 * a node. false without memory, or when there are too many: a node is not in the graph
 * then. */
bool waits_add(struct waits *waits, const struct waits_node *node);
bool waits_add_on(struct waits *waits, const void *object, uint32_t enough);
bool waits_add_way(struct waits *waits, uint32_t node, const void *object);
/* All of another graph. */
bool waits_add_all(struct waits *waits, const struct waits *more);

/* Look for those that can't come through, once: after it the rest may be asked.
 * false without memory. */
bool waits_solve(struct waits *waits);
/* The next knot from *cursor (0 at first) on: a cycle, the indices of its nodes, each waiting
 * for the one behind it and the last for the first; and behind it those who could end the
 * waits of the cycle otherwise, but wait for ever too. At most max; the rest is left out.
 * Returns how many there are, and in *ret_cycle, how many of them are the cycle; 0 at the
 * end. No cycle is given that was a part of a knot before. */
uint32_t waits_knot(struct waits *waits, uint32_t *cursor, uint32_t *ret_nodes, uint32_t max,
                    uint32_t *ret_cycle);
/* Has the one a way to what the other waits on? That thing, or NULL. */
const void *waits_between(const struct waits *waits, uint32_t waiting, uint32_t in_the_way);
/* How many tasks wait for ever without being in a knot that was given: for those that are. */
uint32_t waits_behind(const struct waits *waits);

#endif
