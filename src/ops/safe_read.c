/* The kernel copies, as it checks what it copies. Where a sandbox forbids
 * process_vm_readv(), a pipe does the same by a detour. */
#include "ops/safe_read.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE_BYTES 4096

static bool read_by_pipe(char *to, const char *from, size_t len)
{
    int ends[2];
    bool ok = true;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return false;
    while (ok && len > 0) {
        size_t part = len < PIPE_BUF ? len : PIPE_BUF;

        ok = write(ends[1], from, part) == (ssize_t)part &&
             read(ends[0], to, part) == (ssize_t)part;
        from += part;
        to += part;
        len -= part;
    }
    close(ends[0]);
    close(ends[1]);
    return ok;
}

bool safe_read(void *to, const void *from, size_t len)
{
    struct iovec local = { to, len }, remote = { (void *)(uintptr_t)from, len };
    int saved = errno;
    ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
    bool ok = got == (ssize_t)len;

    if (got < 0 && (errno == ENOSYS || errno == EPERM))
        ok = read_by_pipe(to, from, len);
    errno = saved;
    return ok;
}

static void make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ')
            *text = ' ';
}

/* Page by page: behind a string's end there may be nothing. */
void safe_read_text(char *to, size_t size, const char *from)
{
    size_t at = 0;

    to[0] = '\0';
    while (from && at + 1 < size) {
        size_t part = PAGE_BYTES - ((uintptr_t)from + at) % PAGE_BYTES;

        if (part > size - 1 - at)
            part = size - 1 - at;
        if (!safe_read(to + at, from + at, part))
            break;
        if (memchr(to + at, '\0', part))
            at = size;
        else
            at += part;
    }
    if (at < size)
        to[at] = '\0';
    make_printable(to);
}

void safe_read_slice(char *to, size_t size, weir_str from)
{
    size_t len = from.len < size ? from.len : size - 1;

    if (!from.ptr || !safe_read(to, from.ptr, len))
        len = 0;
    to[len] = '\0';
    make_printable(to);
}
