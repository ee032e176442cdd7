/* Places named by the dynamic linker's tables, or by who knows more; see place.h. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "rt/place.h"

/* One for the process, as the runtime itself is. */
static struct {
    bool (*name)(const void *at, bool is_return, char *text, size_t size);
} better;

void place_named_by(bool (*name)(const void *at, bool is_return, char *text, size_t size))
{
    better.name = name;
}

bool place_name(const void *at, bool is_return, char *text, size_t size)
{
    const char *place = (const char *)at - is_return, *file;
    Dl_info info;

    if (!dladdr(place, &info)) {
        snprintf(text, size, "%p", at);
        return false;
    }
    if (better.name && better.name(at, is_return, text, size))
        return true;
    file = strrchr(info.dli_fname, '/');
    file = file ? file + 1 : info.dli_fname;
    if (info.dli_sname)
        snprintf(text, size, "%s", info.dli_sname);
    else
        snprintf(text, size, "%s+0x%zx", file, (size_t)(place - (const char *)info.dli_fbase));
    return true;
}
