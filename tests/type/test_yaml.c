/* YAML into structs: what is taken, and how each fault is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <weir/error.h>

#include "type/sample.h"

#define FAULTS(text, expected)                                                 \
    sample_yaml_faults(&sample_type, sizeof(struct sample), text, expected)

#define assert_str(slice, text) assert_true(weir_str_eq(slice, weir_str_c(text)))

static void every_kind_is_decoded(void **state)
{
    struct sample s;
    weir_document *doc = sample_yaml("flag: true\n"
                                     "i32: -2147483648\n"
                                     "i64: 9223372036854775807\n"
                                     "u16: 0xFFFF\n"
                                     "u32: 20\n"
                                     "u64: 18446744073709551615\n"
                                     "f64: -.5e1\n"
                                     "text: 'it''s'\n"
                                     "level: warn\n"
                                     "wait: 1.5s\n"
                                     "room: 1.5KiB\n"
                                     "inner: { name: in, size: 3 }\n"
                                     "more: { name: out }\n"
                                     "tags: [a, 12, true]\n"
                                     "list:\n"
                                     "  - { name: x }\n"
                                     "  - name: y\n"
                                     "    size: 1e1\n"
                                     "map:\n"
                                     "  zulu: { name: z }\n"
                                     "  alpha: { name: a }\n"
                                     "numbers: { b: -5, a: +5 }\n"
                                     "raw: [1, 2.5, {a: ~}]\n",
                                     &s);

    (void)state;
    assert_true(s.flag);
    assert_int_equal(s.i32, INT32_MIN);
    assert_true(s.i64 == INT64_MAX);
    assert_int_equal(s.u16, 65535);
    assert_int_equal(s.u32, 20);
    assert_true(s.u64 == UINT64_MAX);
    assert_true(s.f64 == -5.0);
    assert_str(s.text, "it's");
    assert_int_equal(s.text.ptr[s.text.len], 0);
    assert_int_equal(s.level, SAMPLE_WARN);
    assert_int_equal(s.wait_ms, 1500);
    assert_int_equal(s.room_bytes, 1536);
    assert_str(s.inner.name, "in");
    assert_int_equal(s.inner.size, 3);
    assert_int_equal(s.more->size, 7);
    assert_int_equal(s.tags_count, 3);
    assert_str(s.tags[1], "12");
    assert_str(s.tags[2], "true");
    assert_int_equal(s.list_count, 2);
    assert_int_equal(s.list[1].size, 10);
    assert_int_equal(s.map_count, 2);
    assert_str(s.map[0].key, "zulu");
    assert_str(s.map[1].value.name, "a");
    assert_int_equal(s.numbers[0].value, -5);
    assert_str(s.raw, "[1,2.5,{\"a\":null}]");
    weir_document_free(doc);
}

static void what_is_absent_has_its_default(void **state)
{
    static const char *const texts[] = { "", "# nothing\n", "{}", "---\n",
                                         "u32:\ntext: ~\ninner: null\nmore:\ntags:\nraw: ~\n" };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct sample s;
        weir_document *doc = sample_yaml(texts[i], &s);

        assert_false(s.flag);
        assert_int_equal(s.u32, 15);
        assert_true(s.f64 == 1.5);
        assert_str(s.text, "none");
        assert_int_equal(s.level, SAMPLE_INFO);
        assert_int_equal(s.wait_ms, 300);
        assert_int_equal(s.room_bytes, 4096);
        assert_int_equal(s.inner.size, 7);
        assert_null(s.inner.name.ptr);
        assert_null(s.more);
        assert_null(s.tags);
        assert_int_equal(s.map_count, 0);
        assert_null(s.raw.ptr);
        weir_document_free(doc);
    }
}

static void wrong_values_say_what_was_wanted(void **state)
{
    (void)state;
    FAULTS("flag: yes\n", "f.yaml:1:7: `flag` must be true or false, not the string \"yes\"\n");
    FAULTS("flag: \"true\"\n", "f.yaml:1:7: `flag` must be true or false, not the string "
                               "\"true\" (leave out the quotes)\n");
    FAULTS("i32: 2147483648\n",
           "f.yaml:1:6: `i32` must be between -2147483648 and 2147483647, not 2147483648\n");
    FAULTS("i32: 1.5\n", "f.yaml:1:6: `i32` must be an integer, not the number 1.5 "
                         "(for example 42)\n");
    FAULTS("i32: 010\n", "f.yaml:1:6: `i32` must be an integer, not the string \"010\" "
                         "(leave out the leading zero; octal is written 0o17)\n");
    FAULTS("i64: 1_000\n", "f.yaml:1:6: `i64` must be an integer, not the string \"1_000\" "
                           "(for example 42)\n");
    FAULTS("u16: -1\n", "f.yaml:1:6: `u16` must be between 0 and 65535, not -1\n");
    FAULTS("u32: 21\n", "f.yaml:1:6: `u32` must be between 10 and 20, not 21\n");
    FAULTS("u32: []\n", "f.yaml:1:6: `u32` must be an integer from 10 to 20, not a list "
                        "(for example 10)\n");
    FAULTS("u64: 18446744073709551616\n",
           "f.yaml:1:6: `u64` must be an integer, not the number 18446744073709551616 "
           "(for example 42)\n");
    FAULTS("f64: .inf\n", "f.yaml:1:6: `f64` must be a number, not the string \".inf\" "
                          "(for example 0.5)\n");
    FAULTS("f64: 1e999\n", "f.yaml:1:6: `f64` must be a number, not the string \"1e999\" "
                           "(for example 0.5)\n");
    FAULTS("text: [a]\n", "f.yaml:1:7: `text` must be a string, not a list "
                          "(for example \"text\")\n");
    FAULTS("level: wran\n", "f.yaml:1:8: `level` must be one of debug, info, warn, not the "
                            "string \"wran\" (did you mean `warn`?)\n");
    FAULTS("wait: 300\n", "f.yaml:1:7: `wait` must be a duration, not the number 300 "
                          "(a number with its unit, for example 300ms, 5s, 1m or 1h)\n");
    FAULTS("wait: 50d\n", "f.yaml:1:7: `wait` must be between 0ms and 4294967295ms, not 50d\n");
    FAULTS("room: 1 KiBi\n", "f.yaml:1:7: `room` must be a size in bytes, not the string "
                             "\"1 KiBi\" (for example 65536, 32KiB, 1MiB or 10MB)\n");
    FAULTS("inner: 5\n", "f.yaml:1:8: `inner` must be a mapping, not the number 5\n");
    FAULTS("inner: {}\n", "f.yaml:1:8: `name` is missing (a string of 1 to 8 characters)\n");
    FAULTS("inner: { name: '' }\n", "f.yaml:1:16: `name` must not be empty "
                                    "(for example \"text\")\n");
    FAULTS("inner: { name: abcdefghi }\n",
           "f.yaml:1:16: `name` must be a string of 1 to 8 characters, not of 9\n");
    FAULTS("tags: [a, b, c, d]\n", "f.yaml:1:7: `tags` must have 0 to 3 items, not 4\n");
    FAULTS("tags: [a, '']\n", "f.yaml:1:11: `tags[1]` must not be empty "
                              "(for example \"text\")\n");
    FAULTS("map: [1]\n", "f.yaml:1:6: `map` must be a mapping, not a list\n");
    FAULTS("numbers: {x: 6}\n", "f.yaml:1:14: `x` must be between -5 and 5, not 6\n");
    FAULTS("list: [~]\n", "f.yaml:1:8: `list[0]` must be a mapping, not null\n");
    FAULTS("just text", "f.yaml:1:1: the document must be a mapping, not the string "
                        "\"just text\"\n");
}

static void keys_are_held_to_the_description(void **state)
{
    (void)state;
    FAULTS("waits: 1s\n", "f.yaml:1:1: `waits` is not a known key (did you mean `wait`?)\n");
    FAULTS("inner: { name: a, zzzz: 1 }\n",
           "f.yaml:1:19: `zzzz` is not a known key (known keys: name, size)\n");
    FAULTS("i32: 1\nflag: true\ni32: 2\n", "f.yaml:3:1: `i32` is given twice, first at line 1\n");
    FAULTS("map: { a: {name: x}, a: {name: y} }\n",
           "f.yaml:1:22: `a` is given twice, first at line 1\n");
    FAULTS("\"i\\n32\": 1\n", "f.yaml:1:1: `i\\n32` is not a known key (did you mean `i32`?)\n");
}

static void yaml_that_hides_its_meaning_is_refused(void **state)
{
    (void)state;
    FAULTS("i32: &one 1\n", "f.yaml:1:6: anchors (`&name`) are not supported "
                            "(write the value out where it is needed)\n");
    FAULTS("i32: &a 1\ni64: *a\n",
           "f.yaml:1:6: anchors (`&name`) are not supported "
           "(write the value out where it is needed)\n"
           "f.yaml:2:6: aliases (`*name`) are not supported (write the value out)\n");
    FAULTS("map:\n  *a : { name: x }\n",
           "f.yaml:2:3: aliases (`*name`) are not supported (write the value out)\n");
    FAULTS("i32: !!int 1\n", "f.yaml:1:6: tags (`!name`) are not supported "
                             "(leave it out: the key says the type)\n");
    FAULTS("inner:\n  <<: {name: x}\n  name: y\n",
           "f.yaml:2:3: merge keys (`<<`) are not supported (write the keys out)\n");
    FAULTS("i32: 1\n---\ni64: 2\n", "f.yaml:2:1: only one document is allowed "
                                    "(remove what follows, with its `---`)\n");
    FAULTS("{[a]: 1}\n", "f.yaml:1:2: a list or a mapping can't be a key "
                         "(write a plain word as the key)\n");
    FAULTS("i32: 1\n\ti64: 2\n",
           "f.yaml:2:1: not YAML: while scanning a plain scalar, found a tab character that "
           "violates indentation (indent with spaces)\n");
    FAULTS("text: @home\n",
           "f.yaml:1:7: not YAML: while scanning for the next token, found character that "
           "cannot start any token (indent with spaces, and put text that begins with a special "
           "character in quotes)\n");
    FAULTS("tags: [a\n", "f.yaml:2:1: not YAML: while parsing a flow sequence, did not find "
                         "expected ',' or ']'\n");
    FAULTS("text: \xff\n", "f.yaml:1:7: not YAML: invalid leading UTF-8 octet "
                           "(save the file as UTF-8)\n");
}

static void all_faults_are_told_at_once_in_order(void **state)
{
    (void)state;
    FAULTS("i32: x\n"
           "zork: 1\n"
           "inner: &a { size: 101 }\n"
           "i32: 2\n"
           "tags: [toolong]\n",
           "f.yaml:1:6: `i32` must be an integer, not the string \"x\" (for example 42)\n"
           "f.yaml:2:1: `zork` is not a known key (known keys: flag, i32, i64, u16, u32, u64, f64, "
           "text, level, wait, room, inner, more, tags, list, map, numbers, raw)\n"
           "f.yaml:3:8: anchors (`&name`) are not supported "
           "(write the value out where it is needed)\n"
           "f.yaml:3:8: `name` is missing (a string of 1 to 8 characters)\n"
           "f.yaml:3:19: `size` must be between 0 and 100, not 101\n"
           "f.yaml:4:1: `i32` is given twice, first at line 1\n"
           "f.yaml:5:8: `tags[0]` must be a string of 1 to 4 characters, not of 7\n");
}

static void faults_are_bounded_and_the_rest_counted(void **state)
{
    weir_document *doc = weir_document_new("f.yaml");
    static char text[8192];
    struct sample s;
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 100; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "unknown_%d: 1\n", i);
    assert_int_equal(weir_document_yaml(doc, weir_str_from(text, len), &sample_type, &s),
                     WEIR_ECONFIG);
    assert_int_equal(weir_document_faults(doc).count, WEIR_FAULTS_MAX);
    assert_int_equal(weir_document_faults(doc).left_out, 100 - WEIR_FAULTS_MAX);
    weir_document_free(doc);
}

static void depth_and_size_are_bounded(void **state)
{
    static char text[1024];
    weir_document *doc;
    struct sample s;

    (void)state;
    memset(text, '[', 200);
    memcpy(text, "raw: ", 5);
    text[200] = '\0';
    FAULTS(text, "f.yaml:1:69: more than 64 lists and mappings inside each other\n");

    doc = weir_document_new("f.yaml", .max_bytes = 10);
    assert_int_equal(weir_document_yaml(doc, WEIR_S("i32: 12345678"), &sample_type, &s),
                     WEIR_ECONFIG);
    assert_str(weir_document_faults(doc).list[0].message,
               "the document has 13 bytes, the limit is 10");
    weir_document_free(doc);
}

static void places_are_known_afterwards(void **state)
{
    struct sample s;
    weir_document *doc = sample_yaml("list:\n"
                                     "  - name: a\n"
                                     "  - { name: b }\n"
                                     "map:\n"
                                     "  a/b~c: { name: x }\n",
                                     &s);
    uint32_t line, column;
    char text[512];

    (void)state;
    assert_true(weir_document_place(doc, "/list/1/name", &line, &column));
    assert_int_equal(line, 3);
    assert_int_equal(column, 13);
    assert_true(weir_document_place(doc, "/map/a~1b~0c/name", &line, &column));
    assert_int_equal(line, 5);
    assert_false(weir_document_place(doc, "/list/0/size", &line, &column));
    assert_int_equal(line, 2);
    assert_false(weir_document_place(doc, "/list/99999999999999999999999/x", &line, &column));
    assert_int_equal(line, 2);
    assert_true(weir_document_place(doc, "", &line, &column));
    assert_int_equal(line, 1);

    weir_document_fault(doc, "/map/a~1b~0c/name", NULL, "there is no `%s`", "x");
    weir_document_fault(doc, "/list/0", "remove it", "is unused");
    weir_document_print(doc, text, sizeof text);
    assert_string_equal(text, "f.yaml:2:5: is unused (remove it)\n"
                              "f.yaml:5:18: there is no `x`\n");
    assert_str(weir_document_faults(doc).list[1].path, "/map/a~1b~0c/name");
    assert_int_equal(weir_document_print(doc, text, 10), 34 + 29);
    assert_string_equal(text, "f.yaml:2:");
    weir_document_free(doc);
}

static void paths_point_to_the_value(void **state)
{
    weir_document *doc = weir_document_new("f.yaml");
    struct sample s;

    (void)state;
    assert_int_equal(weir_document_yaml(doc,
                                        WEIR_S("list: [{name: a}, {name: b, size: z}]\n"
                                               "map: {'x/y': {name: c, name: d}}\n"),
                                        &sample_type, &s),
                     WEIR_ECONFIG);
    assert_int_equal(weir_document_faults(doc).count, 2);
    assert_str(weir_document_faults(doc).list[0].path, "/list/1/size");
    assert_str(weir_document_faults(doc).list[1].path, "/map/x~1y/name");
    weir_document_free(doc);
}

struct span {
    int64_t min, max;
    struct sample_inner inner;
};

static void min_is_not_above_max(const void *value, weir_checker *checker)
{
    const struct span *span = value;

    if (span->min > span->max)
        weir_check_fault(checker, "min", "make it at most `max`", "`min` is above `max`: %d > %d",
                         (int)span->min, (int)span->max);
    if (span->inner.size == 13)
        weir_check_fault(checker, "inner/size", NULL, "`size` brings bad luck");
}

static WEIR_TYPE(span_type, struct span, WEIR_CHECK(min_is_not_above_max), WEIR_I64(min),
                 WEIR_I64(max), WEIR_OBJECT(inner, &sample_inner_type, .optional = true));

static void rules_see_the_whole_struct(void **state)
{
    (void)state;
    sample_yaml_faults(&span_type, sizeof(struct span), "max: 1\nmin: 2\n",
                       "f.yaml:2:6: `min` is above `max`: 2 > 1 (make it at most `max`)\n");
    sample_yaml_faults(&span_type, sizeof(struct span),
                       "max: 3\nmin: 2\ninner: { name: a, size: 13 }\n",
                       "f.yaml:3:25: `size` brings bad luck\n");
    /* A struct with a fault of its own is not given to its rules. */
    sample_yaml_faults(&span_type, sizeof(struct span), "max: x\nmin: 2\n",
                       "f.yaml:1:6: `max` must be an integer, not the string \"x\" "
                       "(for example 42)\n");
    sample_json_faults(&span_type, sizeof(struct span), "{\"max\":1,\"min\":2}",
                       "body: /min: `min` is above `max`: 2 > 1 (make it at most `max`)\n");
}

