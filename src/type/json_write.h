/* JSON written piece by piece into a sink: no document is built for it. */
#ifndef TYPE_JSON_WRITE_H
#define TYPE_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "type/sink.h"

void json_write_null(struct sink *sink);
void json_write_bool(struct sink *sink, bool value);
void json_write_i64(struct sink *sink, int64_t value);
void json_write_u64(struct sink *sink, uint64_t value);
/* The shortest text that reads back as the same double. False, and nothing
 * written, for a NaN or an infinity: JSON has no word for them. */
bool json_write_f64(struct sink *sink, double value);
/* A string with its quotes; what is not UTF-8 becomes U+FFFD. */
void json_write_str(struct sink *sink, weir_str value);

#endif
