/* Faults of one document while it is decoded: where, what, and what to write
 * instead. Collected up to WEIR_FAULTS_MAX; what comes after is only counted, so
 * a hostile document costs no more memory than that.
 *
 * A place in the document is a chain of frames on the decoder's stack: it costs
 * nothing until there is a fault to be told. */
#ifndef TYPE_FAULT_H
#define TYPE_FAULT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/type.h>

#include "base/arena.h"

/* From 1; 0 where it is not known. */
struct place {
    uint32_t line, column;
};

struct frame {
    const struct frame *up; /* NULL: the document itself is above */
    weir_str key;           /* in an object */
    size_t index;           /* in an array, when key.ptr is NULL */
};

struct faults {
    struct arena *arena;
    weir_fault *list;
    size_t count, room, left_out;
    bool no_memory;
};

void faults_init(struct faults *faults, struct arena *arena);

/* Is there no room for one more? It is then counted as left out: ask before the
 * texts of a fault are made. */
bool faults_full(struct faults *faults);

/* "<what at names> <the sentence>": the sentence begins with its verb. */
__attribute__((format(printf, 5, 6))) void faults_add(struct faults *faults, const struct frame *at,
                                                      struct place place, weir_str hint,
                                                      const char *fmt, ...);
/* The same with a message and a path of one's own. */
void faults_addv(struct faults *faults, weir_str path, struct place place, const char *hint,
                 const char *fmt, va_list args);

weir_faults faults_list(const struct faults *faults);

/* The JSON pointer to a frame; rest (may be "") is put below it. */
weir_str frame_pointer(struct arena *arena, const struct frame *at, const char *rest);

/* Text from outside, fit for a message: control bytes escaped, broken UTF-8
 * replaced, cut at max bytes with "…". */
weir_str text_show(struct arena *arena, weir_str text, size_t max);

#endif
