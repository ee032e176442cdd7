/* A C struct written as JSON by its description, straight into a sink: an arena's
 * block, or the buffers of a connection. */
#ifndef TYPE_ENCODE_H
#define TYPE_ENCODE_H

#include <weir/type.h>
#include <weir/value.h>

#include "type/sink.h"

/* 0, -EDOM, -EINVAL, -ELOOP, WEIR_EWRONGUSE or -ENOMEM, as weir_json_encode(). What
 * was written before a failure stays in the sink. */
int json_encode(struct sink *sink, const weir_type *type, const void *value, size_t size);
int json_encode_array(struct sink *sink, const weir_type *type, const void *values, size_t count,
                      size_t size);

/* 0, -EDOM or -ENOMEM. */
int json_write_value(struct sink *sink, const weir_value *value);
int json_write_object(struct sink *sink, const weir_kv *members, size_t count);

#endif
