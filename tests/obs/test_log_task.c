/* What a line takes from the task that writes it, on one loop and on several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include <weir/error.h>
#include <weir/log.h>
#include <weir/metrics.h>
#include <weir/run.h>

#include "base/strbuf.h"

static struct strbuf text = STRBUF_INIT;
static weir_counter *done;

static ssize_t keep(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    strbuf_add(&text, weir_str_from(bytes, len));
    return (ssize_t)len;
}

static int part(void *arg)
{
    int rc = weir_yield();

    if (rc < 0)
        return rc;
    weir_log(WEIR_LOG_INFO, "part", WEIR_FIELD("n", *(int *)arg));
    weir_counter_add(done, 1);
    return 0;
}

static int failing(void *arg)
{
    (void)arg;
    return weir_fail(-ECONNREFUSED, "users: refused");
}

static int request(void *arg)
{
    static const weir_context context = { .correlation_id = { "01JD", 4 },
                                          .trace_id = { "7f3a", 4 } };
    static int numbers[] = { 1, 2, 3 };
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        weir_scope_set_context(s, &context);
        for (int i = 0; i < 3; i++)
            weir_go(s, part, &numbers[i], .name = "reader");
        rc = weir_join(s);
    }
    if (rc < 0)
        return rc;
    WEIR_SCOPE(s) {
        weir_go(s, failing, NULL);
        rc = weir_join(s);
    }
    weir_log(WEIR_LOG_ERROR, "gave up", WEIR_FAILURE(weir_wrap(rc, "profile")));
    weir_recover();
    return 0;
}

static void test_context_task_and_chain(void **state)
{
    (void)state;
    done = weir_counter_new("parts_total", "Parts done.");
    assert_int_equal(weir_log_open(.sink = keep, .form = WEIR_LOG_TEXT), 0);
    assert_int_equal(weir_run(request, NULL, .loops = 1), 0);
    assert_int_equal(weir_log_close(), 0);
    assert_non_null(strstr(text.ptr, " INFO  part  id 01JD  trace 7f3a  task reader  n 1\n"));
    assert_non_null(strstr(text.ptr, " INFO  part  id 01JD  trace 7f3a  task reader  n 3\n"));
    assert_non_null(strstr(text.ptr, " ERROR gave up  "));
    assert_non_null(strstr(text.ptr, "  profile: users: refused ("));
    assert_int_equal(weir_counter_value(done), 3);
    strbuf_clear(&text);
}

static int each(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        int rc = weir_yield();

        if (rc < 0)
            return rc;
        weir_info("loop %u line %d.", weir_loop_index(), i);
        weir_counter_add(done, 1);
    }
    return 0;
}

static void test_loops(void **state)
{
    uint64_t before = weir_counter_value(done);
    size_t lines = 0;

    (void)state;
    assert_int_equal(weir_log_open(.sink = keep, .form = WEIR_LOG_TEXT), 0);
    assert_int_equal(weir_run(each, NULL, .loops = 3, .each = each), 0);
    assert_int_equal(weir_log_close(), 0);
    for (const char *at = text.ptr; (at = strstr(at, " line ")); at++)
        lines++;
    assert_int_equal(lines, weir_counter_value(done) - before);
    assert_true(lines >= 200);
    strbuf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_context_task_and_chain),
        cmocka_unit_test(test_loops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
