/* URLs: taken apart, and put together from values that try to get out of their
 * place. */
#include "support/in_task.h"

#include <errno.h>

#include <weir/url.h>

#include "http/url.h"

#define CHECK_STR(got, wanted)                                                 \
    do {                                                                       \
        weir_str str_ = (got);                                                 \
                                                                               \
        if (!weir_str_eq(str_, weir_str_c(wanted))) {                          \
            fprintf(stderr, "%s: %s is\n  %.*s\nnot\n  %s\n", WEIR_HERE, #got, WEIR_ARG(str_), \
                    wanted);                                                   \
            abort();                                                           \
        }                                                                      \
    } while (0)

TASK_TEST(urls_are_taken_apart)
{
    static const struct {
        const char *text, *authority, *host, *target;
        uint16_t port;
        bool slash;
    } rows[] = {
        { "http://127.0.0.1:8080/a/b?c=d", "127.0.0.1:8080", "127.0.0.1", "/a/b?c=d", 8080, false },
        { "http://localhost", "localhost", "localhost", "", 80, true },
        { "HTTP://Users?x=1#frag", "Users", "Users", "?x=1", 80, true },
        { "http://users/#a?b", "users", "users", "/", 80, false },
        { "http://[::1]:9/?", "[::1]:9", "[::1]", "/?", 9, false },
        { "http://a//b/../%2E?/", "a", "a", "//b/../%2E?/", 80, false },
    };

    (void)arg;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct url url;

        CHECK_INT(url_parse(weir_str_c(rows[i].text), &url), 0);
        CHECK_STR(url.authority, rows[i].authority);
        CHECK_STR(url.host, rows[i].host);
        CHECK_STR(url.target, rows[i].target);
        CHECK_INT(url.port, rows[i].port);
        CHECK_INT(url.slash, rows[i].slash);
    }
    return 0;
}

TASK_TEST(what_is_no_url_is_refused)
{
    static const char *const rows[] = {
        "",
        "a",
        "/a",
        "//a/",
        "http:/a",
        "http://",
        "http:///a",
        "http://:80/",
        "http://a:/",
        "http://a:0/",
        "http://a:65536/",
        "http://a b/",
        "http://a/b c",
        "http://a/\r\nX: y",
        "http://u@a/",
        "http://u:p@a/",
        "http://a,b/",
        "http://[::1/",
        "http://[1::2::3]/",
        "http://1.2.3.999/",
        "http://a/%",
        "http://a/%4",
        "http://a/%zz",
        "http://a/\x7f",
        "http://a/\xc3\xa9",
        "http://a/{}",
        "http://a/<",
        "ftp://a/",
        "http://a\\b/",
    };
    struct url url;
    weir_str nul = WEIR_S("http://a/b\0c");

    (void)arg;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        CHECK_INT(url_parse(weir_str_c(rows[i]), &url), -EINVAL);
    CHECK_INT(url_parse(nul, &url), -EINVAL);
    CHECK_INT(url_parse(weir_str_from(NULL, 0), &url), -ENOMEM);
    weir_recover();
    return 0;
}

TASK_TEST(a_unix_socket_and_what_is_asked_there)
{
    static const struct {
        const char *text, *host, *target;
        bool slash;
    } rows[] = {
        { "unix:/run/x.sock:/users/1?a=b", "unix:/run/x.sock", "/users/1?a=b", false },
        { "unix:/run/x.sock:", "unix:/run/x.sock", "", true },
        { "unix:/run/x.sock", "unix:/run/x.sock", "", true },
        { "unix:@name:?q#part", "unix:@name", "?q", true },
    };
    weir_str id = WEIR_S("7/8"), url_text;
    struct url url;

    (void)arg;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CHECK_INT(url_parse(weir_str_c(rows[i].text), &url), 0);
        CHECK(weir_str_eq(url.host, weir_str_c(rows[i].host)));
        CHECK(weir_str_eq(url.target, weir_str_c(rows[i].target)));
        CHECK(weir_str_eq(url.authority, WEIR_S("localhost")));
        CHECK_INT(url.port, 0);
        CHECK_INT(url.slash, rows[i].slash);
    }
    CHECK_INT(url_parse(WEIR_S("unix:x:/y"), &url), -EINVAL);
    CHECK_INT(url_parse(WEIR_S("unix:"), &url), -EINVAL);
    url_text = weir_url("unix:/run//x.sock:/users/{}", id);
    CHECK(weir_str_eq(url_text, WEIR_S("unix:/run//x.sock:/users/7%2F8")));
    CHECK(weir_url("unix:/run//{}.sock:/users", id).len == 0);
    weir_recover();
    return 0;
}

TASK_TEST(errors_do_not_show_queries)
{
    char text[512];
    struct url url;

    (void)arg;
    CHECK_INT(url_parse(WEIR_S("http://a b/p?token=secret"), &url), -EINVAL);
    weir_error_print(text, sizeof(text));
    CHECK(!strstr(text, "secret"));
    weir_recover();
    return 0;
}

