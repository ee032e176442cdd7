/* Memory that is not there is read as nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "ops/safe_read.h"

#define PAGE 4096

/* A page with nothing behind it. */
static char *last_page(void)
{
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(munmap(pages + PAGE, PAGE), 0);
    return pages;
}

static void what_is_not_there_is_refused(void **state)
{
    char *page = last_page(), copy[16] = "untouched";
    uint64_t number = 77, read = 0;

    (void)state;
    assert_true(safe_read(&read, &number, sizeof(read)));
    assert_int_equal(read, 77);
    assert_false(safe_read(&read, NULL, sizeof(read)));
    assert_false(safe_read(&read, (const void *)UINTPTR_MAX, sizeof(read)));
    assert_int_equal(read, 77);
    assert_false(safe_read(copy, page + PAGE - 8, sizeof(copy)));
    munmap(page, PAGE);
}

static void a_string_ends_where_its_page_does(void **state)
{
    char *page = last_page(), text[16];

    (void)state;
    memcpy(page + PAGE - 6, "hello", 6);
    safe_read_text(text, sizeof(text), page + PAGE - 6);
    assert_string_equal(text, "hello");
    page[PAGE - 1] = '!'; /* its end is gone */
    safe_read_text(text, sizeof(text), page + PAGE - 6);
    assert_string_equal(text, "hello!");
    safe_read_text(text, 4, page + PAGE - 6);
    assert_string_equal(text, "hel");
    safe_read_text(text, sizeof(text), NULL);
    assert_string_equal(text, "");
    safe_read_text(text, sizeof(text), page + PAGE);
    assert_string_equal(text, "");
    munmap(page, PAGE);
}

static void a_slice_is_made_printable(void **state)
{
    char text[8];

    (void)state;
    safe_read_slice(text, sizeof(text), WEIR_S("a\nb"));
    assert_string_equal(text, "a b");
    safe_read_slice(text, sizeof(text), WEIR_S("longer than that"));
    assert_string_equal(text, "longer ");
    safe_read_slice(text, sizeof(text), weir_str_from((const char *)8, 5));
    assert_string_equal(text, "");
    safe_read_slice(text, sizeof(text), weir_str_from(NULL, 0));
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_there_is_refused),
        cmocka_unit_test(a_string_ends_where_its_page_does),
        cmocka_unit_test(a_slice_is_made_printable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
