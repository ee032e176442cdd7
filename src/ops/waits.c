/* Tasks that wait for each other; see waits.h.
 *
 * The largest set of tasks is looked for in which each waits for another one of the set:
 * all are in it at first, and whoever has nobody in it to wait for leaves it, which may
 * let those leave that waited for it. What is left waits in circles, or for those that do.
 *
 * Links are sorted by what they are about, and found by bisection. */
#include "ops/waits.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define WAITS_MAX 65536
#define ROOM_FIRST 64

#define MARK_CYCLE UINT32_MAX

/* This node, and a lock or a scope: that it waits on, or is in the way of. */
struct waits_link {
    const void *on;
    uint32_t node;
};

void waits_init(struct waits *waits)
{
    memset(waits, 0, sizeof(*waits));
}

void waits_done(struct waits *waits)
{
    base_free(waits->nodes);
    base_free(waits->ways);
    base_free(waits->queue);
    base_free(waits->next);
    base_free(waits->mark);
    waits_init(waits);
}

static bool grow(void **array, uint32_t *room, size_t item_bytes)
{
    uint32_t more = *room ? *room * 2 : ROOM_FIRST;
    void *grown = base_realloc(*array, more * item_bytes);

    if (!grown)
        return false;
    *array = grown;
    *room = more;
    return true;
}

static bool add_way(struct waits *waits, const void *on, uint32_t node)
{
    if (!on)
        return true;
    if (waits->way_count == waits->way_room &&
        !grow((void **)&waits->ways, &waits->way_room, sizeof(*waits->ways)))
        return false;
    waits->ways[waits->way_count++] = (struct waits_link){ on, node };
    return true;
}

bool waits_add(struct waits *waits, const struct waits_node *node)
{
    uint32_t index = waits->count;
    bool whole = true;

    if (index == WAITS_MAX)
        return false;
    if (index == waits->room && !grow((void **)&waits->nodes, &waits->room, sizeof(*node)))
        return false;
    waits->nodes[waits->count++] = *node;
    for (uint32_t i = 0; i < 2; i++)
        whole = add_way(waits, node->in[i], index) && whole;
    for (uint32_t i = 0; i < node->held_count; i++)
        whole = add_way(waits, node->held[i], index) && whole;
    return whole;
}

/* ---- who never comes through -------------------------------------------------------- */

static int compare_links(const void *a, const void *b)
{
    const struct waits_link *x = a, *y = b;

    if (x->on != y->on)
        return (uintptr_t)x->on < (uintptr_t)y->on ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

/* The first link about it, or where that would be. */
static uint32_t first_link(const struct waits_link *links, uint32_t count, const void *on)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if ((uintptr_t)links[middle].on < (uintptr_t)on)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* One that the node waits for and that is still in the set, or -1. */
static int32_t in_the_way(const struct waits *waits, uint32_t node)
{
    const void *on = waits->nodes[node].on;

    for (uint32_t i = first_link(waits->ways, waits->way_count, on);
         i < waits->way_count && waits->ways[i].on == on; i++)
        if (waits->ways[i].node != node && waits->next[waits->ways[i].node] >= 0)
            return (int32_t)waits->ways[i].node;
    return -1;
}

/* The node has left the set: those on what it is in the way of look for another, or leave
 * too, onto the stack. */
static uint32_t let_through(struct waits *waits, uint32_t gone, const void *on, uint32_t *stack,
                            uint32_t depth)
{
    for (uint32_t i = first_link(waits->queue, waits->count, on);
         i < waits->count && waits->queue[i].on == on; i++) {
        uint32_t node = waits->queue[i].node;

        if (waits->next[node] != (int32_t)gone)
            continue;
        waits->next[node] = in_the_way(waits, node);
        if (waits->next[node] < 0)
            stack[depth++] = node;
    }
    return depth;
}

static void reduce(struct waits *waits, uint32_t *stack)
{
    uint32_t depth = 0;

    for (uint32_t i = 0; i < waits->count; i++) {
        waits->next[i] = in_the_way(waits, i);
        if (waits->next[i] < 0)
            stack[depth++] = i;
    }
    while (depth > 0) {
        uint32_t gone = stack[--depth];
        const struct waits_node *node = &waits->nodes[gone];

        for (uint32_t i = 0; i < 2; i++)
            if (node->in[i])
                depth = let_through(waits, gone, node->in[i], stack, depth);
        for (uint32_t i = 0; i < node->held_count; i++)
            depth = let_through(waits, gone, node->held[i], stack, depth);
    }
}

/* ---- cycles ---------------------------------------------------------------------------- */

/* Each node has one next: walk from each, and mark the circles that the walks end in. */
static void mark_cycles(struct waits *waits)
{
    for (uint32_t i = 0; i < waits->count; i++) {
        uint32_t at = i;

        while (waits->next[at] >= 0 && waits->mark[at] == 0) {
            waits->mark[at] = i + 1;
            at = (uint32_t)waits->next[at];
        }
        if (waits->next[at] < 0 || waits->mark[at] != i + 1)
            continue; /* in another walk's way */
        for (; waits->mark[at] != MARK_CYCLE; at = (uint32_t)waits->next[at])
            waits->mark[at] = MARK_CYCLE;
    }
}

bool waits_solve(struct waits *waits)
{
    size_t count = waits->count ? waits->count : 1;

    waits->next = base_calloc(count, sizeof(*waits->next));
    waits->mark = base_calloc(count, sizeof(*waits->mark));
    waits->queue = base_calloc(count, sizeof(*waits->queue));
    if (!waits->next || !waits->mark || !waits->queue)
        return false;
    for (uint32_t i = 0; i < waits->count; i++)
        waits->queue[i] = (struct waits_link){ waits->nodes[i].on, i };
    qsort(waits->queue, waits->count, sizeof(*waits->queue), compare_links);
    if (waits->way_count > 0)
        qsort(waits->ways, waits->way_count, sizeof(*waits->ways), compare_links);
    reduce(waits, waits->mark);
    memset(waits->mark, 0, count * sizeof(*waits->mark));
    mark_cycles(waits);
    return true;
}

/* Has the cycle that the node is in been given, from a node before it? */
static bool is_lowest(const struct waits *waits, uint32_t node)
{
    for (uint32_t at = (uint32_t)waits->next[node]; at != node; at = (uint32_t)waits->next[at])
        if (at < node)
            return false;
    return true;
}

uint32_t waits_cycle(const struct waits *waits, uint32_t *cursor, uint32_t *ret_nodes, uint32_t max)
{
    while (*cursor < waits->count) {
        uint32_t first = (*cursor)++, at = first, length = 0;

        if (waits->mark[first] != MARK_CYCLE || !is_lowest(waits, first))
            continue;
        do {
            if (length < max)
                ret_nodes[length] = at;
            length++;
            at = (uint32_t)waits->next[at];
        } while (at != first);
        return length;
    }
    return 0;
}

uint32_t waits_behind(const struct waits *waits)
{
    uint32_t behind = 0;

    for (uint32_t i = 0; i < waits->count; i++)
        behind += waits->next[i] >= 0 && waits->mark[i] != MARK_CYCLE;
    return behind;
}