TASK_TEST(values_stay_in_their_place)
{
    (void)arg;
    CHECK_STR(weir_url("http://users/{}", 7), "http://users/7");
    CHECK_STR(weir_url("http://users/{}", -7L), "http://users/-7");
    CHECK_STR(weir_url("http://users/{}", UINT64_MAX), "http://users/18446744073709551615");
    CHECK_STR(weir_url("http://users/{}", "a/b?c&d=e#f"), "http://users/a%2Fb%3Fc%26d%3De%23f");
    CHECK_STR(weir_url("http://users/{}", "../x"), "http://users/..%2Fx");
    CHECK_STR(weir_url("http://users/{}", "%2e%2e"), "http://users/%252e%252e");
    CHECK_STR(weir_url("http://users/{}", WEIR_S("a\r\n\0b")), "http://users/a%0D%0A%00b");
    CHECK_STR(weir_url("http://users/{}/{}", "a b", "\xc3\xa9"), "http://users/a%20b/%C3%A9");
    CHECK_STR(weir_url("http://users/x{}y", ""), "http://users/xy");
    CHECK_STR(weir_url("http://users/..{}", "."), "http://users/...");
    CHECK_STR(weir_url("http://users/{}/..", "a"), "http://users/a/..");
    CHECK_STR(weir_url("http://users/{}.json?q={}", "a", "b"), "http://users/a.json?q=b");
    CHECK_STR(weir_url("http://orders?user={}", "a&b=c"), "http://orders?user=a%26b%3Dc");
    CHECK_STR(weir_url("http://orders?user={}", "../.."), "http://orders?user=..%2F..");
    CHECK_STR(weir_url("http://orders?user={}", ".."), "http://orders?user=..");
    CHECK_STR(weir_url("http://orders?user={}&x={}", "", (bool)true), "http://orders?user=&x=true");
    CHECK_STR(weir_url("http://o/?a={}/{}", "/", "?"), "http://o/?a=%2F/%3F");
    CHECK_STR(weir_url("/users/{}?n={}", "a/b", 1.5), "/users/a%2Fb?n=1.5");
    CHECK_STR(weir_url("http://h/{}{}{}{}{}{}{}{}", 1, 2, 3, 4, 5, 6, 7, 8), "http://h/12345678");
    CHECK_STR(weir_url("http://h/{}{}", WEIR_S("-._~"), (char)'A'), "http://h/-._~65");
    return 0;
}

static void refused(weir_str url)
{
    struct url parsed;

    CHECK(url.ptr != NULL && url.len == 0);
    CHECK_INT(url_parse(url, &parsed), -EINVAL);
    weir_recover();
}

TASK_TEST(values_that_would_change_the_target_are_refused)
{
    static char large[URL_BYTES_MAX + 2];
    struct url parsed;
    weir_str none;

    (void)arg;
    refused(weir_url("http://users/{}", ".."));
    refused(weir_url("http://users/{}", "."));
    refused(weir_url("http://users/{}", ""));
    refused(weir_url("http://users/{}/x", ".."));
    refused(weir_url("http://users/{}/x", ""));
    refused(weir_url("http://users/{}?x", ".."));
    refused(weir_url("http://users/.{}", "."));
    refused(weir_url("http://users/{}{}", ".", "."));
    refused(weir_url("http://users/%2e{}", "."));
    refused(weir_url("http://users/{}%2E/x", ""));
    refused(weir_url("http://users/%{}", "2F.."));
    refused(weir_url("http://users/%2{}", "F.."));
    refused(weir_url("/{}", ".."));
    refused(weir_url("http://{}/x", "evil"));
    refused(weir_url("http://users{}/x", ".evil"));
    refused(weir_url("{}://users/x", "http"));
    refused(weir_url("http://users/{}/{}", "a"));
    refused(weir_url("http://users/{}", "a", "b"));
    refused(weir_url("http://users/{}#{}", "a", "b"));
    refused(weir_url("http://users/{id}", "a"));
    refused(weir_url("http://users/ {}", "a"));
    refused(weir_url("http://users/{}", NULL));
    memset(large, 'a', sizeof(large) - 1);
    refused(weir_url("http://users/{}", large));

    none = weir_url("http://users/{}", weir_str_from(NULL, 0));
    CHECK(none.ptr == NULL);
    CHECK_INT(url_parse(none, &parsed), -ENOMEM);
    return 0;
}

TASK_TEST(the_reason_reaches_the_call_that_is_given_the_url)
{
    char text[512];
    struct url parsed;

    (void)arg;
    CHECK_INT(url_parse(weir_url("http://users/{}", ".."), &parsed), -EINVAL);
    weir_error_print(text, sizeof(text));
    CHECK(strstr(text, "would make a segment"));
    weir_recover();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(what_is_no_url_is_refused),
        cmocka_unit_test(a_unix_socket_and_what_is_asked_there),
        cmocka_unit_test(errors_do_not_show_queries),
        cmocka_unit_test(values_stay_in_their_place),
        cmocka_unit_test(values_that_would_change_the_target_are_refused),
        cmocka_unit_test(the_reason_reaches_the_call_that_is_given_the_url),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
