/* See plain.h. Why its own: snprintf() may take locks and allocate, and a handler may
 * neither. len never exceeds the room. */
#include "ops/plain.h"

#include <string.h>

static void put(struct plain *p, const char *bytes, size_t len)
{
    if (len > sizeof(p->bytes) - p->len)
        len = sizeof(p->bytes) - p->len;
    memcpy(p->bytes + p->len, bytes, len);
    p->len += len;
}

void plain_text(struct plain *p, const char *text)
{
    put(p, text, strlen(text));
}

void plain_column(struct plain *p, const char *text, size_t width)
{
    size_t len = strlen(text);

    put(p, text, len);
    for (; len < width; len++)
        put(p, " ", 1);
}

static void put_digits(struct plain *p, uint64_t n, unsigned base, unsigned least)
{
    char text[24];
    size_t at = sizeof(text);

    do {
        text[--at] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n > 0 || sizeof(text) - at < least);
    put(p, text + at, sizeof(text) - at);
}

void plain_number(struct plain *p, int64_t n)
{
    if (n < 0)
        put(p, "-", 1);
    put_digits(p, n < 0 ? 0 - (uint64_t)n : (uint64_t)n, 10, 1);
}

void plain_hex(struct plain *p, uint64_t n)
{
    put(p, "0x", 2);
    put_digits(p, n, 16, 1);
}

void plain_ms(struct plain *p, int64_t ns)
{
    if (ns < 0)
        put(p, "-", 1);
    ns = ns < 0 ? -ns : ns;
    put_digits(p, (uint64_t)ns / 1000000, 10, 1);
    put(p, ".", 1);
    put_digits(p, (uint64_t)ns / 1000 % 1000, 10, 3);
    put(p, " ms", 3);
}
