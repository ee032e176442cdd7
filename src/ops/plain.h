/* Text made in a signal handler: no heap, no locale, nothing that is not
 * async-signal-safe. What does not fit is left out. */
#ifndef OPS_PLAIN_H
#define OPS_PLAIN_H

#include <stddef.h>
#include <stdint.h>

#define PLAIN_BYTES 65536

struct plain {
    size_t len;
    char bytes[PLAIN_BYTES];
};

void plain_text(struct plain *p, const char *text);
/* Padded with spaces behind it, to a width. */
void plain_column(struct plain *p, const char *text, size_t width);
void plain_number(struct plain *p, int64_t n);
void plain_hex(struct plain *p, uint64_t n);
/* As in "12.345 ms". */
void plain_ms(struct plain *p, int64_t ns);

#endif
