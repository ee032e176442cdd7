/* The description of the shared struct; see sample.h. */
#include "type/sample.h"

WEIR_NAMES(sample_levels, { "debug", SAMPLE_DEBUG }, { "info", SAMPLE_INFO },
           { "warn", SAMPLE_WARN });

WEIR_TYPE(sample_inner_type, struct sample_inner, WEIR_STR(name, WEIR_LENGTH(1, 8)),
          WEIR_I32(size, WEIR_RANGE(0, 100), WEIR_DEFAULT(7)));

WEIR_TYPE(sample_type, struct sample, WEIR_BOOL(flag, .optional = true),
          WEIR_I32(i32, .optional = true), WEIR_I64(i64, .optional = true),
          WEIR_U16(u16, .optional = true), WEIR_U32(u32, WEIR_RANGE(10, 20), WEIR_DEFAULT(15)),
          WEIR_U64(u64, .optional = true), WEIR_F64(f64, WEIR_DEFAULT_F64(1.5)),
          WEIR_STR(text, WEIR_DEFAULT_TEXT("none")),
          WEIR_ENUM(level, &sample_levels, WEIR_DEFAULT(SAMPLE_INFO)),
          WEIR_DURATION_MS(wait_ms, .key = "wait", WEIR_DEFAULT(300)),
          WEIR_BYTES(room_bytes, .key = "room", WEIR_DEFAULT(4096)),
          WEIR_OBJECT(inner, &sample_inner_type, .optional = true),
          WEIR_OBJECT_PTR(more, &sample_inner_type),
          WEIR_ARRAY(tags, WEIR_STR_ITEM(WEIR_LENGTH(1, 4)), WEIR_LENGTH(0, 3), .optional = true),
          WEIR_ARRAY(list, WEIR_OBJECT_ITEM(&sample_inner_type), .optional = true),
          WEIR_MAP(map, &sample_inner_type, .optional = true),
          WEIR_MAP_OF(numbers, WEIR_I64_ITEM(WEIR_RANGE(-5, 5)), .optional = true),
          WEIR_JSON(raw, .optional = true));
