/* Memory that is ours but that nobody may touch: free objects, free buffers, the
 * unused end of a chunk. With AddressSanitizer a touch is reported as the use
 * after free that it is; without it these are nothing. */
#ifndef BASE_POISON_H
#define BASE_POISON_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISON_ON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_ON 1
#endif
#endif
#ifndef POISON_ON
#define POISON_ON 0
#endif

#if POISON_ON
#include <sanitizer/asan_interface.h>
#endif

static inline void poison_memory(const void *at, size_t bytes)
{
#if POISON_ON
    __asan_poison_memory_region(at, bytes);
#else
    (void)at;
    (void)bytes;
#endif
}

static inline void unpoison_memory(const void *at, size_t bytes)
{
#if POISON_ON
    __asan_unpoison_memory_region(at, bytes);
#else
    (void)at;
    (void)bytes;
#endif
}

#endif
