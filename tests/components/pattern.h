/* The bodies that the programs of this folder send each other: byte i is i % 251, so that each
 * side can make and check any length, and a piece that is lost, doubled or moved is seen. */
#ifndef TESTS_COMPONENTS_PATTERN_H
#define TESTS_COMPONENTS_PATTERN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <weir/str.h>

enum { PATTERN_CYCLE = 251, PATTERN_PIECE = 65536, PATTERN_BYTES = PATTERN_CYCLE + PATTERN_PIECE };

/* pattern has PATTERN_BYTES, made once: from any place a piece can be cut. */
static inline void pattern_make(char *pattern)
{
    for (unsigned i = 0; i < PATTERN_BYTES; i++)
        pattern[i] = (char)(unsigned char)(i % PATTERN_CYCLE);
}

/* At most PATTERN_PIECE bytes of a body of that length, from offset. */
static inline weir_str pattern_piece(const char *pattern, uint64_t offset, uint64_t length)
{
    uint64_t left = length - offset;
    weir_str piece = { pattern + offset % PATTERN_CYCLE,
                       (size_t)(left < PATTERN_PIECE ? left : PATTERN_PIECE) };

    return piece;
}

/* Does data stand at offset of a body? */
static inline bool pattern_fits(const char *pattern, uint64_t offset, weir_str data)
{
    while (data.len > 0) {
        weir_str piece = pattern_piece(pattern, offset, offset + data.len);

        if (memcmp(piece.ptr, data.ptr, piece.len) != 0)
            return false;
        offset += piece.len;
        data.ptr += piece.len;
        data.len -= piece.len;
    }
    return true;
}

#endif
