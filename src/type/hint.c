/* Suggestions by edit distance; see hint.h.
 *
 * The distance is that of optimal string alignment: insertion, deletion, change,
 * and two neighbours swapped, each 1; letters that differ in case are the same.
 * A name is near when about a third of the word, and no more than 3 letters, would
 * change. */
#include "type/hint.h"

#include "type/field.h"
#include "type/sink.h"

#define WORD_MAX 40

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c == '-' ? '_' : c;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t edit_distance(weir_str a, weir_str b)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b.len; j++)
        above[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *spare = before;

        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = lower(a.ptr[i - 1]) == lower(b.ptr[j - 1]);

            row[j] = least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + !same);
            if (i > 1 && j > 1 && lower(a.ptr[i - 1]) == lower(b.ptr[j - 2]) &&
                lower(a.ptr[i - 2]) == lower(b.ptr[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        before = above;
        above = row;
        row = spare;
    }
    return above[b.len];
}

void nearest_init(struct nearest *nearest, weir_str word)
{
    size_t limit = word.len < 5 ? 1 : least((word.len + 1) / 3, 3);

    *nearest = (struct nearest){ .word = word, .distance = limit + 1 };
}

void nearest_try(struct nearest *nearest, weir_str name)
{
    size_t distance;

    if (name.len > WORD_MAX || nearest->word.len > WORD_MAX)
        return;
    distance = edit_distance(nearest->word, name);
    if (distance < nearest->distance && distance < name.len) {
        nearest->distance = distance;
        nearest->best = name;
    }
}

weir_str nearest_hint(const struct nearest *nearest, struct arena *arena)
{
    if (!nearest->best.ptr)
        return WEIR_S("");
    return arena_format(arena, "did you mean `%.*s`?", WEIR_ARG(nearest->best));
}

weir_str hint_for_key(struct arena *arena, const weir_type *type, weir_str key)
{
    struct arena_sink sink;
    struct nearest nearest;
    const char *comma = "";

    nearest_init(&nearest, key);
    for (const weir_type_field *field = type->fields; field->kind != WEIR_KIND_END; field++) {
        if (field->kind != WEIR_KIND_CHECK)
            nearest_try(&nearest, field_key(field));
    }
    if (nearest.best.ptr)
        return nearest_hint(&nearest, arena);

    arena_sink_init(&sink, arena);
    sink_add(&sink.sink, WEIR_S("known keys: "));
    for (const weir_type_field *field = type->fields; field->kind != WEIR_KIND_END; field++) {
        if (field->kind == WEIR_KIND_CHECK)
            continue;
        sink_add(&sink.sink, weir_str_c(comma));
        sink_add(&sink.sink, field_key(field));
        comma = ", ";
    }
    return arena_sink_str(&sink);
}

weir_str enum_list(struct arena *arena, const weir_enum *names)
{
    struct arena_sink sink;

    arena_sink_init(&sink, arena);
    for (size_t i = 0; i < names->count; i++) {
        if (i)
            sink_add(&sink.sink, WEIR_S(", "));
        sink_add(&sink.sink, weir_str_c(names->names[i].name));
    }
    return arena_sink_str(&sink);
}

weir_str hint_for_name(struct arena *arena, const weir_enum *names, weir_str name)
{
    struct nearest nearest;

    nearest_init(&nearest, name);
    for (size_t i = 0; i < names->count; i++)
        nearest_try(&nearest, weir_str_c(names->names[i].name));
    return nearest_hint(&nearest, arena);
}
