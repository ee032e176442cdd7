/* Names, look-ups in a head, lists, authorities. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <errno.h>

#include <weir/error.h>

#include "http/message.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* In any case, and no name that differs in a byte. */
static void every_known_field_is_found(void **state)
{
    (void)state;
    for (int id = 1; id < HTTP_FIELD_ID_COUNT; id++) {
        weir_str name = http_field_id_name((enum http_field_id)id);
        char text[64];

        assert_in_range(name.len, 1, 40);
        assert_int_equal(http_field_find(name), id);
        for (size_t i = 0; i < name.len; i++)
            text[i] = (char)toupper(name.ptr[i]);
        assert_int_equal(http_field_find(weir_str_from(text, name.len)), id);
        for (size_t i = 0; i < name.len; i++) {
            char was = text[i];

            text[i] = '!';
            assert_int_equal(http_field_find(weir_str_from(text, name.len)), HTTP_FIELD_OTHER);
            text[i] = (char)(was | 0x80);
            assert_int_equal(http_field_find(weir_str_from(text, name.len)), HTTP_FIELD_OTHER);
            text[i] = was;
        }
        text[name.len] = 'x';
        assert_int_equal(http_field_find(weir_str_from(text, name.len + 1)), HTTP_FIELD_OTHER);
    }
    assert_int_equal(http_field_find(WEIR_S("")), HTTP_FIELD_OTHER);
    assert_int_equal(http_field_find(WEIR_S("x")), HTTP_FIELD_OTHER);
    assert_int_equal(http_field_find(WEIR_S("Content_Length")), HTTP_FIELD_OTHER);
}

static void methods_are_found_by_their_exact_name(void **state)
{
    (void)state;
    for (int m = HTTP_OTHER + 1; m < HTTP_METHOD_COUNT; m++)
        assert_int_equal(http_method_find(http_method_name((enum http_method)m)), m);
    assert_int_equal(http_method_find(WEIR_S("get")), HTTP_OTHER);
    assert_int_equal(http_method_find(WEIR_S("GETX")), HTTP_OTHER);
    assert_int_equal(http_method_find(WEIR_S("GE")), HTTP_OTHER);
    assert_int_equal(http_method_find(WEIR_S("")), HTTP_OTHER);
    assert_true(http_method_safe(HTTP_HEAD) && http_method_idempotent(HTTP_DELETE));
    assert_false(http_method_safe(HTTP_DELETE) || http_method_idempotent(HTTP_POST) ||
                 http_method_idempotent(HTTP_PATCH) || http_method_safe(HTTP_OTHER));
}

static void reasons_are_those_that_are_registered(void **state)
{
    (void)state;
    assert_true(weir_str_eq(http_reason(200), WEIR_S("OK")));
    assert_true(weir_str_eq(http_reason(100), WEIR_S("Continue")));
    assert_true(weir_str_eq(http_reason(511), WEIR_S("Network Authentication Required")));
    assert_true(weir_str_eq(http_reason(431), WEIR_S("Request Header Fields Too Large")));
    assert_int_equal(http_reason(299).len, 0);
    assert_int_equal(http_reason(99).len, 0);
    assert_int_equal(http_reason(512).len, 0);
    assert_int_equal(http_reason(-1).len, 0);
    assert_non_null(http_reason(299).ptr);
}

static void add(struct http_head *head, const char *name, const char *value)
{
    assert_int_equal(
        http_head_add(head, weir_str_c(name), weir_str_c(value), http_field_find(weir_str_c(name))),
        0);
}

static void repeated_fields_are_met_in_order(void **state)
{
    static struct http_head head;
    const struct http_field *f;

    (void)state;
    http_head_init(&head);
    add(&head, "Cookie", "a");
    add(&head, "X-One", "b");
    add(&head, "cookie", "c");
    add(&head, "x-one", "d");
    add(&head, "COOKIE", "e");
    assert_true(weir_str_eq(http_field(&head, HTTP_COOKIE), WEIR_S("a")));
    assert_null(http_field(&head, HTTP_HOST).ptr);
    assert_false(http_has(&head, HTTP_HOST));
    f = http_field_first(&head, HTTP_COOKIE);
    f = http_field_next(&head, f);
    assert_true(weir_str_eq(http_field_value(f), WEIR_S("c")));
    f = http_field_next(&head, f);
    assert_true(weir_str_eq(http_field_value(f), WEIR_S("e")));
    assert_null(http_field_next(&head, f));

    f = http_field_named(&head, WEIR_S("X-ONE"), NULL);
    assert_true(weir_str_eq(http_field_value(f), WEIR_S("b")));
    f = http_field_named(&head, WEIR_S("X-ONE"), f);
    assert_true(weir_str_eq(http_field_value(f), WEIR_S("d")));
    assert_null(http_field_named(&head, WEIR_S("X-ONE"), f));
    f = http_field_named(&head, WEIR_S("Cookie"), http_field_first(&head, HTTP_COOKIE));
    assert_true(weir_str_eq(http_field_value(f), WEIR_S("c")));
    assert_null(http_field_named(&head, WEIR_S("X-Two"), NULL));
}

