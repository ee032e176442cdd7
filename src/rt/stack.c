/* Stacks: see stack.h.
 *
 * A stack's place is handed out fresh from the newest slab, or from the cold
 * ones. Invariants: a cold stack has no resident page but, under PROTECT and
 * SLAB, what the kernel keeps; slabs are unmapped only at the end.
 *
 * Accounting: a stack counts with two pages in the byte budget, what a parked
 * task keeps resident; depth beyond is sampled and trimmed. */
#include "rt/stack.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weir/export.h>

#include "base/alloc.h"
#include "base/budget.h"

/* Valgrind takes a jump of the stack pointer for a switch only when it knows both
 * stacks. Outside Valgrind its requests cost a few instructions. */
#ifdef WEIR_VALGRIND
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_STACK_REGISTER(start, end) ((void)(start), 0)
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif

#define HUGE_BYTES (2u << 20)
#define STACK_CANARY 0x5eed1e55ca11ab1eull
#define MADV_GUARD_INSTALL_ 102 /* linux/mman.h, since 6.13 */
#define MAPS_DEFAULT 65530

/* Mappings that guards have split off so far, of the whole process. */
static atomic_uint guard_maps;
#define PROTECT_MAPS (2 * STACKS_IN_SLAB) /* that a slab of each form splits off */
#define SLAB_MAPS 2

static unsigned guard_maps_max(void)
{
    static atomic_uint known;
    unsigned max = atomic_load_explicit(&known, memory_order_relaxed);
    FILE *file;

    if (max)
        return max;
    max = MAPS_DEFAULT;
    file = fopen("/proc/sys/vm/max_map_count", "re");
    if (file) {
        if (fscanf(file, "%u", &max) != 1)
            max = MAPS_DEFAULT;
        fclose(file);
    }
    max = max / 10 * 4;
    atomic_store_explicit(&known, max, memory_order_relaxed);
    return max;
}

static enum stack_guard guard_wanted(void)
{
    const char *form = getenv("WEIR_STACK_GUARD");

    if (form && strcmp(form, "slab") == 0)
        return STACK_GUARD_SLAB;
    return form && strcmp(form, "protect") == 0 ? STACK_GUARD_PROTECT : STACK_GUARD_INSTALL;
}

void stacks_init(struct stacks *stacks, size_t stack_bytes)
{
    memset(stacks, 0, sizeof(*stacks));
    stacks->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    stacks->stack_bytes = stack_bytes < 4 * stacks->page_bytes ? 4 * stacks->page_bytes
                                                               : stack_bytes;
    stacks->best = guard_wanted();
}

static void slab_tell_valgrind(const struct stacks *stacks, struct stack_slab *slab)
{
    slab->valgrind_ids = NULL;
    if (!RUNNING_ON_VALGRIND)
        return;
    slab->valgrind_ids = base_calloc(STACKS_IN_SLAB, sizeof(*slab->valgrind_ids));
    for (size_t i = 0; slab->valgrind_ids && i < STACKS_IN_SLAB; i++) {
        const char *low = slab->base + i * stacks->stack_bytes;

        slab->valgrind_ids[i] = VALGRIND_STACK_REGISTER(low + stacks->page_bytes,
                                                        low + stacks->stack_bytes);
    }
}

static void slab_forget(const struct stack_slab *slab, size_t slab_bytes)
{
    for (size_t i = 0; slab->valgrind_ids && i < STACKS_IN_SLAB; i++)
        VALGRIND_STACK_DEREGISTER(slab->valgrind_ids[i]);
    base_free(slab->valgrind_ids);
    munmap(slab->base, slab_bytes);
    atomic_fetch_sub(&guard_maps, slab->maps);
}

