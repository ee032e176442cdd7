/* Preloaded into a server: counts its calls to the general heap in a file that others can map.
 *
 * Why: "a warm request allocates nothing" is a claim about a whole program with its libraries, so
 * it is counted below them. The file named by WEIR_MALLOC_COUNT holds two 64-bit numbers: calls
 * that allocate, and bytes asked for. Frees are not counted. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define COUNTED __attribute__((visibility("default")))

struct counts {
    _Atomic uint64_t calls, bytes;
};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);

static struct counts early;                 /* until the file is mapped */
static struct counts *counts = &early;

__attribute__((constructor)) static void counts_map(void)
{
    const char *path = getenv("WEIR_MALLOC_COUNT");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at;

    if (fd < 0)
        return;
    at = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED) {
        counts = at;
        atomic_fetch_add(&counts->calls, atomic_load(&early.calls));
        atomic_fetch_add(&counts->bytes, atomic_load(&early.bytes));
    }
}

static void count(size_t bytes)
{
    atomic_fetch_add_explicit(&counts->calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counts->bytes, bytes, memory_order_relaxed);
}

COUNTED void *malloc(size_t size)
{
    count(size);
    return __libc_malloc(size);
}

COUNTED void *calloc(size_t n, size_t size)
{
    count(n * size);
    return __libc_calloc(n, size);
}

COUNTED void *realloc(void *old, size_t size)
{
    count(size);
    return __libc_realloc(old, size);
}

COUNTED void *memalign(size_t align, size_t size)
{
    count(size);
    return __libc_memalign(align, size);
}

COUNTED void *aligned_alloc(size_t align, size_t size)
{
    count(size);
    return __libc_memalign(align, size);
}

COUNTED int posix_memalign(void **ret, size_t align, size_t size)
{
    void *at;

    count(size);
    at = __libc_memalign(align, size);
    if (!at)
        return ENOMEM;
    *ret = at;
    return 0;
}