static void the_fields_of_a_head_are_bounded(void **state)
{
    static struct http_head head;

    (void)state;
    http_head_init(&head);
    for (int i = 0; i < HTTP_FIELDS_MAX; i++)
        add(&head, "Cookie", "a");
    assert_int_equal(http_head_add(&head, WEIR_S("Cookie"), WEIR_S("a"), HTTP_COOKIE),
                     WEIR_EHEADSIZE);
    assert_int_equal(head.field_count, HTTP_FIELDS_MAX);
}

static void lists_are_split_at_their_commas(void **state)
{
    weir_str list = WEIR_S(" ,a ,, \"b, \\\" c\" ;q=1\t,\tlast"), e;

    (void)state;
    assert_true(http_list_next(&list, &e) && weir_str_eq(e, WEIR_S("a")));
    assert_true(http_list_next(&list, &e) && weir_str_eq(e, WEIR_S("\"b, \\\" c\" ;q=1")));
    assert_true(http_list_next(&list, &e) && weir_str_eq(e, WEIR_S("last")));
    assert_false(http_list_next(&list, &e));
    list = WEIR_S("\"open, a");
    assert_true(http_list_next(&list, &e) && weir_str_eq(e, WEIR_S("\"open, a")));
    list = WEIR_S("\"open\\");
    assert_true(http_list_next(&list, &e) && weir_str_eq(e, WEIR_S("\"open\\")));
    list = WEIR_S(" , ,");
    assert_false(http_list_next(&list, &e));
}

static void tokens_are_found_in_all_lines_of_a_list(void **state)
{
    static struct http_head head;

    (void)state;
    http_head_init(&head);
    add(&head, "Upgrade", "h2c, foo/1");
    add(&head, "Upgrade", "WebSocket");
    assert_true(http_field_has_token(&head, HTTP_UPGRADE, WEIR_S("websocket")));
    assert_true(http_field_has_token(&head, HTTP_UPGRADE, WEIR_S("foo/1")));
    assert_false(http_field_has_token(&head, HTTP_UPGRADE, WEIR_S("foo")));
    assert_false(http_field_has_token(&head, HTTP_CONNECTION, WEIR_S("foo")));
}

static void trailers_may_not_frame_route_or_authorise(void **state)
{
    static const enum http_field_id forbidden[] = {
        HTTP_CONTENT_LENGTH, HTTP_TRANSFER_ENCODING,
        HTTP_HOST,           HTTP_AUTHORIZATION,
        HTTP_TRAILER,        HTTP_CONNECTION,
        HTTP_COOKIE,         HTTP_TE,
        HTTP_CONTENT_TYPE,   HTTP_EXPECT,
        HTTP_RANGE,          HTTP_PROXY_AUTHORIZATION,
    };

    (void)state;
    for (size_t i = 0; i < COUNT(forbidden); i++)
        assert_true(http_field_forbidden_in_trailer(forbidden[i]));
    assert_false(http_field_forbidden_in_trailer(HTTP_FIELD_OTHER));
    assert_false(http_field_forbidden_in_trailer(HTTP_ETAG));
    assert_true(http_field_hop_by_hop(HTTP_KEEP_ALIVE));
    assert_false(http_field_hop_by_hop(HTTP_HOST));
}

static void an_authority_is_split_or_refused(void **state)
{
    weir_str host = { NULL, 0 };
    uint16_t port = 7;

    (void)state;
    assert_int_equal(http_authority_parse(WEIR_S("[2001:db8::1]:443"), &host, &port), 0);
    assert_true(weir_str_eq(host, WEIR_S("[2001:db8::1]")));
    assert_int_equal(port, 443);
    assert_int_equal(http_authority_parse(WEIR_S("a-1.b_c~d"), &host, &port), 0);
    assert_int_equal(port, 0);
    assert_int_equal(http_authority_parse(weir_str_from(NULL, 0), &host, &port), -EINVAL);
    assert_int_equal(http_authority_parse(WEIR_S("[::1\0]"), &host, &port), -EINVAL);
    assert_int_equal(http_authority_parse(WEIR_S("1.2.3.4."), &host, &port), -EINVAL);
    assert_int_equal(http_authority_parse(WEIR_S("1.2.3.4.5"), &host, &port), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_known_field_is_found),
        cmocka_unit_test(methods_are_found_by_their_exact_name),
        cmocka_unit_test(reasons_are_those_that_are_registered),
        cmocka_unit_test(repeated_fields_are_met_in_order),
        cmocka_unit_test(the_fields_of_a_head_are_bounded),
        cmocka_unit_test(lists_are_split_at_their_commas),
        cmocka_unit_test(tokens_are_found_in_all_lines_of_a_list),
        cmocka_unit_test(trailers_may_not_frame_route_or_authorise),
        cmocka_unit_test(an_authority_is_split_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