void stacks_done(struct stacks *stacks)
{
    size_t slab_bytes = stacks->stack_bytes * STACKS_IN_SLAB;

    for (uint32_t i = 0; i < stacks->slab_count; i++)
        slab_forget(&stacks->slabs[i], slab_bytes);
    budget_give(BUDGET_STACK, (uint64_t)stacks->taken * STACK_ACCOUNTED_BYTES);
    base_free(stacks->slabs);
    base_free(stacks->cold);
    memset(stacks, 0, sizeof(*stacks));
}

/* Make room for one more of an array that doubles. */
static void *grown(void *array, uint32_t count, uint32_t *room, size_t bytes)
{
    uint32_t wanted = *room ? *room * 2 : 16;
    void *more;

    if (count < *room)
        return array;
    more = base_realloc(array, wanted * bytes);
    if (more)
        *room = wanted;
    return more;
}

/* Reserve a slab aligned to huge pages, so that its page tables are its own. */
static char *slab_map(size_t bytes)
{
    char *raw = mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    char *base;

    if (raw == MAP_FAILED)
        return NULL;
    base = (char *)(((uintptr_t)raw + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1));
    if (base > raw)
        munmap(raw, (size_t)(base - raw));
    if (base - raw < HUGE_BYTES)
        munmap(base + bytes, HUGE_BYTES - (size_t)(base - raw));
    madvise(base, bytes, MADV_NOHUGEPAGE);
    return base;
}

/* Some systems that run programs of Linux take any advice and follow none: the
 * kernel is asked to write there, which it must refuse. */
static bool guard_markers_work(char *page, size_t page_bytes)
{
    return madvise(page, page_bytes, MADV_GUARD_INSTALL_) == 0 && syscall(SYS_uname, page) < 0 &&
           errno == EFAULT;
}

/* A guard for each, as far as that goes. */
static bool guard_each(const struct stacks *stacks, char *base, enum stack_guard form)
{
    for (size_t i = 0; i < STACKS_IN_SLAB; i++) {
        char *page = base + i * stacks->stack_bytes;
        int rc = form == STACK_GUARD_INSTALL
                     ? madvise(page, stacks->page_bytes, MADV_GUARD_INSTALL_)
                     : mprotect(page, stacks->page_bytes, PROT_NONE);

        if (rc < 0)
            return false;
    }
    return true;
}

static enum stack_guard slab_guard(const struct stacks *stacks, char *base, unsigned *ret_maps)
{
    *ret_maps = 0;
    if (stacks->best <= STACK_GUARD_INSTALL && guard_markers_work(base, stacks->page_bytes))
        return guard_each(stacks, base, STACK_GUARD_INSTALL) ? STACK_GUARD_INSTALL
                                                             : STACK_GUARD_SLAB;
    if (stacks->best <= STACK_GUARD_PROTECT) {
        if (atomic_fetch_add(&guard_maps, PROTECT_MAPS) + PROTECT_MAPS <= guard_maps_max()) {
            *ret_maps = PROTECT_MAPS;
            return guard_each(stacks, base, STACK_GUARD_PROTECT) ? STACK_GUARD_PROTECT
                                                                 : STACK_GUARD_SLAB;
        }
        atomic_fetch_sub(&guard_maps, PROTECT_MAPS);
    }
    atomic_fetch_add(&guard_maps, SLAB_MAPS);
    *ret_maps = SLAB_MAPS;
    WEIR_IGNORE(mprotect(base, stacks->page_bytes, PROT_NONE), "the canaries stand as well");
    return STACK_GUARD_SLAB;
}

static bool slab_add(struct stacks *stacks)
{
    struct stack_slab *slabs = grown(stacks->slabs, stacks->slab_count, &stacks->slab_room,
                                     sizeof(*slabs));
    struct stack_slab *slab;

    if (!slabs)
        return false;
    stacks->slabs = slabs;
    slab = &slabs[stacks->slab_count];
    slab->base = slab_map(stacks->stack_bytes * STACKS_IN_SLAB);
    if (!slab->base)
        return false;
    slab->guard = stacks->guard = slab_guard(stacks, slab->base, &slab->maps);
    slab_tell_valgrind(stacks, slab);
    stacks->canaries |= slab->guard == STACK_GUARD_SLAB;
    stacks->slab_count++;
    stacks->fresh = STACKS_IN_SLAB;
    return true;
}

