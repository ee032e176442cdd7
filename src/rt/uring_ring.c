/* The ring of a loop.
 *
 * It is made by the thread that starts the runtime, disabled, and enabled by the
 * loop's own: from then on no other may enter it. So the kernel needs no lock, and
 * makes completions only when the loop asks for them, never by interrupting it.
 * What an older kernel lacks is left away, one thing after the other. There is no
 * polling thread (SQPOLL): it would take a core from the loops.
 *
 * Buffers are lent by number: the kernel takes one when bytes have come, and the
 * completion says which. It is the receiver's then; the number gets another before
 * the loop waits again. So one turn receives into URING_BUFFERS at most, and input
 * is taken no faster than it is worked off. Few are lent at first, and twice as many
 * each time that they were not enough.
 *
 * Invariants: bufs[n] is NULL exactly for the numbers in gone[]; the kernel takes
 * only from bufs. */
#include "rt/uring_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <weir/scope.h>

#include "base/budget.h"
#include "base/clock.h"

/* One after the other is left away: 6.1, 6.0, 5.19, 5.18, 5.10. */
static const unsigned tries[] = {
    IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
        IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN |
        IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_R_DISABLED,
};

/* ---- life ---------------------------------------------------------------------- */

static int make_ring(struct uring_ring *r, unsigned submissions, unsigned completions)
{
    int rc = -EINVAL;

    for (size_t i = 0; i < sizeof(tries) / sizeof(*tries) && rc == -EINVAL; i++) {
        struct io_uring_params params = {
            .flags = tries[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP, .cq_entries = completions
        };

        rc = io_uring_queue_init_params(submissions, &r->ring, &params);
        if (rc < 0)
            continue;
        r->deferred = tries[i] & IORING_SETUP_DEFER_TASKRUN;
        r->tells = tries[i] & IORING_SETUP_TASKRUN_FLAG;
        /* Completions that do not fit are kept (5.5), waits have an end (5.11). */
        if (!(params.features & IORING_FEAT_NODROP) || !(params.features & IORING_FEAT_EXT_ARG)) {
            io_uring_queue_exit(&r->ring);
            return -ENOSYS;
        }
    }
    return rc;
}

/* Without them (5.19), or without receiving many times (6.0), readiness is waited
 * for and the bytes are received by a call of their own. */
static void make_buffers(struct uring_ring *r)
{
    size_t bytes = URING_BUFFERS * sizeof(struct io_uring_buf);
    struct io_uring_buf_reg reg = { .ring_entries = URING_BUFFERS, .bgid = URING_GROUP };
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return;
    reg.ring_addr = (uintptr_t)memory;
    if (io_uring_register_buf_ring(&r->ring, &reg, 0) < 0) {
        munmap(memory, bytes);
        return;
    }
    r->lent = memory;
    io_uring_buf_ring_init(r->lent);
    r->shots = true;
}

int uring_ring_open(struct uring_ring *r)
{
    int rc;

    memset(r, 0, sizeof(*r));
    rc = make_ring(r, URING_SUBMISSIONS, URING_COMPLETIONS);
    if (rc < 0)
        return rc;
    io_uring_ring_dontfork(&r->ring);
    r->lend_max = URING_LENT_FIRST;
    while (r->gone_count < URING_BUFFERS) {
        r->gone[r->gone_count] = (uint16_t)r->gone_count;
        r->gone_count++;
    }
    make_buffers(r);
    return 0;
}

void uring_ring_close(struct uring_ring *r)
{
    io_uring_queue_exit(&r->ring);
    if (r->lent)
        munmap(r->lent, URING_BUFFERS * sizeof(struct io_uring_buf));
    for (uint32_t i = 0; i < URING_BUFFERS; i++) {
        if (!r->bufs[i])
            continue;
        r->bufs[i]->pool->used++;
        buf_unref(r->bufs[i]);
    }
}

int uring_ring_enable(struct uring_ring *r)
{
    int rc = io_uring_register((unsigned)r->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);

    if (rc < 0)
        return rc;
    r->enabled = true;
    (void)io_uring_register_ring_fd(&r->ring); /* only makes entering cheaper */
    return 0;
}

/* ---- buffers ------------------------------------------------------------------- */

void uring_ring_lend(struct uring_ring *r, struct buf_pool *pool)
{
    int count = 0;

    /* What is lent waits for bytes that may not come: not when memory is short. */
    while (URING_BUFFERS - r->gone_count < r->lend_max && budget_admits(BUF_BYTES)) {
        struct buf *buf = buf_new(pool);
        uint16_t number;

        if (!buf)
            break;
        number = r->gone[--r->gone_count];
        pool->used--; /* nobody's, though not in the pool */
        r->bufs[number] = buf;
        io_uring_buf_ring_add(r->lent, buf->data, BUF_ROOM, number,
                              io_uring_buf_ring_mask(URING_BUFFERS), count++);
    }
    if (count > 0)
        io_uring_buf_ring_advance(r->lent, count);
}

void uring_ring_lend_more(struct uring_ring *r)
{
    if (r->lend_max < URING_BUFFERS)
        r->lend_max *= 2;
}

struct buf *uring_ring_taken(struct uring_ring *r, const struct io_uring_cqe *cqe)
{
    uint16_t number = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    struct buf *buf = r->bufs[number];

    r->bufs[number] = NULL;
    r->gone[r->gone_count++] = number;
    buf->pool->used++;
    return buf;
}

/* ---- entering ------------------------------------------------------------------- */

struct io_uring_sqe *uring_ring_submission(struct uring_ring *r)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);

    if (sqe)
        return sqe;
    io_uring_submit(&r->ring);
    return io_uring_get_sqe(&r->ring);
}

/* Nothing to hand over, and nothing to fetch? */
static bool nothing_to_do(struct uring_ring *r)
{
    unsigned flags = IO_URING_READ_ONCE(*r->ring.sq.kflags);

    return r->tells && io_uring_sq_ready(&r->ring) == 0 &&
           !(flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

void uring_ring_enter(struct uring_ring *r, int64_t until_ns)
{
    struct __kernel_timespec timeout = { 0 };
    struct io_uring_cqe *cqe;
    int64_t left_ns = 0;

    if (until_ns != 0 && until_ns != WEIR_NEVER_NS)
        left_ns = until_ns - clock_monotonic_ns();
    if (until_ns != WEIR_NEVER_NS && left_ns <= 0) {
        if (!nothing_to_do(r))
            io_uring_submit_and_get_events(&r->ring);
        return;
    }
    timeout.tv_sec = left_ns / 1000000000;
    timeout.tv_nsec = left_ns % 1000000000;
    io_uring_submit_and_wait_timeout(&r->ring, &cqe, 1, until_ns == WEIR_NEVER_NS ? NULL : &timeout,
                                     NULL);
}
