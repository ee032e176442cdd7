/* Streams: reading, writing, closing and giving up, over TCP and in memory. */
#include "support/in_task.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/stream.h>

#include "net/stream.h"
#include "rt/sanitizer.h"
#include "support/peer.h"

static const char *address_of(uint16_t port)
{
    return weir_format("127.0.0.1:%u", port).ptr;
}

/* ---- both kinds, by a pair of ends --------------------------------------------- */

struct ends {
    weir_stream *one, *other;
};

static int accept_one(void *arg)
{
    struct {
        weir_listener *listener;
        weir_stream *stream;
    } *a = arg;

    return weir_accept(a->listener, &a->stream);
}

static void open_tcp(struct ends *ends)
{
    struct {
        weir_listener *listener;
        weir_stream *stream;
    } a = { 0 };

    CHECK_INT(weir_listen("127.0.0.1:0", &a.listener), 0);
    WEIR_SCOPE(s) {
        weir_go(s, accept_one, &a);
        CHECK_INT(weir_stream_connect(address_of(weir_listener_port(a.listener)), &ends->one), 0);
        CHECK_INT(weir_join(s), 0);
    }
    ends->other = a.stream;
    weir_listener_close(a.listener);
}

static void open_memory(struct ends *ends)
{
    CHECK_INT(weir_stream_pair(&ends->one, &ends->other), 0);
}

static void check_read(weir_stream *s, const char *wanted)
{
    weir_str data;
    size_t got = 0;

    while (got < strlen(wanted)) {
        ssize_t n = weir_stream_read(s, &data);

        CHECK(n > 0 && (size_t)n == data.len && got + data.len <= strlen(wanted));
        CHECK(memcmp(data.ptr, wanted + got, data.len) == 0);
        got += data.len;
    }
}

static void closing(struct ends *ends)
{
    weir_stream_close(ends->one);
    weir_stream_close(ends->other);
}

static void exchange(struct ends *ends)
{
    weir_str data;

    CHECK_INT(weir_stream_write(ends->one, WEIR_S("hello, ")), 7);
    CHECK_INT(weir_stream_write(ends->one, WEIR_S("world")), 5);
    check_read(ends->other, "hello, world");
    CHECK_INT(weir_stream_try_write(ends->other, WEIR_S("back")), 4);
    CHECK_INT(weir_stream_write(ends->other, WEIR_S("")), 0);
    CHECK_INT(weir_stream_write(ends->other, weir_str_from(NULL, 0)), -ENOMEM);
    check_read(ends->one, "back");
    CHECK_INT(weir_stream_shutdown(ends->one), 0);
    CHECK_INT(weir_stream_write(ends->one, WEIR_S("late")), -EPIPE);
    CHECK_INT(weir_stream_read(ends->other, &data), 0);
    CHECK_INT(weir_stream_read(ends->other, &data), 0);
    CHECK_INT(weir_stream_write(ends->other, WEIR_S("still")), 5);
    check_read(ends->one, "still");
}

TASK_TEST(tcp_both_directions_and_a_half_close)
{
    struct ends ends;

    (void)arg;
    open_tcp(&ends);
    exchange(&ends);
    closing(&ends);
    return 0;
}

TASK_TEST(memory_both_directions_and_a_half_close)
{
    struct ends ends;

    (void)arg;
    open_memory(&ends);
    exchange(&ends);
    closing(&ends);
    return 0;
}

/* ---- much data, and backpressure ----------------------------------------------- */

#define MUCH 3000000

struct flood {
    weir_stream *s;
    size_t piece;
    size_t done;
};

static int flood_write(void *arg)
{
    struct flood *f = arg;
    char *data = malloc(f->piece);

    for (size_t at = 0; at < MUCH;) {
        size_t n = MUCH - at < f->piece ? MUCH - at : f->piece;
        ssize_t rc;

        for (size_t i = 0; i < n; i++)
            data[i] = (char)((at + i) * 7 % 251);
        rc = weir_stream_write(f->s, weir_str_from(data, n));
        CHECK_INT(rc, n);
        at += n;
        f->done = at;
    }
    free(data);
    return weir_stream_shutdown(f->s);
}

