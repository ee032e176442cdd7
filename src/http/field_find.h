/* Finding a known field by its name: one multiply, one load, one comparison.
 *
 * The candidate comes from a perfect hash over the first four bytes, the last
 * four and the length; then the whole name is compared. Both work on bytes with
 * 0x20 set, which maps A-Z to a-z. Beside letters that maps only CR to '-' among
 * what the known names are made of, so a name may hold anything but CR (and may
 * not be empty): a match is then proof that it is a token. */
#ifndef HTTP_FIELD_FIND_H
#define HTTP_FIELD_FIND_H

#include <string.h>

#include "http/field_hash.inc"
#include "http/names.h"

extern const uint8_t http_field_slots[1 << FIELD_HASH_BITS];
extern const weir_str http_field_lower[HTTP_FIELD_ID_COUNT];

static inline uint32_t field_load4(const char *p)
{
    uint32_t w;

    memcpy(&w, p, sizeof w);
    return w;
}

static inline uint64_t field_load8(const char *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof w);
    return w;
}

static inline uint32_t field_hash(const char *name, size_t len)
{
    uint32_t a, b;

    if (len >= 4) {
        a = field_load4(name) | 0x20202020u;
        b = field_load4(name + len - 4) | 0x20202020u;
    } else {
        const char few[4] = { name[0], name[len > 1], name[len - 1], 0 };

        a = b = field_load4(few) | 0x20202020u;
    }
    return (a * FIELD_HASH_M1 + (b + (uint32_t)len) * FIELD_HASH_M2) >> (32 - FIELD_HASH_BITS);
}

/* lower holds len lower-case letters and '-'. The last step overlaps the one
 * before, so that no byte outside the name is read. */
static inline bool field_equal(const char *name, const char *lower, size_t len)
{
    const uint64_t mask = 0x2020202020202020u;
    uint64_t differs = 0;
    size_t i;

    if (len < 8) {
        if (len < 4) {
            for (i = 0; i < len; i++)
                differs |= (uint8_t)(name[i] | 0x20) ^ (uint8_t)lower[i];
            return differs == 0;
        }
        differs = (field_load4(name) | 0x20202020u) ^ field_load4(lower);
        differs |= (field_load4(name + len - 4) | 0x20202020u) ^ field_load4(lower + len - 4);
        return differs == 0;
    }
    for (i = 0; i + 8 < len; i += 8)
        differs |= (field_load8(name + i) | mask) ^ field_load8(lower + i);
    differs |= (field_load8(name + len - 8) | mask) ^ field_load8(lower + len - 8);
    return differs == 0;
}

static inline enum http_field_id field_find(const char *name, size_t len)
{
    enum http_field_id id = (enum http_field_id)http_field_slots[field_hash(name, len)];
    weir_str lower = http_field_lower[id];

    return lower.len == len && field_equal(name, lower.ptr, len) ? id : HTTP_FIELD_OTHER;
}

#endif
