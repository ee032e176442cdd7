/* One struct with a member of every kind, and the decoding of texts into it that
 * the tests share. */
#ifndef TYPE_SAMPLE_H
#define TYPE_SAMPLE_H

#include <weir/type.h>

enum sample_level { SAMPLE_DEBUG = -1, SAMPLE_INFO = 5, SAMPLE_WARN = 9 };

struct sample_inner {
    weir_str name;
    int32_t size;
};

struct sample_entry {
    weir_str key;
    struct sample_inner value;
};

struct sample_number {
    weir_str key;
    int64_t value;
};

struct sample {
    bool flag;
    int32_t i32;
    int64_t i64;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    double f64;
    weir_str text;
    enum sample_level level;
    uint32_t wait_ms;
    uint64_t room_bytes;
    struct sample_inner inner;
    struct sample_inner *more;
    weir_str *tags;
    size_t tags_count;
    struct sample_inner *list;
    size_t list_count;
    struct sample_entry *map;
    size_t map_count;
    struct sample_number *numbers;
    size_t numbers_count;
    weir_str raw;
};

extern const weir_enum sample_levels;
extern const weir_type sample_inner_type;
extern const weir_type sample_type; /* all optional */

/* Decode text, which must have faults, and compare all of them as printed. */
void sample_yaml_faults(const weir_type *type, size_t size, const char *text, const char *expected);
void sample_json_faults(const weir_type *type, size_t size, const char *text, const char *expected);

/* Decode text, which must be in order; the document owns what value points to. */
weir_document *sample_yaml(const char *text, struct sample *value);
weir_document *sample_json(const char *text, struct sample *value);

#endif
