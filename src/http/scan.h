/* The scanners under the HTTP/1.1 parsers and writers: classes of bytes, and the
 * loops that find where a name, a value or a target ends. Scalar, eight bytes at
 * a time where it pays; vector forms of scan_name() and scan_value() are in
 * scan_vector.h.
 *
 * Each returns the first byte of [p, end) that does not belong, or end. */
#ifndef HTTP_SCAN_H
#define HTTP_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    SCAN_TOKEN = 1,  /* tchar (RFC 9110, section 5.6.2) */
    SCAN_PATH = 2,   /* what a path may hold; see scan.c */
    SCAN_QUERY = 4,  /* what a query may hold */
    SCAN_HOST = 8,   /* letters, digits, - . _ ~ */
    SCAN_HEX = 16,   /* hexadecimal digit */
    SCAN_METHOD = 32 /* upper-case letters, '-' and '_' */
};

extern const uint8_t scan_class[256];

#define SCAN_ONES 0x0101010101010101u
#define SCAN_HIGHS 0x8080808080808080u

static inline uint64_t scan_load(const char *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof w);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

/* The high bit of each byte below n (n <= 128); exact up to and including the
 * lowest byte that is marked, which is the only one looked at. */
static inline uint64_t scan_below(uint64_t w, uint8_t n)
{
    return (w - SCAN_ONES * n) & ~w & SCAN_HIGHS;
}

static inline uint64_t scan_equal(uint64_t w, uint8_t byte)
{
    return scan_below(w ^ (SCAN_ONES * byte), 1);
}

static inline bool scan_is(char c, uint8_t classes)
{
    return scan_class[(uint8_t)c] & classes;
}

static inline const char *scan_while(const char *p, const char *end, uint8_t classes)
{
    while (end - p >= 4) {
        if (!scan_is(p[0], classes))
            return p;
        if (!scan_is(p[1], classes))
            return p + 1;
        if (!scan_is(p[2], classes))
            return p + 2;
        if (!scan_is(p[3], classes))
            return p + 3;
        p += 4;
    }
    while (p < end && scan_is(*p, classes))
        p++;
    return p;
}

/* A field's name ends at a colon; a space, or any control byte, is found as
 * well. What lies before need not be a token yet. */
static inline const char *scan_name(const char *p, const char *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t w = scan_load(p);
        uint64_t stop = scan_below(w, 0x21) | scan_equal(w, ':');

        if (stop)
            return p + (__builtin_ctzll(stop) >> 3);
    }
    while (p < end && (uint8_t)*p > 0x20 && *p != ':')
        p++;
    return p;
}

static inline bool scan_value_byte(char c)
{
    return ((uint8_t)c >= 0x20 && c != 0x7f) || c == '\t';
}

/* A field's value (RFC 9110, section 5.5): VCHAR, obs-text, SP and HTAB. */
static inline const char *scan_value(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t w = scan_load(p);
        uint64_t stop = scan_below(w, 0x20) | scan_equal(w, 0x7f);

        if (!stop) {
            p += 8;
            continue;
        }
        p += __builtin_ctzll(stop) >> 3;
        if (*p != '\t')
            return p;
        p++;
    }
    while (p < end && scan_value_byte(*p))
        p++;
    return p;
}

#endif
