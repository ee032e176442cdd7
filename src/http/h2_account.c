/* Memory for nghttp2; see h2_account.h.
 *
 * Each block carries its size in front, as the library does not say it when it frees.
 * The budget is taken from in large steps, since its counters are shared by all loops.
 *
 * Invariants: used is the sum of the sizes of the blocks in use, fronts included;
 * used <= taken. */
#include "http/h2_account.h"

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/budget.h"

#define STEP_BYTES ((size_t)256 << 10)

struct front {
    _Alignas(16) size_t bytes; /* with this */
};

static bool reserve(struct h2_account *account, size_t bytes)
{
    size_t step;

    if (bytes <= account->taken - account->used)
        return true;
    step = bytes - (account->taken - account->used);
    step = (step + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
    if (!budget_take(BUDGET_CONNECTION, step))
        return false;
    account->taken += step;
    return true;
}

/* Two steps stay, so that a connection that comes and goes does not move it. */
static void give_back(struct h2_account *account)
{
    size_t rest = account->taken - account->used;

    if (rest <= 3 * STEP_BYTES)
        return;
    rest = (rest - 2 * STEP_BYTES) / STEP_BYTES * STEP_BYTES;
    account->taken -= rest;
    budget_give(BUDGET_CONNECTION, rest);
}

static void *mem_malloc(size_t size, void *arg)
{
    struct h2_account *account = arg;
    size_t bytes = size + sizeof(struct front);
    struct front *front;

    if (bytes < size || !reserve(account, bytes))
        return NULL;
    front = base_malloc(bytes);
    if (!front)
        return NULL;
    front->bytes = bytes;
    account->used += bytes;
    return front + 1;
}

static void mem_free(void *block, void *arg)
{
    struct h2_account *account = arg;
    struct front *front = block;

    if (!block)
        return;
    front--;
    account->used -= front->bytes;
    give_back(account);
    base_free(front);
}

static void *mem_calloc(size_t count, size_t size, void *arg)
{
    size_t bytes;
    void *block;

    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    block = mem_malloc(bytes, arg);
    if (block)
        memset(block, 0, bytes);
    return block;
}

static void *mem_realloc(void *block, size_t size, void *arg)
{
    struct h2_account *account = arg;
    size_t bytes = size + sizeof(struct front), before;
    struct front *front = block;

    if (!block)
        return mem_malloc(size, arg);
    front--;
    before = front->bytes;
    if (bytes < size || (bytes > before && !reserve(account, bytes - before)))
        return NULL;
    front = base_realloc(front, bytes);
    if (!front)
        return NULL;
    front->bytes = bytes;
    account->used += bytes - before;
    return front + 1;
}

nghttp2_mem *h2_account_mem(struct h2_account *account)
{
    account->mem = (nghttp2_mem){ account, mem_malloc, mem_free, mem_calloc, mem_realloc };
    return &account->mem;
}

void h2_account_done(struct h2_account *account)
{
    budget_give(BUDGET_CONNECTION, account->taken);
    account->taken = 0;
}
