/* What stands at an address, in words: for what is told of a mistake. */
#ifndef RT_PLACE_H
#define RT_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#define PLACE_BYTES 256

/* The function or object at an address, e.g. "take  src/app.c:12"; is_return: behind a call.
 * Where nothing better is known, "app+0x1234", for addr2line. false, and the bare address:
 * it is in no program or library. May be slow. */
bool place_name(const void *at, bool is_return, char *text, size_t size);
/* Who knows the program's debugging information; false when it does not know the place.
 * NULL: nobody. Set while no loop runs. */
void place_named_by(bool (*name)(const void *at, bool is_return, char *text, size_t size));

#endif
