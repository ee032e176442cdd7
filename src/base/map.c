/* The hash map; see map.h.
 *
 * Linear probing at a load of at most three quarters. A removal moves the entries
 * behind it back instead of leaving a mark, so that a map that lives long does
 * not decay, and a look-up always ends at an empty place.
 *
 * Invariants: no empty place lies between an entry's home (hash & (room - 1))
 * and the entry; count * 4 <= room * 3. */
#include "base/map.h"

#include <errno.h>

#include "base/alloc.h"

#define MAP_ROOM_MIN 8

void map_init(struct map *map, uint64_t seed)
{
    *map = (struct map){ .seed = seed };
}

void map_done(struct map *map)
{
    if (!map)
        return;
    base_free(map->entries);
    map->entries = NULL;
    map->count = map->room = 0;
}

/* The entry with that key, or the empty place where it would go. */
static struct map_entry *map_place(const struct map *map, weir_str key, uint64_t hash)
{
    size_t mask = map->room - 1;

    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        struct map_entry *entry = &map->entries[at];

        if (!entry->hash || (entry->hash == hash && weir_str_eq(entry->key, key)))
            return entry;
    }
}

void *map_get(const struct map *map, weir_str key)
{
    struct map_entry *entry;

    if (!map->count)
        return NULL;
    entry = map_place(map, key, hash_bytes(map->seed, key.ptr, key.len));
    return entry->hash ? entry->value : NULL;
}

static int map_grow(struct map *map)
{
    struct map bigger = *map;

    bigger.room = map->room ? map->room * 2 : MAP_ROOM_MIN;
    bigger.entries = base_calloc(bigger.room, sizeof *bigger.entries);
    if (!bigger.entries)
        return -ENOMEM;
    for (size_t i = 0; i < map->room; i++)
        if (map->entries[i].hash)
            *map_place(&bigger, map->entries[i].key, map->entries[i].hash) = map->entries[i];
    base_free(map->entries);
    *map = bigger;
    return 0;
}

int map_put(struct map *map, weir_str key, void *value)
{
    uint64_t hash = hash_bytes(map->seed, key.ptr, key.len);

    if (map->count && map_place(map, key, hash)->hash)
        return -EEXIST;
    if ((map->count + 1) * 4 > map->room * 3) {
        int rc = map_grow(map);

        if (rc < 0)
            return rc;
    }
    *map_place(map, key, hash) = (struct map_entry){ .key = key, .value = value, .hash = hash };
    map->count++;
    return 0;
}

/* Close the gap at hole: an entry behind it moves there unless its home lies
 * between the two. */
static void map_close_gap(struct map *map, size_t hole)
{
    size_t mask = map->room - 1;

    for (size_t at = (hole + 1) & mask; map->entries[at].hash; at = (at + 1) & mask) {
        size_t home = map->entries[at].hash & mask;

        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->entries[hole] = map->entries[at];
            hole = at;
        }
    }
    map->entries[hole] = (struct map_entry){ 0 };
}

void *map_remove(struct map *map, weir_str key)
{
    struct map_entry *entry;
    void *value;

    if (!map->count)
        return NULL;
    entry = map_place(map, key, hash_bytes(map->seed, key.ptr, key.len));
    if (!entry->hash)
        return NULL;
    value = entry->value;
    map_close_gap(map, (size_t)(entry - map->entries));
    map->count--;
    return value;
}

bool map_next(const struct map *map, size_t *at, struct map_entry **ret_entry)
{
    while (*at < map->room) {
        struct map_entry *entry = &map->entries[(*at)++];

        if (entry->hash) {
            *ret_entry = entry;
            return true;
        }
    }
    return false;
}
