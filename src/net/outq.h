/* A connection's output: what was written, in order, until the kernel has it.
 *
 * Small writes are copied into pooled buffers, one after the other in the same
 * buffer; large ones are referred to by a segment that the writer provides, and
 * told when they are done with. A flush gathers what there is into one send.
 * What is added during a send goes with the next.
 *
 * It is bounded by its users: they stop writing at OUTQ_HIGH_BYTES and go on
 * below OUTQ_LOW_BYTES.
 *
 * Invariants: bytes is the sum of the segments' lengths; the vectors of a send
 * under way point into the first segments, which stay until it has ended; after
 * a failed send the chain is empty and stays so. */
#ifndef NET_OUTQ_H
#define NET_OUTQ_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/str.h>

#include "rt/rt.h"

#define OUTQ_COPY_BYTES 4096        /* what a write copies; more is referred to */
#define OUTQ_RESERVE_BYTES 14336u   /* the most that is reserved in one piece */
#define OUTQ_HIGH_BYTES (64u << 10)
#define OUTQ_LOW_BYTES (16u << 10)
#define OUTQ_VECTORS 8

/* A stretch of bytes. done is called once, on the loop's or a task's stack, when
 * the kernel has them (0) or never will (the send's -errno). */
struct out_seg {
    struct out_seg *next;
    const char *ptr;
    size_t len;
    void (*done)(struct out_seg *seg, int rc);
};

struct outq {
    struct out_seg *first, *last;
    size_t bytes;              /* in the chain, not known to be sent */
    uint64_t sent_bytes;       /* since it was made */
    struct buf_pool *pool;
    void (*ended)(struct outq *q); /* a send that had to wait has ended */
    int failed;                /* the first send's failure; sticks */
    struct io_op op;
    struct iovec vectors[OUTQ_VECTORS];
};

void outq_init(struct outq *q, struct buf_pool *pool, struct io_file *file,
               void (*ended)(struct outq *q));

/* Room for so many bytes (at most OUTQ_RESERVE_BYTES) in one piece, behind
 * what was copied before; NULL without memory or budget. outq_commit() says how
 * many of them were used. */
char *outq_reserve(struct outq *q, size_t bytes);
void outq_commit(struct outq *q, size_t used);

/* Copy bytes, over as many buffers as it takes. 0, or WEIR_EBUDGET and nothing
 * was added. */
int outq_copy(struct outq *q, weir_str bytes);

/* Refer to bytes; the segment is the caller's until done. Not for empty ones. */
void outq_refer(struct outq *q, struct out_seg *seg);

/* Take a segment out that no send has begun with; false when one has. */
bool outq_withdraw(struct outq *q, struct out_seg *seg);

/* Send what there is. Returns 1 while a send is under way (ended will be
 * called), 0 when all is sent, or the failure. */
int outq_flush(struct outq *q, struct loop *loop);

static inline bool outq_sending(const struct outq *q)
{
    return q->op.pending;
}

/* Bytes that the kernel has taken, those of a send under way counted: it moves
 * while the peer reads. */
static inline uint64_t outq_progress(const struct outq *q)
{
    return q->sent_bytes + (q->op.pending ? io_progress(&q->op) : 0);
}

/* Give up a send under way (ended will be called), and every later one. */
void outq_cancel(struct outq *q, struct loop *loop, int code);

/* Drop everything; no send may be under way. Each segment is told code. */
void outq_drop(struct outq *q, int code);

#endif
