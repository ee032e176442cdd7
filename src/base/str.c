/* The comparisons of slices that are too long for a header.
 *
 * Field names are compared without regard to case in every request, so that is
 * done eight bytes at a time; only A to Z are folded (RFC 9110, section 5.1:
 * names are tokens, hence ASCII), no locale is asked. */
#include <weir/str.h>

#define ONES 0x0101010101010101u

static uint64_t load_word(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

/* Each byte in A..Z gets its bit 0x20. The sums stay below 0x100 a byte, so no
 * byte carries into its neighbour. */
static uint64_t fold_word(uint64_t word)
{
    uint64_t low = word & (0x7f * ONES);
    uint64_t from_a = low + (0x80 - 'A') * ONES;
    uint64_t past_z = low + (0x7f - 'Z') * ONES;
    uint64_t upper = (from_a ^ past_z) & ~word & (0x80 * ONES);

    return word | upper >> 2;
}

static unsigned char fold_byte(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool weir_str_eq_nocase(weir_str a, weir_str b)
{
    size_t at = 0;

    if (a.len != b.len)
        return false;
    if (a.len < sizeof(uint64_t)) {
        for (; at < a.len; at++)
            if (fold_byte(a.ptr[at]) != fold_byte(b.ptr[at]))
                return false;
        return true;
    }
    for (; at + sizeof(uint64_t) < a.len; at += sizeof(uint64_t))
        if (fold_word(load_word(a.ptr + at)) != fold_word(load_word(b.ptr + at)))
            return false;
    /* The last word overlaps the one before rather than leaving a tail of bytes. */
    at = a.len - sizeof(uint64_t);
    return fold_word(load_word(a.ptr + at)) == fold_word(load_word(b.ptr + at));
}

int weir_str_cmp(weir_str a, weir_str b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared ? memcmp(a.ptr, b.ptr, shared) : 0;

    return order ? order : (a.len > b.len) - (a.len < b.len);
}
