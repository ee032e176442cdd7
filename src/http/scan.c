/* The classes of bytes behind scan.h, one table.
 *
 * Paths and queries take what RFC 3986, section 3.3, allows (pchar, '/', and '?'
 * in a query) but '%', which a target's parser must look behind; and beyond it
 * the few bytes that browsers send as they are, as the URL Standard has them do:
 * '[', ']' and '|' in both, '{', '}', '^', '`' and '\' in a query. None of them
 * delimits anything in a request. */
#include "http/scan.h"

/* clang-format off */
const uint8_t scan_class[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 7, 0, 1, 7, 1, 7, 7, 6, 6, 7, 7, 6, 47, 15, 6,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 6, 6, 0, 6, 0, 4,
    6, 63, 63, 63, 63, 63, 63, 47, 47, 47, 47, 47, 47, 47, 47, 47,
    47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 6, 4, 6, 5, 47,
    5, 31, 31, 31, 31, 31, 31, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 4, 7, 4, 15, 0,
    /* 0x80 and above belong to no class */
};
/* clang-format on */
