/* A loop's ring: what io_uring is asked for, as far as the kernel has it, and the
 * buffers that it receives into. See uring_ring.c. */
#ifndef RT_URING_RING_H
#define RT_URING_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define URING_SUBMISSIONS 1024
#define URING_COMPLETIONS 8192
#define URING_BUFFERS 64 /* a power of 2: 1 MiB a loop */
#define URING_LENT_FIRST 16
#define URING_GROUP 0

struct uring_ring {
    struct io_uring ring;
    bool enabled;      /* it belongs to a thread from here on */
    bool deferred;     /* completions are only made while the loop asks for them */
    bool tells;        /* the ring says when there is something to ask for */
    bool shots;        /* one request receives many times, into the buffers below */
    struct io_uring_buf_ring *lent; /* what the kernel may take from; NULL: none */
    struct buf *bufs[URING_BUFFERS];       /* by number; NULL: not lent */
    uint16_t gone[URING_BUFFERS];          /* numbers that have no buffer */
    uint32_t lend_max;                     /* at once, for now */
    uint32_t gone_count;                   /* all, until the first receive */
};

/* Make a ring that belongs to no thread yet; 0 or -errno. */
int uring_ring_open(struct uring_ring *r);
void uring_ring_close(struct uring_ring *r);
/* This thread's from here on; 0 or -errno. */
int uring_ring_enable(struct uring_ring *r);

/* Lend buffers, as many as there are to be at once, or until memory is short. */
void uring_ring_lend(struct uring_ring *r, struct buf_pool *pool);
/* There were too few. */
void uring_ring_lend_more(struct uring_ring *r);
/* Are there any for the kernel to take? */
static inline bool uring_ring_has_buffers(const struct uring_ring *r)
{
    return r->gone_count < URING_BUFFERS;
}
/* The buffer that a completion says was taken: the caller's. */
struct buf *uring_ring_taken(struct uring_ring *r, const struct io_uring_cqe *cqe);

/* A submission to fill in: what stands in a full queue is handed to the kernel
 * first. NULL: it takes none now; later. */
struct io_uring_sqe *uring_ring_submission(struct uring_ring *r);
/* Hand all submissions over, and wait until a completion is there or until_ns has
 * come (0: do not wait; WEIR_NEVER_NS: no end). */
void uring_ring_enter(struct uring_ring *r, int64_t until_ns);

#endif
