/* Tasks that wait for each other; see waits.h.
 *
 * The largest set of tasks is looked for in which each waits for ever if the others do: all
 * are in it at first, and whoever has enough in it no more leaves it, which may let those
 * leave that waited for it. What is left waits in circles, or for those that do.
 *
 * What is waited on (a thing) is found by bisection. Of each it is known how many of its
 * ways are those of tasks in the set, and its waiters stand in the order of how many they
 * need, so that each is looked at only when it leaves. */
#include "ops/waits.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define WAITS_MAX 65536
#define LINKS_MAX (8 * WAITS_MAX)
#define ROOM_FIRST 64

enum { MARK_CYCLE = 1, MARK_GIVEN = 2 };

/* A node and a thing that it waits on, or has a way to. */
struct waits_link {
    const void *object;
    uint32_t node;
    uint32_t enough; /* of a wait */
};

struct waits_thing {
    const void *object;
    uint32_t way, way_end; /* its part of by_way */
    uint32_t on, on_end;   /* and of by_on: those before on have left */
    uint32_t left;         /* ways of nodes that are in the set */
};

void waits_init(struct waits *waits)
{
    memset(waits, 0, sizeof(*waits));
}

void waits_done(struct waits *waits)
{
    base_free(waits->nodes);
    base_free(waits->ons);
    base_free(waits->ways);
    base_free(waits->by_on);
    base_free(waits->by_way);
    base_free(waits->things);
    base_free(waits->next);
    base_free(waits->mark);
    waits_init(waits);
}

/* ---- filling it in --------------------------------------------------------------------- */

static bool make_room(void **array, uint32_t count, uint32_t *room, uint32_t max, size_t item_bytes)
{
    uint32_t more = *room ? *room * 2 : ROOM_FIRST;
    void *grown;

    if (count < *room)
        return true;
    if (count >= max)
        return false;
    grown = base_realloc(*array, more * item_bytes);
    if (!grown)
        return false;
    *array = grown;
    *room = more;
    return true;
}

bool waits_add(struct waits *waits, const struct waits_node *node)
{
    struct waits_node *added;

    if (!make_room((void **)&waits->nodes, waits->count, &waits->room, WAITS_MAX, sizeof(*node)))
        return false;
    added = &waits->nodes[waits->count++];
    *added = *node;
    added->on = added->on_end = waits->on_count;
    return true;
}

bool waits_add_on(struct waits *waits, const void *object, uint32_t enough)
{
    struct waits_node *node = &waits->nodes[waits->count - 1];

    if (!make_room((void **)&waits->ons, waits->on_count, &waits->on_room, LINKS_MAX,
                   sizeof(*waits->ons))) {
        /* As if it waited on less, it might seem to wait for ever: out with it. */
        waits->on_count = node->on;
        waits->count--;
        return false;
    }
    waits->ons[waits->on_count++] = (struct waits_link){ object, waits->count - 1, enough };
    node->on_end = waits->on_count;
    return true;
}

bool waits_add_way(struct waits *waits, uint32_t node, const void *object)
{
    if (!make_room((void **)&waits->ways, waits->way_count, &waits->way_room, LINKS_MAX,
                   sizeof(*waits->ways)))
        return false;
    waits->ways[waits->way_count++] = (struct waits_link){ object, node, 0 };
    return true;
}

static bool add_again(struct waits *waits, const struct waits *from, const struct waits_node *node)
{
    if (!waits_add(waits, node))
        return false;
    for (uint32_t i = node->on; i < node->on_end; i++)
        if (!waits_add_on(waits, from->ons[i].object, from->ons[i].enough))
            return false;
    return true;
}

bool waits_add_all(struct waits *waits, const struct waits *more)
{
    uint32_t first = waits->count, added = 0;
    bool all = true;

    while (added < more->count && add_again(waits, more, &more->nodes[added]))
        added++;
    for (uint32_t i = 0; i < more->way_count && all; i++)
        if (more->ways[i].node < added)
            all = waits_add_way(waits, first + more->ways[i].node, more->ways[i].object);
    return all && added == more->count;
}

/* ---- things ------------------------------------------------------------------------------ */