struct login {
    weir_str user, password;
};

static WEIR_TYPE(login_type, struct login,
                 WEIR_STR(user, WEIR_LENGTH(3, SIZE_MAX), .help = "the name you log in with"),
                 WEIR_STR(password, WEIR_LENGTH(8, 64), .format = WEIR_UUID, .secret = true));

static void help_is_the_hint_and_secrets_are_not_shown(void **state)
{
    (void)state;
    sample_yaml_faults(&login_type, sizeof(struct login), "user: [1]\npassword: hunter2-hunter2\n",
                       "f.yaml:1:7: `user` must be a string of at least 3 characters, not a list "
                       "(the name you log in with)\n"
                       "f.yaml:2:11: `password` must be a UUID, not a string "
                       "(for example 6ba7b810-9dad-11d1-80b4-00c04fd430c8)\n");
    sample_yaml_faults(&login_type, sizeof(struct login), "user: ab\n",
                       "f.yaml:1:1: `password` is missing (a UUID)\n"
                       "f.yaml:1:7: `user` must be a string of at least 3 characters, not of 2 "
                       "(the name you log in with)\n");
}

static void a_wrong_size_or_a_second_use_is_refused(void **state)
{
    weir_document *doc = weir_document_new("f.yaml");
    struct sample s;
    char text[256];

    (void)state;
    assert_int_equal(weir_document_yaml(doc, WEIR_S("i32: 1"), &sample_inner_type, &s),
                     WEIR_EWRONGUSE);
    weir_error_print(text, sizeof text);
    assert_non_null(strstr(text, "struct sample_inner is described with"));
    assert_int_equal(weir_document_yaml(doc, WEIR_S("i32: 1"), &sample_type, &s), WEIR_EWRONGUSE);
    weir_document_free(doc);
    weir_document_free(NULL);
}