static int flood_read(void *arg)
{
    struct flood *f = arg;
    weir_str data;
    ssize_t n;

    while ((n = weir_stream_read(f->s, &data)) > 0)
        for (size_t i = 0; i < data.len; i++, f->done++)
            CHECK(data.ptr[i] == (char)(f->done * 7 % 251));
    return (int)n;
}

static void flood(struct ends *ends, size_t piece)
{
    struct flood w = { ends->one, piece, 0 }, r = { ends->other, 0, 0 };

    WEIR_SCOPE(s) {
        weir_go(s, flood_write, &w);
        weir_go(s, flood_read, &r);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(r.done, MUCH);
    closing(ends);
}

TASK_TEST(much_data_arrives_in_order)
{
    static const size_t pieces[] = { 700, 4096, 4097, 100000, 1500000 };
    struct ends ends;

    (void)arg;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
        open_tcp(&ends);
        flood(&ends, pieces[i]);
        open_memory(&ends);
        flood(&ends, pieces[i]);
    }
    return 0;
}

/* A small write in front of a large one keeps its place. */
TASK_TEST(small_and_large_writes_keep_their_order)
{
    static char large[200000];
    struct ends ends;
    struct flood r;

    (void)arg;
    open_tcp(&ends);
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (char)(i * 7 % 251);
    r = (struct flood){ .s = ends.other };
    WEIR_SCOPE(s) {
        weir_go(s, flood_read, &r);
        CHECK_INT(weir_stream_write(ends.one, weir_str_from(large, 1000)), 1000);
        CHECK_INT(weir_stream_write(ends.one, weir_str_from(large + 1000, 150000)), 150000);
        CHECK_INT(weir_stream_write(ends.one, weir_str_from(large + 151000, 49000)), 49000);
        CHECK_INT(weir_stream_shutdown(ends.one), 0);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(r.done, sizeof(large));
    closing(&ends);
    return 0;
}

static void never_read(weir_stream *one, size_t piece)
{
    char *data = calloc(1, piece);
    size_t moved = 0;
    ssize_t n = 0;

    WEIR_SCOPE(s, .timeout_ms = 30) {
        while ((n = weir_stream_write(one, weir_str_from(data, piece))) == (ssize_t)piece) {
            moved += piece;
            CHECK(moved < 64u << 20);
        }
        CHECK(n == -ETIMEDOUT || (n > 0 && weir_stream_write(one, WEIR_S("x")) == -ETIMEDOUT));
        CHECK(weir_timed_out(s));
    }
    CHECK(weir_stream_try_write(one, WEIR_S("y")) >= 0);
    free(data);
}

TASK_TEST(a_peer_that_reads_nothing_holds_the_writer_until_its_deadline)
{
    struct ends ends;

    (void)arg;
    for (size_t piece = 1000; piece < 1000000; piece *= 10) {
        open_tcp(&ends);
        never_read(ends.one, piece);
        closing(&ends);
        open_memory(&ends);
        never_read(ends.one, piece);
        closing(&ends);
    }
    return 0;
}

/* ---- giving up -------------------------------------------------------------------- */

static void read_with_deadline(struct ends *ends)
{
    weir_str data;

    WEIR_SCOPE(s, .timeout_ms = 20) {
        CHECK_INT(weir_stream_read(ends->one, &data), -ETIMEDOUT);
        CHECK_INT(weir_stream_read(ends->one, &data), -ETIMEDOUT);
        CHECK_INT(weir_stream_write(ends->one, WEIR_S("x")), -ETIMEDOUT);
        CHECK_INT(weir_stream_flush(ends->one), -ETIMEDOUT);
        CHECK(weir_timed_out(s));
    }
    /* Both still work. */
    CHECK_INT(weir_stream_write(ends->other, WEIR_S("after")), 5);
    check_read(ends->one, "after");
}

TASK_TEST(a_deadline_ends_a_read_and_leaves_the_stream_usable)
{
    struct ends ends;

    (void)arg;
    open_tcp(&ends);
    read_with_deadline(&ends);
    closing(&ends);
    open_memory(&ends);
    read_with_deadline(&ends);
    closing(&ends);
    return 0;
}

static int read_once(void *arg)
{
    weir_str data;

    return (int)weir_stream_read(arg, &data);
}

static void cancel_reader(struct ends *ends)
{
    int rc = 1;

    WEIR_SCOPE(s) {
        weir_task reader = weir_go(s, read_once, ends->one, .optional = true, .hold = true);
        weir_str data;

        CHECK_INT(weir_yield(), 0);
        CHECK_INT(weir_stream_read(ends->one, &data), -EBUSY);
        weir_cancel(s);
        CHECK_INT(weir_join(s), 0);
        CHECK_INT(weir_result(reader, &rc), 0);
        CHECK_INT(rc, -ECANCELED);
    }
    CHECK_INT(weir_stream_write(ends->other, WEIR_S("after")), 5);
    check_read(ends->one, "after");
}

TASK_TEST(a_cancel_ends_a_read_and_a_second_reader_is_refused)
{
    struct ends ends;

    (void)arg;
    open_tcp(&ends);
    cancel_reader(&ends);
    closing(&ends);
    open_memory(&ends);
    cancel_reader(&ends);
    closing(&ends);
    return 0;
}

/* ---- the peer's end ----------------------------------------------------------------- */

static void write_to_closed(struct ends *ends, bool may_take_one)
{
    weir_str data;
    ssize_t n = 1;

    weir_stream_close(ends->other);
    CHECK_INT(weir_stream_read(ends->one, &data), 0);
    for (int i = 0; i < 100 && n > 0; i++) {
        n = weir_stream_write(ends->one, WEIR_S("into the void"));
        CHECK(n < 0 || may_take_one);
        if (n > 0)
            n = weir_stream_flush(ends->one) < 0 ? -EPIPE : 1;
    }
    CHECK(n == -EPIPE || n == -ECONNRESET);
    CHECK(weir_stream_write(ends->one, WEIR_S("again")) < 0);
    CHECK(weir_stream_try_write(ends->one, WEIR_S("again")) < 0);
    weir_stream_close(ends->one);
}

TASK_TEST(a_closed_peer_gives_the_end_to_readers_and_an_error_to_writers)
{
    struct ends ends;

    (void)arg;
    open_tcp(&ends);
    write_to_closed(&ends, true);
    open_memory(&ends);
    write_to_closed(&ends, false);
    return 0;
}

static void reset_at_once(struct peer_conn *conn)
{
    peer_send(conn, "hi");
    peer_wait_go(conn);
    peer_reset(conn);
}

TASK_TEST(a_reset_is_told_and_repeated)
{
    uint16_t port;
    struct peer *peer = peer_start(reset_at_once, NULL, &port);
    weir_stream *s;
    weir_str data;

    (void)arg;
    CHECK_INT(weir_stream_connect(address_of(port), &s), 0);
    check_read(s, "hi");
    peer_go(peer);
    CHECK_INT(weir_stream_read(s, &data), -ECONNRESET);
    CHECK_INT(weir_stream_read(s, &data), -ECONNRESET);
    CHECK(weir_stream_write(s, WEIR_S("x")) < 0 || weir_stream_flush(s) < 0);
    weir_stream_close(s);
    peer_stop(peer);
    return 0;
}

TASK_TEST(connecting_to_nobody_or_to_no_name_says_so)
{
    weir_stream *s = NULL;
    char text[256];

    (void)arg;
    CHECK_INT(weir_stream_connect(address_of(peer_dead_port()), &s), -ECONNREFUSED);
    weir_error_print(text, sizeof(text));
    CHECK(strstr(text, "connecting to 127.0.0.1:"));
    CHECK_INT(weir_stream_connect("no name:80", &s), -EINVAL);
    CHECK_INT(weir_stream_connect("127.0.0.1", &s), -EINVAL);
    CHECK_INT(weir_stream_connect("127.0.0.1:99999", &s), -EINVAL);
    CHECK(s == NULL);
    weir_recover();
    return 0;
}

/* ---- what is sent after the close ------------------------------------------------ */

struct after_close {
    atomic_size_t got;
    atomic_bool in_order;
};

static void count_all(struct peer_conn *conn)
{
    struct after_close *seen = conn->arg;
    char drop[65536];
    ssize_t n;

    if (!peer_wait_go(conn))
        return;
    while ((n = recv(conn->fd, drop, sizeof(drop), 0)) > 0)
        atomic_fetch_add(&seen->got, (size_t)n);
    atomic_store(&seen->in_order, n == 0);
}

TASK_TEST(what_was_written_is_sent_behind_the_close)
{
    static char piece[4000];
    struct after_close seen = { 0 };
    uint16_t port;
    struct peer *peer = peer_start(count_all, &seen, &port);
    weir_stream *s;
    size_t wrote = 0;
    ssize_t n;

    (void)arg;
    CHECK_INT(weir_stream_connect(address_of(port), &s), 0);
    do { /* until the kernel's buffers and the chain are full */
        n = weir_stream_try_write(s, weir_str_from(piece, sizeof(piece)));
        CHECK(n >= 0);
        wrote += (size_t)n;
        CHECK_INT(weir_yield(), 0);
    } while (n > 0);
    weir_stream_close(s);
    peer_go(peer);
    for (int i = 0; i < 500 && !atomic_load(&seen.in_order); i++)
        CHECK_INT(weir_sleep_ms(2), 0);
    CHECK(atomic_load(&seen.in_order));
    CHECK_INT(atomic_load(&seen.got), wrote);
    peer_stop(peer);
    return 0;
}

TASK_TEST(the_end_of_the_runtime_ends_what_is_still_being_sent)
{
    static char piece[4000];
    struct ends ends;
    ssize_t n;

    (void)arg;
    open_tcp(&ends);
    do {
        n = weir_stream_try_write(ends.one, weir_str_from(piece, sizeof(piece)));
        CHECK_INT(weir_yield(), 0);
    } while (n > 0);
    weir_stream_close(ends.one);
    weir_stream_close(ends.other);
    return 0;
}

/* ---- accepting ---------------------------------------------------------------------- */

static int accept_until_stopped(void *arg)
{
    weir_stream *s;
    int rc, count = 0;

    while ((rc = weir_accept(arg, &s)) > 0) {
        weir_stream_close(s);
        count++;
    }
    CHECK_INT(rc, 0);
    CHECK(weir_stopping());
    return count;
}

TASK_TEST(a_stop_ends_accept_as_a_source_ends)
{
    weir_listener *listener, *second;
    weir_stream *stream, *s1;
    int count = -1;

    (void)arg;
    CHECK_INT(weir_listen("localhost:0", &listener), 0);
    CHECK_INT(weir_listen(address_of(weir_listener_port(listener)), &second), -EADDRINUSE);
    weir_recover();
    CHECK_INT(weir_stream_connect(address_of(weir_listener_port(listener)), &stream), 0);
    WEIR_SCOPE(s) {
        weir_task task = weir_go(s, accept_until_stopped, listener, .hold = true);

        for (int i = 0; i < 3; i++)
            CHECK_INT(weir_yield(), 0);
        CHECK_INT(weir_accept(listener, &s1), -EBUSY);
        weir_stop(s);
        CHECK_INT(weir_join(s), 0);
        CHECK_INT(weir_result(task, &count), 0);
        CHECK_INT(count, 1);
    }
    WEIR_SCOPE(s, .timeout_ms = 10)
        CHECK_INT(weir_accept(listener, &s1), -ETIMEDOUT);
    weir_stream_close(stream);
    weir_listener_close(listener);
    return 0;
}

/* ---- what it holds -------------------------------------------------------------------- */

TASK_TEST(an_idle_stream_holds_no_buffer)
{
    struct buf_pool *pool = loop_bufs(loop_self());
    struct ends ends;

    (void)arg;
    for (int kind = 0; kind < 2; kind++) {
        weir_str data;
        uint32_t before = pool->used;

        kind ? open_memory(&ends) : open_tcp(&ends);
        CHECK_INT(weir_stream_write(ends.one, WEIR_S("x")), 1);
        check_read(ends.other, "x");
        WEIR_SCOPE(s, .timeout_ms = 5)
            CHECK_INT(weir_stream_read(ends.other, &data), -ETIMEDOUT);
        CHECK_INT(pool->used, before);
        closing(&ends);
    }
    return 0;
}

/* Kilobytes of this process, by its status. */
static long status_kib(const char *name)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    long kib = 0;

    CHECK(file);
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtol(line + strlen(name) + 1, NULL, 10);
    fclose(file);
    return kib;
}

