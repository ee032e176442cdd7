/* Stacks for tasks: reserved in slabs of 64, only touched pages resident.
 *
 * Each has a guard page at its low end, in the best form that the kernel offers,
 * or from the one on that WEIR_STACK_GUARD in the environment names (install,
 * protect or slab):
 *   GUARD_INSTALL  a guard marker in the page table (Linux 6.13): no mapping of
 *                  its own, so any number of stacks
 *   PROTECT        a page without access: two mappings a stack, so up to 40 % of
 *                  vm.max_map_count
 *   SLAB           one such page a slab, a canary at each stack's low end, and a
 *                  look at it and at the stack pointer when a task leaves its stack
 */
#ifndef RT_STACK_H
#define RT_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STACK_BYTES_DEFAULT 262144
#define STACKS_IN_SLAB 64
#define STACK_SAMPLE_EVERY 1024 /* ends of tasks between two looks at a depth */

enum stack_guard { STACK_GUARD_INSTALL, STACK_GUARD_PROTECT, STACK_GUARD_SLAB };

struct stack_slab {
    char *base;
    enum stack_guard guard;
    unsigned maps;          /* mappings that its guards have split off */
    unsigned *valgrind_ids; /* of its stacks, under Valgrind */
};

/* What a stack that is in use takes from the budget: two pages, where they have the usual
 * size. */
#define STACK_ACCOUNTED_BYTES 8192

struct stacks {
    size_t stack_bytes, page_bytes;
    struct stack_slab *slabs;
    uint32_t slab_count, slab_room;
    char **cold;            /* low ends of stacks whose pages were given back */
    uint32_t cold_count, cold_room;
    uint32_t fresh;         /* stacks of the newest slab not yet handed out */
    uint32_t taken;
    enum stack_guard guard; /* of the newest slab */
    enum stack_guard best;  /* no better form is tried */
    bool canaries;          /* some slab is in the SLAB form */
    uint32_t releases;      /* for sampling depths */
    size_t deepest_bytes;   /* seen so far by sampling */
};

void stacks_init(struct stacks *stacks, size_t stack_bytes);
void stacks_done(struct stacks *stacks);
/* The low end of a stack; NULL without memory or budget. */
char *stack_take(struct stacks *stacks);
/* Give a stack's pages back to the kernel and keep its place. */
void stack_give(struct stacks *stacks, char *low);
/* A task on this stack has ended: measure how deep it went, and give back what
 * lies deeper than keep_bytes. Costs a system call: for a sample of the ends. */
void stack_sample(struct stacks *stacks, char *low, size_t keep_bytes);
/* Is this stack in the SLAB form? Looks through the slabs when any is. */
bool stack_has_canary(const struct stacks *stacks, const char *low);
/* Of a stack in the SLAB form: is its canary intact, and sp inside it? */
bool stack_intact(const struct stacks *stacks, const char *low, const void *sp);
const char *stack_guard_name(enum stack_guard guard);

#endif
