/* Names, texts and categories of codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <string.h>

#include <weir/error.h>

static void own_codes_have_name_text_and_category(void **state)
{
    (void)state;
#define CHECK(name, number, category, text)                                    \
    assert_int_equal(WEIR_##name, -(number));                                  \
    assert_string_equal(weir_error_name(WEIR_##name), "WEIR_" #name);          \
    assert_string_equal(weir_error_text(WEIR_##name), text);                   \
    assert_int_equal(weir_error_category(WEIR_##name), WEIR_CATEGORY_##category);
    WEIR_ERRORS(CHECK)
#undef CHECK
}

static void errno_codes_are_named(void **state)
{
    (void)state;
    assert_string_equal(weir_error_name(-ECONNRESET), "ECONNRESET");
    assert_string_equal(weir_error_text(-ECONNRESET), "Connection reset by peer");
    assert_string_equal(weir_error_name(-EPERM), "EPERM");
    assert_string_equal(weir_error_text(-ETIMEDOUT), "the deadline has passed");
    assert_string_equal(weir_error_text(-ECANCELED), "the scope was cancelled");
}

static void errno_codes_have_categories(void **state)
{
    static const struct {
        int code;
        weir_category category;
    } rows[] = {
        { -ETIMEDOUT, WEIR_CATEGORY_TIMEOUT },
        { -ECANCELED, WEIR_CATEGORY_CANCEL },
        { -ECONNRESET, WEIR_CATEGORY_PEER },
        { -ECONNREFUSED, WEIR_CATEGORY_PEER },
        { -EPIPE, WEIR_CATEGORY_PEER },
        { -EHOSTUNREACH, WEIR_CATEGORY_PEER },
        { -ENETUNREACH, WEIR_CATEGORY_PEER },
        { -EBUSY, WEIR_CATEGORY_LIMIT },
        { -EAGAIN, WEIR_CATEGORY_LIMIT },
        { -ENOMEM, WEIR_CATEGORY_LIMIT },
        { -EMFILE, WEIR_CATEGORY_LIMIT },
        { -ENFILE, WEIR_CATEGORY_LIMIT },
        { -ENOBUFS, WEIR_CATEGORY_LIMIT },
        { -ENOSPC, WEIR_CATEGORY_LIMIT },
        { -EINVAL, WEIR_CATEGORY_OS },
        { -ENOENT, WEIR_CATEGORY_OS },
        { WEIR_EPEERTIMEOUT, WEIR_CATEGORY_PEER },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(weir_error_category(rows[i].code), rows[i].category);
}

static void success_and_strangers(void **state)
{
    static const int strangers[] = { -4095, -4094, -4096 - 1000, INT_MIN, INT_MIN + 1 };

    (void)state;
    assert_string_equal(weir_error_name(0), "0");
    assert_string_equal(weir_error_name(17), "0");
    assert_string_equal(weir_error_text(0), "success");
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        assert_string_equal(weir_error_name(strangers[i]), "unknown error");
        assert_string_equal(weir_error_text(strangers[i]), "unknown error");
        assert_int_equal(weir_error_category(strangers[i]), WEIR_CATEGORY_OS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_codes_have_name_text_and_category),
        cmocka_unit_test(errno_codes_are_named),
        cmocka_unit_test(errno_codes_have_categories),
        cmocka_unit_test(success_and_strangers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
