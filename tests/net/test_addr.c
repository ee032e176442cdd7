/* Addresses as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>

#include "net/addr.h"

static void parse_and_format(void **state)
{
    static const struct {
        const char *text, *printed, *host;
        uint16_t port;
    } good[] = {
        { "127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1", 8080 },
        { "0.0.0.0:0", "0.0.0.0:0", "0.0.0.0", 0 },
        { ":80", "0.0.0.0:80", "0.0.0.0", 80 },
        { "localhost:1", "127.0.0.1:1", "127.0.0.1", 1 },
        { "LocalHost:65535", "127.0.0.1:65535", "127.0.0.1", 65535 },
        { "[::1]:80", "[::1]:80", "::1", 80 },
        { "[2001:db8:1:2:3:4:5:6]:65535", "[2001:db8:1:2:3:4:5:6]:65535", "2001:db8:1:2:3:4:5:6",
          65535 },
        { "[::ffff:255.255.255.255]:65535", "[::ffff:255.255.255.255]:65535",
          "::ffff:255.255.255.255", 65535 },
        { "unix:/run/x.sock", "unix:/run/x.sock", "unix:/run/x.sock", 0 },
        { "unix:@name", "unix:@name", "unix:@name", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[ADDR_TEXT_BYTES];
        struct addr addr;

        assert_int_equal(addr_parse(weir_str_c(good[i].text), &addr), 0);
        assert_string_equal(addr_format(&addr, text).ptr, good[i].printed);
        assert_int_equal(addr_format(&addr, text).len, strlen(good[i].printed));
        assert_string_equal(addr_format_host(&addr, text).ptr, good[i].host);
        assert_int_equal(addr_port(&addr), good[i].port);
    }
}

static void refuse(void **state)
{
    static const struct {
        const char *text;
        int rc;
        const char *says;
    } bad[] = {
        { "", -EINVAL, "no port" },
        { "127.0.0.1", -EINVAL, "no port" },
        { "127.0.0.1:", -EINVAL, "a number from 0 to 65535" },
        { "127.0.0.1:x", -EINVAL, "a number from 0 to 65535" },
        { "127.0.0.1:+1", -EINVAL, "a number from 0 to 65535" },
        { "127.0.0.1:65536", -EINVAL, "a number from 0 to 65535" },
        { "127.0.0.1:000080", -EINVAL, "a number from 0 to 65535" },
        { "127.0.0:80", -EINVAL, "no IP address" },
        { "1.2.3.256:80", -EINVAL, "no IP address" },
        { "1:80", -EINVAL, "no IP address" },
        { "::1:80", -EINVAL, "in brackets" },
        { "[::1:80", -EINVAL, "no IP address" },
        { "[127.0.0.1]:80", -EINVAL, "no IP address" },
        { "[]:80", -EINVAL, "no IP address" },
        { "[::1%eth0]:80", -EINVAL, "no IP address" },
        { "example.org:80", WEIR_ENAME, "is no address" },
        { "unix:", -EINVAL, "an absolute path" },
        { "unix:run/x", -EINVAL, "an absolute path" },
        { "unix:@", -EINVAL, "an absolute path" },
        { "unix:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
          "aaaaaaaaaaaaaaaaaaaaaaaaaa",
          -ENAMETOOLONG, "at most 107 bytes" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct addr addr = { .len = 77 };
        char text[1024];

        assert_int_equal(addr_parse(weir_str_c(bad[i].text), &addr), bad[i].rc);
        assert_int_equal(addr.len, 77); /* untouched */
        weir_error_print(text, sizeof text);
        if (!strstr(text, bad[i].says))
            fail_msg("%s: %s", bad[i].text, text);
        weir_recover();
    }
}

static void host_and_port_apart(void **state)
{
    char text[ADDR_TEXT_BYTES];
    struct addr addr;

    (void)state;
    assert_int_equal(addr_from_host(WEIR_S("::1"), 9, &addr), 0);
    assert_string_equal(addr_format(&addr, text).ptr, "[::1]:9");
    assert_int_equal(addr_from_host(WEIR_S("[::1]"), 9, &addr), 0);
    assert_string_equal(addr_format(&addr, text).ptr, "[::1]:9");
    assert_int_equal(addr_from_host(WEIR_S("10.0.0.1"), 9, &addr), 0);
    assert_string_equal(addr_format(&addr, text).ptr, "10.0.0.1:9");
    assert_int_equal(addr_from_host(WEIR_S(""), 9, &addr), -EINVAL);
    weir_recover();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_and_format),
        cmocka_unit_test(refuse),
        cmocka_unit_test(host_and_port_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
