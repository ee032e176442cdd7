/* The order of destination addresses: the examples of RFC 6724, section 10.2, and the
 * machine's own loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "net/addr_order.h"

static void read_addr(const char *text, uint8_t to[static 16])
{
    char mapped[64];

    snprintf(mapped, sizeof(mapped), "%s%s", strchr(text, ':') ? "" : "::ffff:", text);
    assert_int_equal(inet_pton(AF_INET6, mapped, to), 1);
}

static struct addr_route route(const char *to, const char *source)
{
    struct addr_route r = { .has_source = source != NULL };

    read_addr(to, r.to);
    if (source)
        read_addr(source, r.source);
    return r;
}

static const struct example {
    const char *to, *source, *worse_to, *worse_source;
} examples[] = {
    /* matching scope */
    { "2001:db8:1::1", "2001:db8:1::2", "198.51.100.121", "169.254.13.78" },
    { "198.51.100.121", "198.51.100.117", "2001:db8:1::1", "fe80::1" },
    /* higher precedence */
    { "2001:db8:1::1", "2001:db8:1::2", "10.1.2.3", "10.1.2.4" },
    { "2001:db8:1::1", "2001:db8:1::2", "2002:c633:6401::1", "2002:c633:6401::2" },
    { "2001:db8:1::1", "2001:db8:1::2", "fd11:2233::1", "fd11:2233::2" },
    /* smaller scope */
    { "fe80::1", "fe80::2", "2001:db8:1::1", "2001:db8:1::2" },
    /* matching label: 6to4, and unique local addresses alone, which lead nowhere else */
    { "2002:c633:6401::1", "2002:c633:6401::2", "2001:db8:1::1", "2002:c633:6401::2" },
    { "198.51.100.121", "10.1.2.4", "2001:db8:1::1", "fd11:2233::2" },
    { "198.51.100.121", "10.1.2.4", "2002:c633:6401::1", "fd11:2233::2" },
    /* longest prefix */
    { "2001:db8:1::1", "2001:db8:1::2", "2001:db8:3ffe::1", "2001:db8:3f44::2" },
    /* no route */
    { "198.51.100.121", "169.254.13.78", "2001:db8:1::1", NULL },
    { "::1", "::1", "127.0.0.1", "127.0.0.1" },
};

static void the_examples_of_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
        const struct example *e = &examples[i];
        struct addr_route a = route(e->to, e->source), b = route(e->worse_to, e->worse_source);

        if (addr_route_compare(&a, &b) >= 0 || addr_route_compare(&b, &a) <= 0)
            fail_msg("%s is no better than %s", e->to, e->worse_to);
        assert_int_equal(addr_route_compare(&a, &a), 0);
    }
}

/* IPv4 addresses are not told apart by their prefix, nor what has no route at all. */
static void equal_ones(void **state)
{
    struct addr_route a = route("10.1.2.3", "10.1.2.4"), b = route("10.9.9.9", "10.1.2.4");

    (void)state;
    assert_int_equal(addr_route_compare(&a, &b), 0);
    a = route("::1", NULL);
    b = route("192.0.2.1", NULL);
    assert_int_equal(addr_route_compare(&a, &b), 0);
}

/* 255.255.255.255 is refused to a socket that was not set up for it: it has no route. */
static void what_has_no_route_comes_last(void **state)
{
    uint8_t addrs[3][16] = { { 255, 255, 255, 255 }, { 127, 0, 0, 2 }, { 127, 0, 0, 1 } };
    struct addr_route best;

    (void)state;
    assert_true(addr_order(AF_INET, addrs, 3, &best));
    assert_int_equal(addrs[0][3], 2);
    assert_int_equal(addrs[1][3], 1);
    assert_int_equal(addrs[2][3], 255);
    assert_true(best.has_source);
    assert_int_equal(best.to[15], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc),
        cmocka_unit_test(equal_ones),
        cmocka_unit_test(what_has_no_route_comes_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
