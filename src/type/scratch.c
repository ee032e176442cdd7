/* A bump allocator over a block that each thread keeps; see scratch.h.
 *
 * The block is taken at a thread's first parse and freed at the thread's end (a
 * pthread key, made once, does that); the pointer to it is thread-local.
 *
 * Invariants: used <= SCRATCH_BYTES; last is the newest piece in the block, the
 * only one that can grow or be given back; while idle, used is 0. */
#include "type/scratch.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/budget.h"
#include "base/poison.h"

#define SCRATCH_ALIGN 16

struct scratch_block {
    size_t used;
    char *last;
    bool busy;
    _Alignas(SCRATCH_ALIGN) char data[SCRATCH_BYTES];
};

static _Thread_local struct scratch_block *thread_block;
static pthread_key_t block_key;
static pthread_once_t block_key_once = PTHREAD_ONCE_INIT;

static void block_free(void *block)
{
    thread_block = NULL;
    unpoison_memory(block, sizeof(struct scratch_block));
    base_free(block);
    budget_give(BUDGET_ARENA, sizeof(struct scratch_block));
}

static void block_key_make(void)
{
    (void)pthread_key_create(&block_key, block_free);
}

static struct scratch_block *block_get(void)
{
    struct scratch_block *block = thread_block;

    if (block || !budget_take(BUDGET_ARENA, sizeof *block))
        return block;
    pthread_once(&block_key_once, block_key_make);
    block = base_malloc(sizeof *block);
    if (!block || pthread_setspecific(block_key, block) != 0) {
        base_free(block);
        budget_give(BUDGET_ARENA, sizeof *block);
        return NULL;
    }
    block->used = 0;
    block->last = NULL;
    block->busy = false;
    poison_memory(block->data, SCRATCH_BYTES);
    thread_block = block;
    return block;
}

static bool in_block(const struct scratch_block *block, const void *memory)
{
    return block && (uintptr_t)memory - (uintptr_t)block->data < SCRATCH_BYTES;
}

static size_t rounded(size_t bytes)
{
    return (bytes + SCRATCH_ALIGN - 1) & ~(size_t)(SCRATCH_ALIGN - 1);
}

void *scratch_alloc(struct scratch *scratch, size_t bytes)
{
    struct scratch_block *block = scratch->block;

    /* The gap keeps an overrun inside the block visible to AddressSanitizer. */
    if (!block || bytes > SCRATCH_BYTES ||
        rounded(bytes) + SCRATCH_ALIGN > SCRATCH_BYTES - block->used)
        return base_malloc(bytes);
    block->last = block->data + block->used;
    block->used += rounded(bytes) + SCRATCH_ALIGN;
    unpoison_memory(block->last, bytes);
    return block->last;
}

void scratch_free(struct scratch *scratch, void *memory)
{
    struct scratch_block *block = scratch->block;

    if (!in_block(block, memory)) {
        base_free(memory);
        return;
    }
    if (memory == block->last) {
        poison_memory(block->last, block->used - (size_t)(block->last - block->data));
        block->used = (size_t)(block->last - block->data);
        block->last = NULL;
    }
}

static void *alc_malloc(void *context, size_t bytes)
{
    return scratch_alloc(context, bytes);
}

static void alc_free(void *context, void *memory)
{
    scratch_free(context, memory);
}

static void *alc_realloc(void *context, void *memory, size_t old_bytes, size_t bytes)
{
    struct scratch *scratch = context;
    struct scratch_block *block = scratch->block;
    void *moved;

    if (!in_block(block, memory))
        return base_realloc(memory, bytes);
    if (memory == block->last && bytes < SCRATCH_BYTES &&
        rounded(bytes) + SCRATCH_ALIGN <= SCRATCH_BYTES - (size_t)(block->last - block->data)) {
        block->used = (size_t)(block->last - block->data) + rounded(bytes) + SCRATCH_ALIGN;
        unpoison_memory(block->last, bytes);
        return memory;
    }
    moved = scratch_alloc(scratch, bytes);
    if (moved) {
        memcpy(moved, memory, old_bytes < bytes ? old_bytes : bytes);
        scratch_free(scratch, memory);
    }
    return moved;
}

void scratch_begin(struct scratch *scratch)
{
    struct scratch_block *block = block_get();

    scratch->alc = (yyjson_alc){ alc_malloc, alc_realloc, alc_free, scratch };
    scratch->block = block && !block->busy ? block : NULL;
    if (scratch->block)
        scratch->block->busy = true;
}

void scratch_end(struct scratch *scratch)
{
    struct scratch_block *block = scratch->block;

    if (!block)
        return;
    poison_memory(block->data, block->used);
    block->used = 0;
    block->last = NULL;
    block->busy = false;
}

void scratch_thread_done(void)
{
    if (!thread_block)
        return;
    (void)pthread_setspecific(block_key, NULL);
    block_free(thread_block);
}