/* Large mappings go through a hash map to find keys given twice. */
static void large_mappings_are_decoded_and_checked(void **state)
{
    static char text[65536];
    weir_document *doc;
    struct sample s;
    size_t len = (size_t)snprintf(text, sizeof text, "numbers:\n");

    (void)state;
    for (int i = 0; i < 1000; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "  key%d: %d\n", i, i % 5);
    doc = sample_yaml(text, &s);
    assert_int_equal(s.numbers_count, 1000);
    assert_str(s.numbers[999].key, "key999");
    weir_document_free(doc);
    snprintf(text + len, sizeof text - len, "  key7: 1\n");
    FAULTS(text, "f.yaml:1002:3: `key7` is given twice, first at line 9\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_decoded),
        cmocka_unit_test(what_is_absent_has_its_default),
        cmocka_unit_test(wrong_values_say_what_was_wanted),
        cmocka_unit_test(keys_are_held_to_the_description),
        cmocka_unit_test(yaml_that_hides_its_meaning_is_refused),
        cmocka_unit_test(all_faults_are_told_at_once_in_order),
        cmocka_unit_test(faults_are_bounded_and_the_rest_counted),
        cmocka_unit_test(depth_and_size_are_bounded),
        cmocka_unit_test(places_are_known_afterwards),
        cmocka_unit_test(paths_point_to_the_value),
        cmocka_unit_test(rules_see_the_whole_struct),
        cmocka_unit_test(help_is_the_hint_and_secrets_are_not_shown),
        cmocka_unit_test(a_wrong_size_or_a_second_use_is_refused),
        cmocka_unit_test(large_mappings_are_decoded_and_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
