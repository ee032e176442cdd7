/* The cells behind counters: one set a thread, summed by whoever reads.
 *
 * Why: an atomic addition costs 5 ns alone and 50 when cores share the line; a
 * cell that one thread writes costs a load, an add and a store. Readers may miss
 * what is being added, never see a torn or a falling count.
 *
 * A thread takes a shard at its first addition and leaves it, with what it has
 * counted, to a later thread: so sums never fall, and there are no more shards
 * than there were threads at once. A shard's chunks come as they are touched.
 * Where a thread gets no shard or no chunk, it adds to the spill shard with
 * locked instructions: its chunks are made with the cells, so nothing is lost.
 *
 * Invariants: a shard's cells are written by the thread that holds it, the spill
 * shard's by all; a shard, once in the table, stays. */
#include "obs/metrics_state.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <weir/error.h>

#include "base/alloc.h"

#define SHARDS 256

struct chunk {
    _Atomic uint64_t cells[CELLS_CHUNK];
};

struct shard {
    struct chunk *_Atomic chunks[CELLS_CHUNKS];
    bool held; /* the lock is held to look */
};

static struct cells {
    pthread_mutex_t lock; /* taking and leaving shards */
    struct shard *_Atomic shards[SHARDS];
    struct shard spill;
    uint32_t used; /* cells given out */
} cells = { .lock = PTHREAD_MUTEX_INITIALIZER };

static _Thread_local struct shard *self;
static pthread_once_t end_once = PTHREAD_ONCE_INIT;
static pthread_key_t end_key;
static bool end_key_made;

/* ---- shards -------------------------------------------------------------- */

static void shard_leave(void *arg)
{
    struct shard *shard = arg;

    self = NULL;
    pthread_mutex_lock(&cells.lock);
    shard->held = false;
    pthread_mutex_unlock(&cells.lock);
}

static void end_key_make(void)
{
    end_key_made = pthread_key_create(&end_key, shard_leave) == 0;
}

/* The lock is held. */
static struct shard *shard_find(void)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = atomic_load_explicit(&cells.shards[i], memory_order_relaxed);

        if (!shard) {
            shard = base_calloc(1, sizeof *shard);
            if (shard)
                atomic_store_explicit(&cells.shards[i], shard, memory_order_release);
        }
        if (!shard || !shard->held)
            return shard;
    }
    return NULL;
}

/* NULL when there is none to be had. */
static struct shard *shard_take(void)
{
    struct shard *shard;

    pthread_once(&end_once, end_key_make);
    if (!end_key_made)
        return NULL;
    pthread_mutex_lock(&cells.lock);
    shard = shard_find();
    if (shard && pthread_setspecific(end_key, shard) != 0)
        shard = NULL;
    if (shard)
        shard->held = true;
    pthread_mutex_unlock(&cells.lock);
    return shard;
}

/* The calling thread's cell, made when it is missing; NULL: there is only the
 * spill shard's. */
static __attribute__((noinline)) _Atomic uint64_t *cell_make(uint32_t cell)
{
    uint32_t c = cell / CELLS_CHUNK;
    struct chunk *chunk;

    if (!self)
        self = shard_take();
    if (!self)
        return NULL;
    chunk = atomic_load_explicit(&self->chunks[c], memory_order_relaxed);
    if (!chunk) {
        chunk = base_aligned(64, sizeof *chunk);
        if (!chunk)
            return NULL;
        memset(chunk, 0, sizeof *chunk);
        atomic_store_explicit(&self->chunks[c], chunk, memory_order_release);
    }
    return &chunk->cells[cell % CELLS_CHUNK];
}

static inline _Atomic uint64_t *cell_self(uint32_t cell)
{
    struct shard *shard = self;
    struct chunk *chunk;

    if (__builtin_expect(!shard, 0))
        return cell_make(cell);
    chunk = atomic_load_explicit(&shard->chunks[cell / CELLS_CHUNK], memory_order_relaxed);
    if (__builtin_expect(!chunk, 0))
        return cell_make(cell);
    return &chunk->cells[cell % CELLS_CHUNK];
}

static _Atomic uint64_t *cell_spill(uint32_t cell)
{
    struct chunk *chunk = atomic_load_explicit(&cells.spill.chunks[cell / CELLS_CHUNK],
                                               memory_order_relaxed);

    return &chunk->cells[cell % CELLS_CHUNK];
}

/* ---- cells --------------------------------------------------------------- */

int cells_take(uint32_t count, uint32_t *ret_cell)
{
    uint32_t cell = cells.used, left = CELLS_CHUNK - cell % CELLS_CHUNK;
    struct chunk *chunk;

    if (left < count) /* a series lies in one chunk */
        cell += left;
    if (cell + count > CELLS_CHUNKS * CELLS_CHUNK)
        return WEIR_EFULL;
    if (!atomic_load(&cells.spill.chunks[cell / CELLS_CHUNK])) {
        chunk = base_aligned(64, sizeof *chunk);
        if (!chunk)
            return -ENOMEM;
        memset(chunk, 0, sizeof *chunk);
        atomic_store(&cells.spill.chunks[cell / CELLS_CHUNK], chunk);
    }
    cells.used = cell + count;
    *ret_cell = cell;
    return 0;
}

void cell_add(uint32_t cell, uint64_t n)
{
    _Atomic uint64_t *at = cell_self(cell);

    if (__builtin_expect(!at, 0))
        atomic_fetch_add_explicit(cell_spill(cell), n, memory_order_relaxed);
    else
        atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + n,
                              memory_order_relaxed);
}

static uint64_t add_f64(uint64_t bits, double value)
{
    double sum;

    memcpy(&sum, &bits, sizeof sum);
    sum += value;
    memcpy(&bits, &sum, sizeof bits);
    return bits;
}

void cell_add_f64(uint32_t cell, double value)
{
    _Atomic uint64_t *at = cell_self(cell);
    uint64_t old;

    if (__builtin_expect(at != NULL, 1)) {
        old = atomic_load_explicit(at, memory_order_relaxed);
        atomic_store_explicit(at, add_f64(old, value), memory_order_relaxed);
        return;
    }
    at = cell_spill(cell);
    old = atomic_load_explicit(at, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(at, &old, add_f64(old, value),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

/* The cell in one shard, or NULL when the shard has none yet. */
static _Atomic uint64_t *cell_in(struct shard *shard, uint32_t cell)
{
    struct chunk *chunk = atomic_load_explicit(&shard->chunks[cell / CELLS_CHUNK],
                                               memory_order_acquire);

    return chunk ? &chunk->cells[cell % CELLS_CHUNK] : NULL;
}

static uint64_t cell_read(struct shard *shard, uint32_t cell)
{
    _Atomic uint64_t *at = cell_in(shard, cell);

    return at ? atomic_load_explicit(at, memory_order_relaxed) : 0;
}

uint64_t cell_sum(uint32_t cell)
{
    uint64_t sum = cell_read(&cells.spill, cell);

    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = atomic_load_explicit(&cells.shards[i], memory_order_acquire);

        if (!shard)
            break;
        sum += cell_read(shard, cell);
    }
    return sum;
}

double cell_sum_f64(uint32_t cell)
{
    uint64_t bits = cell_read(&cells.spill, cell);
    double sum;

    memcpy(&sum, &bits, sizeof sum);
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = atomic_load_explicit(&cells.shards[i], memory_order_acquire);
        double one;

        if (!shard)
            break;
        bits = cell_read(shard, cell);
        memcpy(&one, &bits, sizeof one);
        sum += one;
    }
    return sum;
}