#define READERS 2000
#if defined(CONTEXT_ASAN) || defined(CONTEXT_TSAN)
#define COUNTED false /* shadow memory counts in */
#else
#define COUNTED true
#endif

TASK_TEST(a_parked_reader_touches_few_pages)
{
    static weir_stream *streams[READERS];
    static int others[READERS];
    struct rlimit limit = { 2 * READERS + 64, 2 * READERS + 64 };
    long before, after;

    (void)arg;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    for (int i = 0; i < READERS; i++) {
        int fds[2];

        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
        CHECK_INT(stream_tcp_adopt(fds[0], &streams[i]), 0);
        others[i] = fds[1];
    }
    before = status_kib("VmRSS") + status_kib("VmPTE");
    WEIR_SCOPE(s) {
        for (int i = 0; i < READERS; i++)
            weir_go(s, read_once, streams[i], .optional = true);
        CHECK_INT(weir_sleep_ms(1), 0);
        after = status_kib("VmRSS") + status_kib("VmPTE");
        weir_cancel(s);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK(!COUNTED || (double)(after - before) / READERS <= 8.6);
    for (int i = 0; i < READERS; i++) {
        weir_stream_close(streams[i]);
        close(others[i]);
    }
    return 0;
}

/* The kernel takes connections' own ports from a range, and may take the very one that is
 * connected to: within 14,000 tries, as it goes through the even ones. */
TASK_TEST(nobody_is_connected_to_itself)
{
    FILE *range = fopen("/proc/sys/net/ipv4/ip_local_port_range", "r");
    unsigned low = 0, high = 0;
    const char *address;
    weir_stream *s;

    (void)arg;
    CHECK(range && fscanf(range, "%u %u", &low, &high) == 2);
    fclose(range);
    address = weir_format("127.0.0.1:%u", low + ((high - low) / 2 & ~1u)).ptr;
    for (int i = 0; i < 16000; i++) {
        CHECK_INT(weir_stream_connect(address, &s), -ECONNREFUSED);
        weir_recover();
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_both_directions_and_a_half_close),
        cmocka_unit_test(memory_both_directions_and_a_half_close),
        cmocka_unit_test(much_data_arrives_in_order),
        cmocka_unit_test(small_and_large_writes_keep_their_order),
        cmocka_unit_test(a_peer_that_reads_nothing_holds_the_writer_until_its_deadline),
        cmocka_unit_test(a_deadline_ends_a_read_and_leaves_the_stream_usable),
        cmocka_unit_test(a_cancel_ends_a_read_and_a_second_reader_is_refused),
        cmocka_unit_test(a_closed_peer_gives_the_end_to_readers_and_an_error_to_writers),
        cmocka_unit_test(a_reset_is_told_and_repeated),
        cmocka_unit_test(connecting_to_nobody_or_to_no_name_says_so),
        cmocka_unit_test(what_was_written_is_sent_behind_the_close),
        cmocka_unit_test(the_end_of_the_runtime_ends_what_is_still_being_sent),
        cmocka_unit_test(a_stop_ends_accept_as_a_source_ends),
        cmocka_unit_test(an_idle_stream_holds_no_buffer),
        cmocka_unit_test(a_parked_reader_touches_few_pages),
        cmocka_unit_test(nobody_is_connected_to_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
