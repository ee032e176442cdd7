/* The ring: wrap-around at every offset, the part kept for errors, two threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "obs/log_ring.h"

static size_t take_all(struct log_ring *ring, char *out)
{
    uint64_t end = log_ring_head(ring);
    size_t n = 0;

    while (log_ring_tail(ring) != end) {
        weir_str part = log_ring_peek(ring, end);

        assert_true(part.len > 0);
        memcpy(out + n, part.ptr, part.len);
        n += part.len;
        log_ring_take(ring, part.len);
    }
    return n;
}

static void test_wraps_at_every_offset(void **state)
{
    struct log_ring ring;
    char bytes[64], out[64], text[33];
    uint64_t used;

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('A' + i);
    for (size_t len = 1; len <= 33; len++) {
        log_ring_init(&ring, bytes, sizeof bytes);
        for (int i = 0; i < 200; i++) {
            assert_true(log_ring_put(&ring, weir_str_from(text, len), 0, &used));
            assert_in_range(used, len, sizeof bytes / 2 > len ? sizeof bytes / 2 : len);
            assert_int_equal(take_all(&ring, out), len);
            assert_memory_equal(out, text, len);
        }
    }
}

static void test_full(void **state)
{
    struct log_ring ring;
    char bytes[64], out[64];
    uint64_t used = 0;

    (void)state;
    log_ring_init(&ring, bytes, sizeof bytes);
    for (int i = 0; i < 6; i++)
        assert_true(log_ring_put(&ring, WEIR_S("12345678"), 16, &used));
    assert_int_equal(used, 48);
    assert_false(log_ring_put(&ring, WEIR_S("1"), 16, &used)); /* the rest is for errors */
    assert_true(log_ring_put(&ring, WEIR_S("errors!\n"), 0, &used));
    assert_true(log_ring_put(&ring, WEIR_S("errors!\n"), 0, &used));
    assert_int_equal(used, 64);
    assert_false(log_ring_put(&ring, WEIR_S("x"), 0, &used));
    assert_int_equal(take_all(&ring, out), 64);
    assert_memory_equal(out + 40, "12345678errors!\nerrors!\n", 24);
    assert_true(log_ring_put(&ring, WEIR_S("x"), 16, &used));
}

#define LINES 200000

static void *produce(void *arg)
{
    struct log_ring *ring = arg;
    uint64_t used;

    for (int i = 0; i < LINES; i++) {
        char text[64];
        int n = snprintf(text, sizeof text, "%d:%.*s\n", i, i % 40,
                         "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");

        while (!log_ring_put(ring, weir_str_from(text, (size_t)n), 0, &used))
            sched_yield();
    }
    return NULL;
}

static void test_two_threads(void **state)
{
    struct log_ring ring;
    char bytes[512], out[512], line[128];
    size_t len = 0;
    int next = 0;
    pthread_t thread;

    (void)state;
    log_ring_init(&ring, bytes, sizeof bytes);
    assert_int_equal(pthread_create(&thread, NULL, produce, &ring), 0);
    while (next < LINES) {
        size_t n = take_all(&ring, out);

        if (n == 0)
            sched_yield();
        for (size_t i = 0; i < n; i++) {
            int number, at;

            line[len++] = out[i];
            if (out[i] != '\n')
                continue;
            line[len] = '\0';
            assert_int_equal(sscanf(line, "%d:%n", &number, &at), 1);
            assert_int_equal(number, next);
            assert_int_equal(len, (size_t)at + (size_t)next % 40 + 1);
            next++;
            len = 0;
        }
    }
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wraps_at_every_offset),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_two_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
