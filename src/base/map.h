/* A hash map from text to pointers: open addressing, a seeded hash (keys come
 * from outside). Keys are not copied: they must live as long as their entry.
 *
 * Thread: one, or several that only read. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/str.h>

struct map_entry {
    weir_str key;
    void *value;
    uint64_t hash; /* 0: the place is empty */
};

struct map {
    struct map_entry *entries;
    size_t count, room; /* room is 0 or a power of two */
    uint64_t seed;
};

void map_init(struct map *map, uint64_t seed);
void map_done(struct map *map);
/* NULL when the key is not there. */
void *map_get(const struct map *map, weir_str key);
/* 0, -EEXIST when the key is there (nothing changed), or -ENOMEM. */
int map_put(struct map *map, weir_str key, void *value);
/* The value that was there, or NULL. */
void *map_remove(struct map *map, weir_str key);
/* Walk in no order: start with *at = 0; false at the end. The map must not be
 * changed during the walk (the entries' values may). */
bool map_next(const struct map *map, size_t *at, struct map_entry **ret_entry);

/* SipHash-1-3 with a key made of the seed; never 0. */
uint64_t hash_bytes(uint64_t seed, const void *data, size_t len);
/* SipHash-1-3 itself. */
uint64_t siphash13(uint64_t k0, uint64_t k1, const void *data, size_t len);

#endif
