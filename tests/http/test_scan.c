/* Every form of the scanners finds what a look at each byte finds: for each byte
 * that can end a scan, at each place, for each distance to the end. The text lies
 * right before a page without access, so that a byte read behind the end is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "http/scan_vector.h"

#define LENGTH_MAX 100

typedef const char *scan_fn(const char *p, const char *end);

#ifdef __x86_64__
SCAN_AVX2_CODE static const char *name_avx2(const char *p, const char *end)
{
    return scan_name_avx2(p, end);
}

SCAN_AVX2_CODE static const char *value_avx2(const char *p, const char *end)
{
    return scan_value_avx2(p, end);
}

static scan_fn *const names[SCAN_FORMS] = { scan_name, scan_name_sse2, name_avx2 };
static scan_fn *const values[SCAN_FORMS] = { scan_value, scan_value_sse2, value_avx2 };
#else
static scan_fn *const names[SCAN_FORMS] = { scan_name };
static scan_fn *const values[SCAN_FORMS] = { scan_value };
#endif

static bool name_byte(char c)
{
    return (uint8_t)c > 0x20 && c != ':';
}

/* The last LENGTH_MAX bytes before a page that can't be read. */
static char *text_end(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *block = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(block != MAP_FAILED);
    assert_int_equal(mprotect(block + page, page, PROT_NONE), 0);
    return block + page;
}

static void check(scan_fn *scan, bool (*belongs)(char c), char *end, size_t len)
{
    for (int byte = 0; byte < 256; byte++)
        for (size_t at = 0; at < len; at++) {
            char *text = end - len;

            text[at] = (char)byte;
            assert_ptr_equal(scan(text, end), belongs((char)byte) ? end : text + at);
            text[at] = 'a';
        }
    assert_ptr_equal(scan(end - len, end), end);
}

static void every_form_finds_the_same(void **state)
{
    char *end = text_end();

    (void)state;
    memset(end - LENGTH_MAX, 'a', LENGTH_MAX);
    for (enum scan_form form = 0; form < SCAN_FORMS; form++)
        for (size_t len = 0; scan_has(form) && len <= LENGTH_MAX; len++) {
            check(names[form], name_byte, end, len);
            check(values[form], scan_value_byte, end, len);
        }
}

/* The first of several is found, whatever stands behind it. */
static void the_first_is_found(void **state)
{
    static const char stops[] = "\n\r\x7f\x01:\t ";
    char *end = text_end(), *text = end - LENGTH_MAX;
    uint32_t random = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < LENGTH_MAX; i++) {
            random = random * 1664525 + 1013904223;
            text[i] = random >> 28 ? (char)(0x80 | random >> 8) : stops[(random >> 16) % 7];
        }
        for (enum scan_form form = 0; form < SCAN_FORMS; form++)
            if (scan_has(form)) {
                assert_ptr_equal(names[form](text, end), names[SCAN_WORDS](text, end));
                assert_ptr_equal(values[form](text, end), values[SCAN_WORDS](text, end));
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_finds_the_same),
        cmocka_unit_test(the_first_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
