/* Output chains over a socket pair: what comes out at the other end is what was
 * put in, in order, whatever was copied or referred to; segments are told once. */
#include "support/in_task.h"

#include <sys/socket.h>
#include <unistd.h>

#include "net/outq.h"
#include "support/random.h"

struct wire {
    struct loop *loop;
    struct io_file file;
    struct outq q;
    int other;
    unsigned ended;
    struct wait *waiter;
};

static void ended(struct outq *q)
{
    struct wire *w = container_of(q, struct wire, q);

    w->ended++;
    if (w->waiter)
        wait_wake(w->waiter, 0);
    w->waiter = NULL;
}

static void wire_open(struct wire *w)
{
    int fds[2];

    memset(w, 0, sizeof *w);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    w->loop = loop_self();
    w->other = fds[1];
    CHECK_INT(loop_io(w->loop)->attach(w->loop, &w->file, fds[0], false), 0);
    outq_init(&w->q, loop_bufs(w->loop), &w->file, ended);
}

static void wire_close(struct wire *w)
{
    CHECK(!outq_sending(&w->q));
    outq_drop(&w->q, -EPIPE);
    loop_io(w->loop)->detach(w->loop, &w->file, false);
    if (w->other >= 0)
        close(w->other);
    CHECK_INT(loop_bufs(w->loop)->used, 0);
}

static void await_send(struct wire *w)
{
    struct wait wait = { .what = "a send" };

    if (!outq_sending(&w->q))
        return;
    w->waiter = &wait;
    WEIR_IGNORE(rt_park_shielded(&wait), "it carries no code");
}

static size_t read_some(struct wire *w, char *to, size_t room)
{
    ssize_t n = recv(w->other, to, room, 0);

    return n > 0 ? (size_t)n : 0;
}

struct told {
    struct out_seg seg;
    int times, rc;
};

static void told_done(struct out_seg *seg, int rc)
{
    struct told *t = container_of(seg, struct told, seg);

    t->times++;
    t->rc = rc;
}

TASK_TEST(small_copies_are_one_stretch)
{
    struct wire w;
    char in[64];

    (void)arg;
    wire_open(&w);
    CHECK_INT(outq_flush(&w.q, w.loop), 0); /* nothing to do */
    CHECK_INT(outq_copy(&w.q, WEIR_S("one ")), 0);
    memcpy(outq_reserve(&w.q, 100), "two ", 4);
    outq_commit(&w.q, 4);
    CHECK_INT(outq_copy(&w.q, WEIR_S("three")), 0);
    CHECK_INT(w.q.bytes, 13);
    CHECK(w.q.first == w.q.last);
    CHECK_INT(loop_bufs(w.loop)->used, 1);
    CHECK_INT(outq_flush(&w.q, w.loop), 0);
    CHECK_INT(w.q.bytes, 0);
    CHECK_INT(outq_progress(&w.q), 13);
    CHECK_INT(loop_bufs(w.loop)->used, 0);
    CHECK_INT(read_some(&w, in, sizeof in), 13);
    CHECK(!memcmp(in, "one two three", 13));
    wire_close(&w);
    return 0;
}

TASK_TEST(references_keep_their_place)
{
    struct wire w;
    struct told a = { .seg = { .ptr = "[a]", .len = 3, .done = told_done } };
    struct told b = { .seg = { .ptr = "[b]", .len = 3, .done = told_done } };
    char in[64];

    (void)arg;
    wire_open(&w);
    CHECK_INT(outq_copy(&w.q, WEIR_S("1")), 0);
    outq_refer(&w.q, &a.seg);
    CHECK_INT(outq_copy(&w.q, WEIR_S("2")), 0);
    outq_refer(&w.q, &b.seg);
    CHECK_INT(outq_copy(&w.q, WEIR_S("3")), 0);
    CHECK(outq_withdraw(&w.q, &a.seg));
    CHECK(!outq_withdraw(&w.q, &a.seg));
    CHECK_INT(outq_flush(&w.q, w.loop), 0);
    CHECK_INT(a.times, 0);
    CHECK_INT(b.times, 1);
    CHECK_INT(b.rc, 0);
    CHECK_INT(read_some(&w, in, sizeof in), 6);
    CHECK(!memcmp(in, "12[b]3", 6));
    wire_close(&w);
    return 0;
}