/* Those of one thing by how many they need, the most first. */
static int compare_links(const void *a, const void *b)
{
    const struct waits_link *x = a, *y = b;

    if (x->object != y->object)
        return (uintptr_t)x->object < (uintptr_t)y->object ? -1 : 1;
    if (x->enough != y->enough)
        return x->enough > y->enough ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

static int compare_nodes(const void *a, const void *b)
{
    const struct waits_link *x = a, *y = b;

    return x->node < y->node ? -1 : x->node > y->node;
}

/* The ways of each node in one piece. */
static void sort_ways(struct waits *waits)
{
    uint32_t way = 0;

    if (waits->way_count > 0)
        qsort(waits->ways, waits->way_count, sizeof(*waits->ways), compare_nodes);
    for (uint32_t i = 0; i < waits->count; i++) {
        waits->nodes[i].way = way;
        while (way < waits->way_count && waits->ways[way].node == i)
            way++;
        waits->nodes[i].way_end = way;
    }
}

static struct waits_link *sorted(const struct waits_link *links, uint32_t count)
{
    struct waits_link *copy = base_calloc(count ? count : 1, sizeof(*copy));

    if (!copy || count == 0)
        return copy;
    memcpy(copy, links, count * sizeof(*copy));
    qsort(copy, count, sizeof(*copy), compare_links);
    return copy;
}

/* Each that is waited on; both lists of links are in their order. */
static void list_things(struct waits *waits)
{
    uint32_t way = 0;

    for (uint32_t on = 0; on < waits->on_count;) {
        struct waits_thing *thing = &waits->things[waits->thing_count++];

        thing->object = waits->by_on[on].object;
        thing->on = on;
        while (on < waits->on_count && waits->by_on[on].object == thing->object)
            on++;
        thing->on_end = on;
        while (way < waits->way_count &&
               (uintptr_t)waits->by_way[way].object < (uintptr_t)thing->object)
            way++;
        thing->way = way;
        while (way < waits->way_count && waits->by_way[way].object == thing->object)
            way++;
        thing->way_end = way;
        thing->left = thing->way_end - thing->way;
    }
}

/* NULL: nobody waits on it. */
static struct waits_thing *thing_of(const struct waits *waits, const void *object)
{
    uint32_t low = 0, high = waits->thing_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if ((uintptr_t)waits->things[middle].object < (uintptr_t)object)
            low = middle + 1;
        else
            high = middle;
    }
    return low < waits->thing_count && waits->things[low].object == object ? &waits->things[low]
                                                                           : NULL;
}

/* ---- who never comes through -------------------------------------------------------- */

/* The waiters that need more than there is leave the set, onto the stack. */
static uint32_t let_through(struct waits *waits, struct waits_thing *thing, uint32_t *stack,
                            uint32_t depth)
{
    for (; thing->on < thing->on_end; thing->on++) {
        const struct waits_link *waiter = &waits->by_on[thing->on];

        if (waiter->enough <= thing->left)
            break;
        if (waits->next[waiter->node] < 0)
            continue;
        waits->next[waiter->node] = -1;
        stack[depth++] = waiter->node;
    }
    return depth;
}

static void reduce(struct waits *waits, uint32_t *stack)
{
    uint32_t depth = 0;

    for (uint32_t i = 0; i < waits->count; i++) {
        waits->next[i] = waits->nodes[i].on < waits->nodes[i].on_end ? 0 : -1;
        if (waits->next[i] < 0)
            stack[depth++] = i;
    }
    for (uint32_t i = 0; i < waits->thing_count; i++)
        depth = let_through(waits, &waits->things[i], stack, depth);
    while (depth > 0) {
        const struct waits_node *gone = &waits->nodes[stack[--depth]];

        for (uint32_t i = gone->way; i < gone->way_end; i++) {
            struct waits_thing *thing = thing_of(waits, waits->ways[i].object);

            if (!thing)
                continue;
            thing->left--;
            depth = let_through(waits, thing, stack, depth);
        }
    }
}

/* For each that is left, one that it waits for; another than itself if there is one. */
static void link_up(struct waits *waits)
{
    for (uint32_t i = 0; i < waits->count; i++) {
        const struct waits_thing *thing;
        uint32_t to = i;

        if (waits->next[i] < 0)
            continue;
        thing = thing_of(waits, waits->ons[waits->nodes[i].on].object);
        for (uint32_t k = thing->way; k < thing->way_end && to == i; k++)
            if (waits->next[waits->by_way[k].node] >= 0)
                to = waits->by_way[k].node;
        waits->next[i] = (int32_t)to;
    }
}

/* ---- cycles ---------------------------------------------------------------------------- */

