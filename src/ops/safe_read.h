/* Reading memory that is not one's own to read: another thread changes it meanwhile, or
 * nothing is there (any more). What is read may be torn; reading it never faults, and is
 * no data race to a sanitizer. Async-signal-safe. */
#ifndef OPS_SAFE_READ_H
#define OPS_SAFE_READ_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/str.h>

/* All of it; or false, with a part of it or nothing. */
bool safe_read(void *to, const void *from, size_t len);
/* A string, cut to size; "" when it can't be read. Bytes below a space become one. */
void safe_read_text(char *to, size_t size, const char *from);
void safe_read_slice(char *to, size_t size, weir_str from);

#endif
