/* Words with a meaning: durations, sizes, formats, and what someone meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "type/format.h"
#include "type/hint.h"
#include "type/units.h"
#include "type/yaml_scalar.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void durations_are_whole_milliseconds(void **state)
{
    static const struct {
        const char *text;
        int rc;
        uint32_t ms;
    } cases[] = {
        { "0", 0, 0 },
        { "0s", 0, 0 },
        { "300ms", 0, 300 },
        { "5s", 0, 5000 },
        { "5 s", 0, 5000 },
        { "1m", 0, 60000 },
        { "1h", 0, 3600000 },
        { "2d", 0, 172800000 },
        { "1.5s", 0, 1500 },
        { "0.001s", 0, 1 },
        { "1.25m", 0, 75000 },
        { "4294967295ms", 0, UINT32_MAX },
        { "4294967296ms", -ERANGE, 0 },
        { "50d", -ERANGE, 0 },
        { "99999999999999999999s", -ERANGE, 0 },
        { "1.5ms", -EINVAL, 0 },
        { "0.0001s", -EINVAL, 0 },
        { "", -EINVAL, 0 },
        { "5", -EINVAL, 0 },
        { "s", -EINVAL, 0 },
        { "-5s", -EINVAL, 0 },
        { "5S", -EINVAL, 0 },
        { "5sec", -EINVAL, 0 },
        { "5  s", -EINVAL, 0 },
        { "5s ", -EINVAL, 0 },
        { "1.s", -EINVAL, 0 },
        { ".5s", -EINVAL, 0 },
        { "1h30m", -EINVAL, 0 },
        { "1e3s", -EINVAL, 0 },
        { "1.00000000001s", -EINVAL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t ms = 0;

        if (duration_parse(weir_str_c(cases[i].text), &ms) != cases[i].rc || ms != cases[i].ms)
            fail_msg("%s: %u ms", cases[i].text, ms);
    }
}

static void sizes_are_whole_bytes(void **state)
{
    static const struct {
        const char *text;
        int rc;
        uint64_t bytes;
    } cases[] = {
        { "0", 0, 0 },
        { "65536", 0, 65536 },
        { "12B", 0, 12 },
        { "32KiB", 0, 32768 },
        { "1MiB", 0, 1048576 },
        { "10MB", 0, 10000000 },
        { "2 GiB", 0, UINT64_C(2) << 30 },
        { "1.5KiB", 0, 1536 },
        { "3kB", 0, 3000 },
        { "1TB", 0, UINT64_C(1000000000000) },
        { "18446744073709551615", 0, UINT64_MAX },
        { "18446744073709551616", -ERANGE, 0 },
        { "16777216TiB", -ERANGE, 0 },
        { "1.5B", -EINVAL, 0 },
        { "1K", -EINVAL, 0 },
        { "1kib", -EINVAL, 0 },
        { "-1", -EINVAL, 0 },
        { "", -EINVAL, 0 },
        { "KiB", -EINVAL, 0 },
        { "1 ", -EINVAL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t bytes = 0;

        if (bytes_parse(weir_str_c(cases[i].text), &bytes) != cases[i].rc ||
            bytes != cases[i].bytes)
            fail_msg("%s: %llu bytes", cases[i].text, (unsigned long long)bytes);
    }
}

static void what_is_written_reads_back(void **state)
{
    static const uint32_t times[] = { 0,     1,     999,     1000,     1001,
                                      60000, 90000, 3600000, 86400000, UINT32_MAX };
    static const uint64_t sizes[] = { 0,         1,    1000,    1023,
                                      1024,      1536, 1 << 20, UINT64_C(5) << 40,
                                      UINT64_MAX };
    struct arena arena;
    uint32_t ms;
    uint64_t bytes;

    (void)state;
    arena_init(&arena, NULL);
    for (size_t i = 0; i < COUNT(times); i++) {
        struct arena_sink sink;

        arena_sink_init(&sink, &arena);
        duration_write(&sink.sink, times[i]);
        assert_int_equal(duration_parse(arena_sink_str(&sink), &ms), 0);
        assert_int_equal(ms, times[i]);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct arena_sink sink;

        arena_sink_init(&sink, &arena);
        bytes_write(&sink.sink, sizes[i]);
        assert_int_equal(bytes_parse(arena_sink_str(&sink), &bytes), 0);
        assert_true(bytes == sizes[i]);
    }
    arena_reset(&arena);
}

static void formats_tell_right_from_wrong(void **state)
{
    static const struct {
        weir_text_format format;
        const char *good[10], *bad[16];
    } cases[] = {
        { WEIR_EMAIL,
          { "ada@example.org", "a.b+c@localhost", "x_y@a-b.co" },
          { "", "@", "ada", "@b", "a@", ".a@b", "a.@b", "a..b@c", "a b@c", "a@b c", "a@-b",
            "a@b..c", "a@b@c" } },
        { WEIR_URL,
          { "http://127.0.0.1:9001", "https://example.org", "http://[::1]:80/x?y=z#f",
            "http://a_b/", "http://localhost?x" },
          { "", "http://", "ftp://a", "example.org", "http:///x", "http://a:99999", "http://a b",
            "http://a:", "http://user@host/", "HTTP:/a", "http://[::1", "http://[x::]/" } },
        { WEIR_HOST_PORT,
          { "127.0.0.1:8080", "[::1]:0", "localhost:65535", ":80", "a-b.c:1" },
          { "", "127.0.0.1", "a:", "a:65536", "::1:80", "a:b", "a: 1", "[::1]", "-a:1", "a..b:1",
            "a:123456", "http://a:1" } },
        { WEIR_UUID,
          { "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8" },
          { "", "6ba7b810-9dad-11d1-80b4-00c04fd430c", "6ba7b8109dad11d180b400c04fd430c8",
            "6ba7b810-9dad-11d1-80b4-00c04fd430cg", "6ba7b810-9dad-11d1-80b4-00c04fd430c88" } },
        { WEIR_DATE_TIME,
          { "2026-01-31T12:00:00Z", "2024-02-29t23:59:60.123+05:30", "2000-02-29T00:00:00-00:00" },
          { "", "2026-01-31", "2026-01-31T12:00:00", "2026-02-29T12:00:00Z", "1900-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z", "2026-00-01T12:00:00Z", "2026-01-32T12:00:00Z",
            "2026-01-31T24:00:00Z", "2026-01-31T12:60:00Z", "2026-01-31 12:00:00Z",
            "2026-01-31T12:00:00.Z", "2026-01-31T12:00:00+24:00", "2026-01-31T12:00:00Zx" } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t j = 0; j < COUNT(cases[i].good) && cases[i].good[j]; j++) {
            if (!format_fits(cases[i].format, weir_str_c(cases[i].good[j])))
                fail_msg("%s: refused %s", format_name(cases[i].format), cases[i].good[j]);
        }
        for (size_t j = 0; j < COUNT(cases[i].bad) && cases[i].bad[j]; j++) {
            if (format_fits(cases[i].format, weir_str_c(cases[i].bad[j])))
                fail_msg("%s: took %s", format_name(cases[i].format), cases[i].bad[j]);
        }
        assert_true(format_fits(cases[i].format, weir_str_c(format_example(cases[i].format))));
    }
}

static void the_nearest_name_is_found(void **state)
{
    static const struct {
        const char *word, *best; /* NULL: none is near */
    } cases[] = {
        { "timout", "timeout" },
        { "tiemout", "timeout" },
        { "Timeout", "timeout" },
        { "TIMEOUT", "timeout" },
        { "timeouts", "timeout" },
        { "max-connections", "max_connections" },
        { "maxconnections", "max_connections" },
        { "ur", "url" },
        { "uri", "url" },
        { "x", NULL },
        { "zork", NULL },
        { "", NULL },
        { "listening", NULL },
        { "a_very_long_word_that_goes_on_and_on_and_on_and_on", NULL },
    };
    static const char *const names[] = { "url", "timeout", "max_connections", "breaker" };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct nearest nearest;
        weir_str expected = weir_str_c(cases[i].best);

        nearest_init(&nearest, weir_str_c(cases[i].word));
        for (size_t j = 0; j < COUNT(names); j++)
            nearest_try(&nearest, weir_str_c(names[j]));
        if (!weir_str_eq(nearest.best, expected))
            fail_msg("%s: %.*s", cases[i].word, WEIR_ARG(nearest.best));
    }
}

