/* SipHash-1-3: a keyed hash that a peer who picks the keys can't steer.
 *
 * Written after the description in "SipHash: a fast short-input PRF" (Aumasson
 * and Bernstein, 2012), with one round a word and three at the end, the variant
 * that Rust and Python use for their tables. */
#include "base/map.h"

#include <string.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

/* Words are little-endian in the description; so that a seed gives the same
 * order everywhere, they are here as well. */
static inline uint64_t sip_load(const unsigned char *at, size_t len)
{
    uint64_t word = 0;

    memcpy(&word, at, len);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

uint64_t siphash13(uint64_t k0, uint64_t k1, const void *data, size_t len)
{
    const unsigned char *at = data;
    struct sip s = {
        .v0 = k0 ^ 0x736f6d6570736575u, /* "somepseudorandomlygeneratedbytes" */
        .v1 = k1 ^ 0x646f72616e646f6du,
        .v2 = k0 ^ 0x6c7967656e657261u,
        .v3 = k1 ^ 0x7465646279746573u,
    };
    size_t left = len;

    for (; left >= 8; left -= 8, at += 8)
        sip_word(&s, sip_load(at, 8));
    sip_word(&s, (uint64_t)len << 56 | (left ? sip_load(at, left) : 0));
    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t hash_bytes(uint64_t seed, const void *data, size_t len)
{
    /* The second half of the key is the seed spread by an odd multiplier: 64
     * unknown bits are enough against a peer who never sees a hash. */
    uint64_t hash = siphash13(seed, seed * 0x9e3779b97f4a7c15u + 1, data, len);

    return hash ? hash : 1;
}
