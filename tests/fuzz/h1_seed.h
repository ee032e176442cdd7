/* A number from an input, to cut that same input by: FNV-1a. */
#ifndef FUZZ_H1_SEED_H
#define FUZZ_H1_SEED_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t h1_seed(const uint8_t *data, size_t size)
{
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 1099511628211u;
    return hash;
}

#endif
