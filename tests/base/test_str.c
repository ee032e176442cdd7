/* Slices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <weir/str.h>
#include <weir/time.h>

static void slices_from_texts(void **state)
{
    weir_str absent = weir_str_c(NULL);
    char shown[16];

    (void)state;
    assert_null(absent.ptr);
    assert_int_equal(absent.len, 0);
    assert_true(weir_str_eq(WEIR_S("abc"), weir_str_c("abc")));
    assert_false(weir_str_eq(WEIR_S("abc"), WEIR_S("abd")));
    assert_false(weir_str_eq(WEIR_S("abc"), WEIR_S("ab")));
    assert_true(weir_str_eq(absent, WEIR_S("")));
    snprintf(shown, sizeof shown, "%.*s", WEIR_ARG(weir_str_from("weir and more", 4)));
    assert_string_equal(shown, "weir");
    assert_int_equal(weir_str_len_int(weir_str_from("", SIZE_MAX)), INT32_MAX);
}

static void prefixes(void **state)
{
    (void)state;
    assert_true(weir_str_starts(WEIR_S("/users/1"), WEIR_S("/users/")));
    assert_true(weir_str_starts(WEIR_S("/"), WEIR_S("")));
    assert_true(weir_str_starts(weir_str_c(NULL), weir_str_c(NULL)));
    assert_false(weir_str_starts(WEIR_S("/use"), WEIR_S("/users/")));
    assert_true(weir_str_eq(weir_str_skip(WEIR_S("/users/1"), 7), WEIR_S("1")));
    assert_int_equal(weir_str_skip(WEIR_S("abc"), 9).len, 0);
}

static void order_is_that_of_bytes(void **state)
{
    (void)state;
    assert_true(weir_str_cmp(WEIR_S("abc"), WEIR_S("abd")) < 0);
    assert_true(weir_str_cmp(WEIR_S("\xff"), WEIR_S("a")) > 0);
    assert_true(weir_str_cmp(WEIR_S("ab"), WEIR_S("abc")) < 0);
    assert_true(weir_str_cmp(WEIR_S("abc"), WEIR_S("ab")) > 0);
    assert_int_equal(weir_str_cmp(WEIR_S("abc"), WEIR_S("abc")), 0);
    assert_int_equal(weir_str_cmp(weir_str_c(NULL), WEIR_S("")), 0);
}

/* Every pair of byte values, at every place of words and tails, against the
 * rule itself. */
static void case_is_folded_for_ascii_letters_only(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            bool same = a == b || (a < 128 && b < 128 && isalpha((int)a) && (a ^ b) == 0x20);

            for (size_t len = 1; len <= 17; len += 8) {
                char left[17], right[17];

                memset(left, 'q', sizeof left);
                memset(right, 'Q', sizeof right);
                left[len - 1] = (char)a;
                right[len - 1] = (char)b;
                assert_int_equal(
                    weir_str_eq_nocase(weir_str_from(left, len), weir_str_from(right, len)), same);
            }
        }
    }
}

static void case_is_folded_at_every_length(void **state)
{
    char left[40], right[40];

    (void)state;
    for (size_t len = 0; len <= sizeof left; len++) {
        memset(left, 'z', sizeof left);
        memset(right, 'Z', sizeof right);
        assert_true(weir_str_eq_nocase(weir_str_from(left, len), weir_str_from(right, len)));
        for (size_t at = 0; at < len; at++) {
            right[at] = 'y';
            assert_false(weir_str_eq_nocase(weir_str_from(left, len), weir_str_from(right, len)));
            right[at] = 'Z';
        }
    }
    assert_false(weir_str_eq_nocase(WEIR_S("Host"), WEIR_S("Hos")));
    assert_true(weir_str_eq_nocase(weir_str_c(NULL), WEIR_S("")));
}

static void times_saturate(void **state)
{
    weir_time t = { 1000 };

    (void)state;
    assert_int_equal(weir_time_after_ns(t, 500).ns, 1500);
    assert_true(weir_time_after_ns(t, WEIR_NEVER_NS).ns == WEIR_NEVER_NS);
    assert_int_equal(weir_time_since_ns(weir_time_after_ns(t, 500), t), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_from_texts),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(order_is_that_of_bytes),
        cmocka_unit_test(case_is_folded_for_ascii_letters_only),
        cmocka_unit_test(case_is_folded_at_every_length),
        cmocka_unit_test(times_saturate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
