/* The timer wheel: see wheel.h.
 *
 * Invariants: a timer at level n, slot s expires at a tick whose digits above n
 * (base 64) differ from the current tick's, or, at level 0, within 64 ticks. A
 * slot's bit is set when its list is not empty. Timers beyond the horizon (2^36
 * ticks, two years) wait in the last level and are moved on from there. */
#include "rt/wheel.h"

#include <stdbool.h>

#include "rt/loop.h"

#define WHEEL_BITS 6
#define WHEEL_MASK (WHEEL_SLOTS - 1)
#define WHEEL_HORIZON ((1ull << (WHEEL_BITS * WHEEL_LEVELS)) - 1)

void wheel_init(struct wheel *wheel, int64_t now_ns)
{
    wheel->tick = (uint64_t)now_ns / WHEEL_TICK_NS;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        wheel->used[level] = 0;
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
    }
}

/* The first tick at or after at_ns, so that no timer is early. */
static uint64_t tick_of(int64_t at_ns)
{
    return ((uint64_t)at_ns + WHEEL_TICK_NS - 1) / WHEEL_TICK_NS;
}

/* The last of its slot. */
static inline void wheel_put(struct wheel *wheel, unsigned level, unsigned slot,
                             struct timer *timer)
{
    struct node *head = &wheel->slots[level][slot], *last;

    __asm__("" : "+r"(head)); /* or gcc works out each of its uses anew */
    last = head->prev;
    if (last == head)
        wheel->used[level] |= 1ull << slot;
    timer->link.next = head;
    timer->link.prev = last;
    last->next = &timer->link;
    head->prev = &timer->link;
}

static inline void wheel_insert(struct wheel *wheel, struct timer *timer)
{
    uint64_t tick = tick_of(timer->at_ns);
    unsigned level;

    /* Beyond the horizon, or (below 0, that is, huge) not after the current tick. */
    if (unlikely(tick - wheel->tick - 1 >= WHEEL_HORIZON))
        tick = wheel->tick + (tick <= wheel->tick ? 1 : WHEEL_HORIZON);
    /* The level is where the highest digit differs, so that the slot's turn comes
     * before the timer's. */
    level = ((unsigned)__builtin_clzll((tick ^ wheel->tick) | WHEEL_MASK) ^ 63) / WHEEL_BITS;
    if (unlikely(level >= WHEEL_LEVELS))
        level = WHEEL_LEVELS - 1;
    wheel_put(wheel, level, (tick >> (level * WHEEL_BITS)) & WHEEL_MASK, timer);
}

static inline void wheel_remove(struct wheel *wheel, struct timer *timer)
{
    struct node *next = timer->link.next, *prev = timer->link.prev;

    /* Its neighbours were set at any time, and are in no cache: fetch both at once.
     * They are written to, never read, so nothing waits for them. */
    __builtin_prefetch(prev, 1);
    __builtin_prefetch(next, 1);
    if (next == prev) {
        struct node *first = &wheel->slots[0][0];

        /* Alone in a list; only a slot's head carries a bit (timers that are
         * being moved are in a list of the mover's). */
        if (next >= first && next < first + WHEEL_LEVELS * WHEEL_SLOTS) {
            size_t at = (size_t)(next - first);

            wheel->used[at / WHEEL_SLOTS] &= ~(1ull << (at % WHEEL_SLOTS));
        }
    }
    list_unlink(&timer->link);
}

/* Take a slot's timers out into list. */
static void wheel_take(struct wheel *wheel, unsigned level, unsigned slot, struct node *list)
{
    list_init(list);
    list_splice(list, &wheel->slots[level][slot]);
    wheel->used[level] &= ~(1ull << slot);
}

/* At the start of tick: bring down what the higher levels hold for it. */
static void wheel_cascade(struct wheel *wheel)
{
    for (unsigned level = 1; level < WHEEL_LEVELS; level++) {
        unsigned shift = level * WHEEL_BITS;
        struct node list, *n;

        if (wheel->tick & ((1ull << shift) - 1))
            return;
        wheel_take(wheel, level, (wheel->tick >> shift) & WHEEL_MASK, &list);
        /* What is due at this very tick goes to the slot of the current tick. */
        while ((n = list_pop(&list)) != NULL) {
            struct timer *timer = container_of(n, struct timer, link);

            if (tick_of(timer->at_ns) <= wheel->tick) {
                unsigned slot = wheel->tick & WHEEL_MASK;

                wheel_put(wheel, 0, slot, timer);
            } else {
                wheel_insert(wheel, timer);
            }
        }
    }
}

/* The next tick at which a slot is taken or brought down; UINT64_MAX for none. */
static uint64_t wheel_next_tick(const struct wheel *wheel)
{
    uint64_t best = UINT64_MAX;

    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        unsigned shift = level * WHEEL_BITS;
        uint64_t base = wheel->tick >> shift;
        unsigned at = (base & WHEEL_MASK), ahead;
        uint64_t turned, tick;

        if (wheel->used[level] == 0)
            continue;
        /* Rotate so that the slot after the current one is bit 0. */
        at = (at + 1) & WHEEL_MASK;
        turned = at ? (wheel->used[level] >> at) | (wheel->used[level] << (WHEEL_SLOTS - at))
                    : wheel->used[level];
        ahead = (unsigned)__builtin_ctzll(turned) + 1;
        tick = (base + ahead) << shift;
        if (tick < best)
            best = tick;
    }
    return best;
}

void wheel_advance(struct wheel *wheel, int64_t now_ns)
{
    uint64_t now = (uint64_t)now_ns / WHEEL_TICK_NS;

    while (wheel->tick < now) {
        uint64_t next = wheel_next_tick(wheel);
        struct node list, *n;

        if (next > now) {
            wheel->tick = now;
            return;
        }
        wheel->tick = next;
        wheel_cascade(wheel);
        wheel_take(wheel, 0, wheel->tick & WHEEL_MASK, &list);
        while ((n = list_pop(&list)) != NULL) {
            struct timer *timer = container_of(n, struct timer, link);

            timer->at_ns = WEIR_NEVER_NS;
            timer->fire(timer);
        }
    }
}

int64_t wheel_next_ns(const struct wheel *wheel)
{
    uint64_t tick = wheel_next_tick(wheel);

    return tick == UINT64_MAX ? WEIR_NEVER_NS : (int64_t)(tick * WHEEL_TICK_NS);
}

void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
    list_init(&timer->link);
    timer->at_ns = WEIR_NEVER_NS;
    timer->fire = fire;
}

void timer_set(struct loop *loop, struct timer *timer, int64_t at_ns)
{
    if (timer->at_ns != WEIR_NEVER_NS)
        wheel_remove(&loop->wheel, timer);
    timer->at_ns = at_ns < 0 ? 0 : at_ns;
    if (at_ns != WEIR_NEVER_NS)
        wheel_insert(&loop->wheel, timer);
}

void timer_clear(struct loop *loop, struct timer *timer)
{
    if (timer->at_ns == WEIR_NEVER_NS)
        return;
    timer->at_ns = WEIR_NEVER_NS;
    wheel_remove(&loop->wheel, timer);
}