static void plain_scalars_follow_the_core_schema(void **state)
{
    static const struct {
        const char *text;
        enum view_kind kind;
        double value;
    } cases[] = {
        { "", VIEW_NULL, 0 },
        { "~", VIEW_NULL, 0 },
        { "Null", VIEW_NULL, 0 },
        { "nULL", VIEW_STR, 0 },
        { "true", VIEW_BOOL, 1 },
        { "FALSE", VIEW_BOOL, 0 },
        { "tRUE", VIEW_STR, 0 },
        { "yes", VIEW_STR, 0 },
        { "on", VIEW_STR, 0 },
        { "n", VIEW_STR, 0 },
        { "0", VIEW_UINT, 0 },
        { "+12", VIEW_UINT, 12 },
        { "-12", VIEW_INT, -12 },
        { "012", VIEW_STR, 0 },
        { "00", VIEW_STR, 0 },
        { "0o17", VIEW_UINT, 15 },
        { "0o18", VIEW_STR, 0 },
        { "0x1F", VIEW_UINT, 31 },
        { "0x", VIEW_STR, 0 },
        { "-0x1", VIEW_STR, 0 },
        { "1_0", VIEW_STR, 0 },
        { "1:30", VIEW_STR, 0 },
        { "1.5", VIEW_REAL, 1.5 },
        { ".5", VIEW_REAL, .5 },
        { "5.", VIEW_REAL, 5 },
        { "-.5e-1", VIEW_REAL, -.05 },
        { "1e3", VIEW_REAL, 1000 },
        { "1e", VIEW_STR, 0 },
        { ".", VIEW_STR, 0 },
        { "-", VIEW_STR, 0 },
        { "+", VIEW_STR, 0 },
        { ".e1", VIEW_STR, 0 },
        { ".inf", VIEW_STR, 0 },
        { ".nan", VIEW_STR, 0 },
        { "1e400", VIEW_STR, 0 },
        { "1.2.3", VIEW_STR, 0 },
        { "0x10000000000000000", VIEW_STR, 0 },
        { "2026-01-31", VIEW_STR, 0 },
        { "18446744073709551615", VIEW_UINT, 18446744073709551615.0 },
        { "18446744073709551616", VIEW_REAL, 18446744073709551616.0 },
        { "0.000000000000000000000000000000000000000000000000000000000000001", VIEW_STR, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct view view = { .text = weir_str_c(cases[i].text), .plain = true };
        double value = 0;

        yaml_scalar_resolve(&view);
        if (view.kind == VIEW_BOOL)
            value = view.truth;
        else if (view.kind == VIEW_INT)
            value = (double)view.i;
        else if (view.kind == VIEW_UINT)
            value = (double)view.u;
        else if (view.kind == VIEW_REAL)
            value = view.d;
        if (view.kind != cases[i].kind || value != cases[i].value)
            fail_msg("%s: kind %d, value %g", cases[i].text, (int)view.kind, value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_whole_milliseconds),
        cmocka_unit_test(sizes_are_whole_bytes),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(formats_tell_right_from_wrong),
        cmocka_unit_test(the_nearest_name_is_found),
        cmocka_unit_test(plain_scalars_follow_the_core_schema),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