/* More than a socket takes at once: what is added meanwhile comes behind. */
TASK_TEST(a_send_that_waits)
{
    static char block[1 << 20], in[1 << 16];
    struct wire w;
    struct told big = { .seg = { .ptr = block, .len = sizeof block, .done = told_done } };
    size_t got = 0, n;
    char last[8] = "";

    (void)arg;
    memset(block, 'b', sizeof block);
    wire_open(&w);
    outq_refer(&w.q, &big.seg);
    CHECK_INT(outq_flush(&w.q, w.loop), 1);
    CHECK(!outq_withdraw(&w.q, &big.seg));
    CHECK_INT(outq_copy(&w.q, WEIR_S("behind")), 0);
    CHECK_INT(outq_flush(&w.q, w.loop), 1);
    CHECK(outq_progress(&w.q) > 0 && outq_progress(&w.q) < sizeof block);
    while (got < sizeof block + 6) {
        n = read_some(&w, in, sizeof in);
        got += n;
        if (n > 6)
            memcpy(last, in + n - 6, 6);
        if (n == 0) {
            CHECK_INT(weir_yield(), 0); /* the loop goes on sending */
            CHECK(outq_flush(&w.q, w.loop) >= 0);
        }
    }
    CHECK_TEXT(last, "behind");
    await_send(&w);
    CHECK_INT(big.times, 1);
    CHECK_INT(big.rc, 0);
    CHECK(w.ended >= 1);
    CHECK_INT(w.q.bytes, 0);
    wire_close(&w);
    return 0;
}

TASK_TEST(a_failed_send_sticks)
{
    struct wire w;
    struct told t = { .seg = { .ptr = "t", .len = 1, .done = told_done } };

    (void)arg;
    wire_open(&w);
    close(w.other);
    w.other = -1;
    outq_refer(&w.q, &t.seg);
    CHECK_INT(outq_copy(&w.q, WEIR_S("lost")), 0);
    CHECK_INT(outq_flush(&w.q, w.loop), -EPIPE);
    CHECK_INT(t.times, 1);
    CHECK_INT(t.rc, -EPIPE);
    CHECK_INT(outq_copy(&w.q, WEIR_S("lost as well")), 0);
    CHECK_INT(outq_flush(&w.q, w.loop), -EPIPE);
    wire_close(&w);
    return 0;
}

TASK_TEST(a_send_that_is_given_up)
{
    static char block[1 << 20];
    struct wire w;
    struct told big = { .seg = { .ptr = block, .len = sizeof block, .done = told_done } };

    (void)arg;
    wire_open(&w);
    outq_refer(&w.q, &big.seg);
    CHECK_INT(outq_flush(&w.q, w.loop), 1);
    outq_cancel(&w.q, w.loop, -ECANCELED);
    CHECK_INT(big.times, 0); /* the kernel may still read it */
    await_send(&w);
    CHECK_INT(big.times, 1);
    CHECK_INT(big.rc, -ECANCELED);
    CHECK_INT(outq_flush(&w.q, w.loop), -ECANCELED);
    wire_close(&w);
    return 0;
}

/* A random mixture, with a reader of random pace. */
TASK_TEST(whatever_goes_in_comes_out)
{
    static char source[200000], in[200000];
    struct random r;
    struct wire w;
    struct told told[64];
    size_t put = 0, got = 0, used = 0;

    (void)arg;
    random_begin(&r);
    for (size_t i = 0; i < sizeof source; i++)
        source[i] = (char)(i * 131 >> 3);
    wire_open(&w);
    while (got < sizeof source) {
        size_t n = 1 + random_below(&r, 9000);
        weir_str piece = weir_str_from(source + put,
                                       n < sizeof source - put ? n : sizeof source - put);

        if (piece.len > 0 && random_below(&r, 3) == 0 && used < 64) {
            told[used] = (struct told){
                .seg = { .ptr = piece.ptr, .len = piece.len, .done = told_done }
            };
            outq_refer(&w.q, &told[used++].seg);
            put += piece.len;
        } else if (piece.len > 0) {
            CHECK_INT(outq_copy(&w.q, piece), 0);
            put += piece.len;
        }
        if (random_below(&r, 2) == 0)
            CHECK(outq_flush(&w.q, w.loop) >= 0);
        if (random_below(&r, 2) == 0 || put == sizeof source)
            got += read_some(&w, in + got, 1 + random_below(&r, 30000));
        if (outq_sending(&w.q))
            CHECK_INT(weir_yield(), 0);
        CHECK_INT(w.q.sent_bytes + w.q.bytes, put);
    }
    CHECK(!memcmp(source, in, sizeof source));
    await_send(&w);
    for (size_t i = 0; i < used; i++)
        CHECK_INT(told[i].times, 1);
    wire_close(&w);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_copies_are_one_stretch),
        cmocka_unit_test(references_keep_their_place),
        cmocka_unit_test(a_send_that_waits),
        cmocka_unit_test(a_failed_send_sticks),
        cmocka_unit_test(a_send_that_is_given_up),
        cmocka_unit_test(whatever_goes_in_comes_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