/* Each node has one next: walk from each, and mark the circles that the walks end in. */
static void mark_cycles(struct waits *waits, uint32_t *seen)
{
    memset(seen, 0, waits->count * sizeof(*seen));
    for (uint32_t i = 0; i < waits->count; i++) {
        uint32_t at = i;

        while (waits->next[at] >= 0 && seen[at] == 0) {
            seen[at] = i + 1;
            at = (uint32_t)waits->next[at];
        }
        if (waits->next[at] < 0 || seen[at] != i + 1)
            continue; /* in another walk's way */
        for (; !(waits->mark[at] & MARK_CYCLE); at = (uint32_t)waits->next[at])
            waits->mark[at] = MARK_CYCLE;
    }
}

bool waits_solve(struct waits *waits)
{
    uint32_t count = waits->count ? waits->count : 1;
    uint32_t *scratch = base_calloc(count, sizeof(*scratch));

    waits->next = base_calloc(count, sizeof(*waits->next));
    waits->mark = base_calloc(count, sizeof(*waits->mark));
    waits->things = base_calloc(waits->on_count ? waits->on_count : 1, sizeof(*waits->things));
    waits->by_on = sorted(waits->ons, waits->on_count);
    waits->by_way = sorted(waits->ways, waits->way_count);
    if (!scratch || !waits->next || !waits->mark || !waits->things || !waits->by_on ||
        !waits->by_way) {
        base_free(scratch);
        return false;
    }
    sort_ways(waits);
    list_things(waits);
    reduce(waits, scratch);
    link_up(waits);
    mark_cycles(waits, scratch);
    base_free(scratch);
    return true;
}

/* ---- knots -------------------------------------------------------------------------------- */

struct knot {
    uint32_t *nodes;
    uint32_t max, kept, count;
};

static void knot_add(struct waits *waits, struct knot *knot, uint32_t node)
{
    if (waits->mark[node] & MARK_GIVEN)
        return;
    waits->mark[node] |= MARK_GIVEN;
    knot->count++;
    if (knot->kept < knot->max)
        knot->nodes[knot->kept++] = node;
}

/* Whoever could end the node's wait, on this thing. */
static void knot_add_on(struct waits *waits, struct knot *knot, const struct waits_link *on)
{
    const struct waits_thing *thing = thing_of(waits, on->object);

    for (uint32_t i = thing->way; i < thing->way_end; i++)
        if (waits->next[waits->by_way[i].node] >= 0)
            knot_add(waits, knot, waits->by_way[i].node);
}

/* Where one is enough to keep it waiting, that one is told, not all. */
static void knot_add_others(struct waits *waits, struct knot *knot, uint32_t index)
{
    const struct waits_node *node = &waits->nodes[index];

    knot_add(waits, knot, (uint32_t)waits->next[index]);
    for (uint32_t i = node->on; i < node->on_end; i++)
        if (waits->ons[i].enough > 1 || node->on_end - node->on > 1)
            knot_add_on(waits, knot, &waits->ons[i]);
}

uint32_t waits_knot(struct waits *waits, uint32_t *cursor, uint32_t *ret_nodes, uint32_t max,
                    uint32_t *ret_cycle)
{
    struct knot knot = { .nodes = ret_nodes, .max = max };

    while (*cursor < waits->count && waits->mark[*cursor] != MARK_CYCLE)
        (*cursor)++;
    if (*cursor == waits->count)
        return 0;
    for (uint32_t at = *cursor; !(waits->mark[at] & MARK_GIVEN); at = (uint32_t)waits->next[at])
        knot_add(waits, &knot, at);
    *ret_cycle = knot.count;
    for (uint32_t i = 0; i < knot.kept; i++)
        knot_add_others(waits, &knot, ret_nodes[i]);
    return knot.count;
}

const void *waits_between(const struct waits *waits, uint32_t waiting, uint32_t in_the_way)
{
    const struct waits_node *from = &waits->nodes[waiting], *to = &waits->nodes[in_the_way];

    for (uint32_t i = from->on; i < from->on_end; i++)
        for (uint32_t k = to->way; k < to->way_end; k++)
            if (waits->ons[i].object == waits->ways[k].object)
                return waits->ons[i].object;
    return NULL;
}

uint32_t waits_behind(const struct waits *waits)
{
    uint32_t behind = 0;

    for (uint32_t i = 0; i < waits->count; i++)
        behind += waits->next[i] >= 0 && !(waits->mark[i] & MARK_GIVEN);
    return behind;
}