/* Once there are no guards for each, it depends on the slab that a stack is of. */
bool stack_has_canary(const struct stacks *stacks, const char *low)
{
    size_t slab_bytes = stacks->stack_bytes * STACKS_IN_SLAB;

    if (!stacks->canaries)
        return false;
    for (uint32_t i = stacks->slab_count; i-- > 0;) {
        const struct stack_slab *slab = &stacks->slabs[i];

        if (low >= slab->base && low < slab->base + slab_bytes)
            return slab->guard == STACK_GUARD_SLAB;
    }
    return false;
}

static void set_canary(const struct stacks *stacks, char *low)
{
    if (stack_has_canary(stacks, low))
        *(uint64_t *)(void *)(low + stacks->page_bytes) = STACK_CANARY;
}

static char *stack_place(struct stacks *stacks)
{
    if (stacks->cold_count > 0)
        return stacks->cold[--stacks->cold_count];
    if (stacks->fresh == 0 && !slab_add(stacks))
        return NULL;
    return stacks->slabs[stacks->slab_count - 1].base +
           (STACKS_IN_SLAB - stacks->fresh--) * stacks->stack_bytes;
}

char *stack_take(struct stacks *stacks)
{
    char *low;

    if (!budget_take(BUDGET_STACK, STACK_ACCOUNTED_BYTES))
        return NULL;
    low = stack_place(stacks);
    if (!low) {
        budget_give(BUDGET_STACK, STACK_ACCOUNTED_BYTES);
        return NULL;
    }
    set_canary(stacks, low);
    stacks->taken++;
    return low;
}

void stack_give(struct stacks *stacks, char *low)
{
    char **cold = grown(stacks->cold, stacks->cold_count, &stacks->cold_room, sizeof(*cold));

    stacks->taken--;
    budget_give(BUDGET_STACK, STACK_ACCOUNTED_BYTES);
    madvise(low + stacks->page_bytes, stacks->stack_bytes - stacks->page_bytes, MADV_DONTNEED);
    if (!cold)
        return; /* its place is lost until the end, its memory is not */
    stacks->cold = cold;
    cold[stacks->cold_count++] = low;
}

void stack_sample(struct stacks *stacks, char *low, size_t keep_bytes)
{
    unsigned char resident[64];
    size_t page = stacks->page_bytes, pages = stacks->stack_bytes / page;
    size_t keep = (keep_bytes + page - 1) / page;
    size_t deep = 0, lowest = stack_has_canary(stacks, low) ? 2 : 1; /* not the canary's page */

    for (size_t first = lowest; first < pages && deep == 0; first += sizeof(resident)) {
        size_t count = pages - first < sizeof(resident) ? pages - first : sizeof(resident);

        if (mincore(low + first * page, count * page, resident) < 0)
            return;
        for (size_t i = 0; i < count && deep == 0; i++)
            if (resident[i] & 1)
                deep = pages - (first + i);
    }
    if (deep * page > stacks->deepest_bytes)
        stacks->deepest_bytes = deep * page;
    if (deep > keep)
        madvise(low + lowest * page, (pages - keep - lowest) * page, MADV_DONTNEED);
}

bool stack_intact(const struct stacks *stacks, const char *low, const void *sp)
{
    const char *canary = low + stacks->page_bytes;

    return *(const uint64_t *)(const void *)canary == STACK_CANARY && (const char *)sp > canary;
}

const char *stack_guard_name(enum stack_guard guard)
{
    switch (guard) {
    case STACK_GUARD_INSTALL: return "a guard page (a marker in the page table) under each";
    case STACK_GUARD_PROTECT: return "a guard page under each";
    default: return "a guard page under every 64, and canaries";
    }
}
