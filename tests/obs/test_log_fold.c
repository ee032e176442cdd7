/* Lines that repeat are told as one; nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>
#include <weir/log.h>

#include "base/clock.h"
#include "obs/log_fold.h"

#define LIMIT_NS INT64_C(20000000000)

static struct {
    pthread_mutex_t lock;
    char text[1 << 20];
    size_t len;
} got = { .lock = PTHREAD_MUTEX_INITIALIZER };

static ssize_t keep(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    pthread_mutex_lock(&got.lock);
    assert_true(got.len + len < sizeof(got.text));
    memcpy(got.text + got.len, bytes, len);
    got.len += len;
    got.text[got.len] = '\0';
    pthread_mutex_unlock(&got.lock);
    return (ssize_t)len;
}

static int times(const char *part)
{
    int n = 0;

    pthread_mutex_lock(&got.lock);
    for (const char *at = got.text; (at = strstr(at, part)) != NULL; at++)
        n++;
    pthread_mutex_unlock(&got.lock);
    return n;
}

static void open_log(void)
{
    got.len = 0;
    got.text[0] = '\0';
    assert_int_equal(weir_log_open(.sink = keep, .form = WEIR_LOG_JSON, .fold = true), 0);
}

static void a_thousand_of_the_same_are_eight_and_a_number(void **state)
{
    (void)state;
    open_log();
    for (int i = 0; i < 1000; i++)
        weir_warn("the cache does not answer");
    weir_warn("something else");
    assert_int_equal(weir_log_flush(5000), 0);
    assert_int_equal(times("\"message\":\"the cache does not answer\""), LOG_FOLD_LINES);
    assert_int_equal(times("repeated 992 \xc3\x97 in "), 1);
    assert_int_equal(times("something else"), 1);
    assert_true(strstr(got.text, "repeated 992") < strstr(got.text, "something else"));
    weir_log_close();
}

static void what_differs_in_a_field_is_not_the_same(void **state)
{
    (void)state;
    open_log();
    for (int i = 0; i < 100; i++)
        weir_log(WEIR_LOG_ERROR, "the order could not be stored", WEIR_FIELD("order", i));
    weir_log_close();
    assert_int_equal(times("the order could not be stored"), 100);
    assert_int_equal(times("repeated"), 0);
}

static void what_is_left_out_is_told_when_it_is_quiet(void **state)
{
    int64_t until_ns = clock_monotonic_ns() + LIMIT_NS;

    (void)state;
    open_log();
    for (int i = 0; i < 20; i++)
        weir_error("it fails");
    while (times("repeated 12 \xc3\x97") == 0 && clock_monotonic_ns() < until_ns)
        poll(NULL, 0, 10);
    assert_int_equal(times("repeated 12 \xc3\x97"), 1);
    weir_error("it fails"); /* is written again */
    weir_log_close();
    assert_int_equal(times("\"message\":\"it fails\""), LOG_FOLD_LINES + 1);
}

static void *repeats(void *arg)
{
    for (int i = 0; i < 500; i++)
        weir_info("thread %s", (const char *)arg);
    return NULL;
}

static void each_thread_folds_its_own_and_a_thread_that_ends_loses_none(void **state)
{
    pthread_t one, two;

    (void)state;
    open_log();
    assert_int_equal(pthread_create(&one, NULL, repeats, "one"), 0);
    assert_int_equal(pthread_create(&two, NULL, repeats, "two"), 0);
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    weir_log_close();
    assert_int_equal(times("\"message\":\"thread one\""), LOG_FOLD_LINES);
    assert_int_equal(times("\"message\":\"thread two\""), LOG_FOLD_LINES);
    assert_int_equal(times("repeated 492 \xc3\x97"), 2);
}

static void unless_asked_every_line_is_written(void **state)
{
    (void)state;
    got.len = 0;
    assert_int_equal(weir_log_open(.sink = keep, .form = WEIR_LOG_JSON), 0);
    for (int i = 0; i < 100; i++)
        weir_info("the same");
    weir_log_close();
    assert_int_equal(times("\"message\":\"the same\""), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_of_the_same_are_eight_and_a_number),
        cmocka_unit_test(what_differs_in_a_field_is_not_the_same),
        cmocka_unit_test(what_is_left_out_is_told_when_it_is_quiet),
        cmocka_unit_test(each_thread_folds_its_own_and_a_thread_that_ends_loses_none),
        cmocka_unit_test(unless_asked_every_line_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
