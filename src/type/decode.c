/* Objects, arrays and maps by description; see decode.h.
 *
 * Decoding goes on after a fault, so that all faults are told at once. What is
 * decoded goes to memory of the arena first: the caller's struct changes only
 * when all is in order.
 *
 * Invariants: recursion is bounded by the source's depth (WEIR_TYPE_DEPTH_MAX);
 * once d->error is set nothing more is decoded; every member of a decoded struct
 * was set, zeroed or given its default. */
#include "type/decode.h"

#include <errno.h>

#include <weir/error.h>

#include "base/map.h"
#include "type/checker.h"
#include "type/field.h"
#include "type/hint.h"

#define KEYS_BEFORE_MAP 16

/* An element of an array or a map, with what it needs to report. */
struct element {
    const struct frame *at;
    const void *source_at;
    void *out;
};

static void decode_object(struct decoder *d, const struct frame *at, const weir_type *type,
                          const struct view *view, void *out);

static bool size_is_right(struct decoder *d, const weir_type *type, size_t size)
{
    if (type->size == size)
        return true;
    d->error = weir_fail(WEIR_EWRONGUSE, "%s is described with %zu bytes, but the value has %zu",
                         type->name, type->size, size);
    return false;
}

static void set_defaults(struct decoder *d, const weir_type *type, void *out)
{
    for (const weir_type_field *field = type->fields; field->kind != WEIR_KIND_END; field++) {
        if (field->kind == WEIR_KIND_CHECK)
            continue;
        if (field->kind == WEIR_KIND_OBJECT)
            set_defaults(d, field->type, field_at(field, out));
        else
            decode_default(d, field, field_at(field, out));
    }
}

static void set_absent(struct decoder *d, const weir_type_field *field, void *object)
{
    if (field->kind == WEIR_KIND_OBJECT)
        set_defaults(d, field->type, field_at(field, object));
    else
        decode_default(d, field, field_at(field, object));
}

/* ---- arrays and maps ------------------------------------------------------ */

static bool check_count(struct decoder *d, const struct frame *at, const weir_type_field *field,
                        const struct view *view)
{
    const char *what = field->kind == WEIR_KIND_MAP ? "entries" : "items";

    if (!field->has_length ||
        (view->count >= field->min_length && view->count <= field->max_length))
        return true;
    if (faults_full(d->faults))
        return false;
    if (field->max_length == SIZE_MAX)
        decode_fault(d, at, view, decode_hint(d->arena, field),
                     "must have at least %zu %s, not %zu", field->min_length, what, view->count);
    else
        decode_fault(d, at, view, decode_hint(d->arena, field), "must have %zu to %zu %s, not %zu",
                     field->min_length, field->max_length, what, view->count);
    return false;
}

static void decode_element(struct decoder *d, const weir_type_field *item,
                           const struct element *element)
{
    struct view view;

    d->source->ops->view(d->source, element->source_at, &view);
    if (item->kind != WEIR_KIND_OBJECT)
        (void)decode_scalar(d, element->at, item, &view, element->out);
    else if (size_is_right(d, item->type, item->size))
        decode_object(d, element->at, item->type, &view, element->out);
}

/* Zeroed memory for count elements; NULL for none, or with d->error set. */
static char *elements_new(struct decoder *d, const weir_type_field *field, size_t count)
{
    size_t bytes;
    char *elements;

    if (count == 0)
        return NULL;
    elements = __builtin_mul_overflow(count, field->size, &bytes) ? NULL
                                                                  : arena_zalloc(d->arena, bytes);
    if (!elements)
        d->error = -ENOMEM;
    return elements;
}

static void decode_array(struct decoder *d, const struct frame *at, const weir_type_field *field,
                         const struct view *view, void *object)
{
    struct member member;
    struct walk walk;
    char *items;
    size_t count = 0;

    if (view->kind != VIEW_ARRAY) {
        decode_wrong_type(d, at, field, view);
        return;
    }
    if (!check_count(d, at, field, view))
        return;
    items = elements_new(d, field, view->count);
    d->source->ops->walk(d->source, view, &walk);
    while (!d->error && d->source->ops->next(d->source, &walk, &member)) {
        struct frame here = { .up = at, .index = count };

        decode_element(d, field->item,
                       &(struct element){ &here, member.at, items + count * field->size });
        count++;
    }
    *(char **)field_at(field, object) = items;
    *(size_t *)((char *)object + field->count_offset) = count;
}

struct entries {
    const weir_type_field *field;
    char *list;
    size_t count;
    struct map keys; /* used when there are many */
};

static bool entry_is_new(struct decoder *d, struct entries *e, const struct frame *at,
                         const struct member *member, bool many)
{
    bool twice = false;

    if (d->source->lists) /* YAML's keys were checked when the tree was made */
        return true;
    if (many) {
        int rc = map_put(&e->keys, member->key, e->list);

        twice = rc == -EEXIST;
        if (rc == -ENOMEM)
            d->error = rc;
    } else {
        for (size_t i = 0; i < e->count && !twice; i++)
            twice = weir_str_eq(*(weir_str *)(e->list + i * e->field->size), member->key);
    }
    if (twice)
        faults_add(d->faults, at, d->source->ops->place(d->source, member->key_at), WEIR_S(""),
                   "is given twice");
    return !twice && !d->error;
}

static void decode_entry(struct decoder *d, struct entries *e, const struct frame *at,
                         const struct member *member)
{
    char *entry = e->list + e->count++ * e->field->size;
    weir_str key = d->source->stable ? member->key : arena_dup(d->arena, member->key);

    if (!key.ptr) {
        d->error = -ENOMEM;
        return;
    }
    *(weir_str *)entry = key;
    decode_element(d, e->field->item,
                   &(struct element){ at, member->at, entry + e->field->value_offset });
}

static void decode_map(struct decoder *d, const struct frame *at, const weir_type_field *field,
                       const struct view *view, void *object)
{
    struct entries e = { .field = field };
    struct member member;
    struct walk walk;

    if (view->kind != VIEW_OBJECT) {
        decode_wrong_type(d, at, field, view);
        return;
    }
    if (!check_count(d, at, field, view))
        return;
    e.list = elements_new(d, field, view->count);
    map_init(&e.keys, (uint64_t)(uintptr_t)d->arena);
    d->source->ops->walk(d->source, view, &walk);
    while (!d->error && d->source->ops->next(d->source, &walk, &member)) {
        struct frame here = { .up = at, .key = member.key };

        if (entry_is_new(d, &e, &here, &member, view->count > KEYS_BEFORE_MAP))
            decode_entry(d, &e, &here, &member);
    }
    map_done(&e.keys);
    *(char **)field_at(field, object) = e.list;
    *(size_t *)((char *)object + field->count_offset) = e.count;
}

/* ---- objects -------------------------------------------------------------- */

static void decode_object_ptr(struct decoder *d, const struct frame *at,
                              const weir_type_field *field, const struct view *view, void *out)
{
    void *object;

    if (!size_is_right(d, field->type, field->size))
        return;
    object = arena_alloc(d->arena, field->size);
    if (!object) {
        d->error = -ENOMEM;
        return;
    }
    decode_object(d, at, field->type, view, object);
    *(void **)out = object;
}

static void decode_field(struct decoder *d, const struct frame *at, const weir_type_field *field,
                         const struct member *member, void *object)
{
    void *out = field_at(field, object);
    struct view view;

    d->source->ops->view(d->source, member->at, &view);
    if (view.kind == VIEW_BAD)
        return;
    if (view.kind == VIEW_NULL && field->optional) {
        set_absent(d, field, object);
        return;
    }
    switch (field->kind) {
    case WEIR_KIND_OBJECT:
        if (size_is_right(d, field->type, field->size))
            decode_object(d, at, field->type, &view, out);
        break;
    case WEIR_KIND_OBJECT_PTR: decode_object_ptr(d, at, field, &view, out); break;
    case WEIR_KIND_ARRAY: decode_array(d, at, field, &view, object); break;
    case WEIR_KIND_MAP: decode_map(d, at, field, &view, object); break;
    case WEIR_KIND_JSON:
        *(weir_str *)out = d->source->ops->json(d->source, d->arena, member);
        if (!((weir_str *)out)->ptr)
            d->error = -ENOMEM;
        break;
    default: (void)decode_scalar(d, at, field, &view, out); break;
    }
}

/* Members mostly come in the order of the description: the search begins behind
 * the last one found, and wraps around. */
static const weir_type_field *field_find(const weir_type *type, const weir_type_field *from,
                                         weir_str key)
{
    for (const weir_type_field *field = from; field->kind != WEIR_KIND_END; field++) {
        if (field->kind != WEIR_KIND_CHECK && weir_str_eq(field_key(field), key))
            return field;
    }
    for (const weir_type_field *field = type->fields; field != from; field++) {
        if (field->kind != WEIR_KIND_CHECK && weir_str_eq(field_key(field), key))
            return field;
    }
    return NULL;
}

struct seen {
    uint64_t bits[WEIR_FIELDS_MAX / 64];
};

static bool seen_set(struct seen *seen, size_t index)
{
    uint64_t bit = UINT64_C(1) << (index % 64);
    bool was = (seen->bits[index / 64] & bit) != 0;

    seen->bits[index / 64] |= bit;
    return was;
}

static void unknown_key(struct decoder *d, const struct frame *at, const weir_type *type,
                        const struct member *member)
{
    if (faults_full(d->faults))
        return;
    faults_add(d->faults, at, d->source->ops->place(d->source, member->key_at),
               hint_for_key(d->arena, type, member->key), "is not a known key");
}

static void decode_members(struct decoder *d, const struct frame *at, const weir_type *type,
                           const struct view *view, void *out, struct seen *seen)
{
    const weir_type_field *from = type->fields;
    struct member member;
    struct walk walk;

    d->source->ops->walk(d->source, view, &walk);
    while (!d->error && d->source->ops->next(d->source, &walk, &member)) {
        struct frame here = { .up = at, .key = member.key };
        const weir_type_field *field = field_find(type, from, member.key);

        if (!field) {
            unknown_key(d, &here, type, &member);
            continue;
        }
        from = field + 1;
        if (seen_set(seen, (size_t)(field - type->fields)))
            faults_add(d->faults, &here, d->source->ops->place(d->source, member.key_at),
                       WEIR_S(""), "is given twice");
        else if (d->input && field->read_only)
            set_absent(d, field, out);
        else
            decode_field(d, &here, field, &member, out);
    }
}

static void missing_key(struct decoder *d, const struct frame *at, const weir_type_field *field,
                        const struct view *view)
{
    struct frame here = { .up = at, .key = field_key(field) };
    weir_str hint;

    if (faults_full(d->faults))
        return;
    hint = field->help ? weir_str_c(field->help) : decode_wanted(d->arena, field, d->source->lists);
    decode_fault(d, &here, view, hint, "is missing");
}

static void decode_absent(struct decoder *d, const struct frame *at, const weir_type *type,
                          const struct view *view, void *out, struct seen *seen)
{
    for (const weir_type_field *field = type->fields; field->kind != WEIR_KIND_END; field++) {
        if (field->kind == WEIR_KIND_CHECK || seen_set(seen, (size_t)(field - type->fields)))
            continue;
        if (!field->optional && !field->read_only)
            missing_key(d, at, field, view);
        set_absent(d, field, out);
    }
}

/* Rules run on structs without a fault only: they may rely on each field. */
static void run_checks(struct decoder *d, const struct frame *at, const weir_type *type,
                       const struct view *view, const void *value)
{
    for (const weir_type_field *field = type->fields; field->kind != WEIR_KIND_END; field++) {
        if (field->kind == WEIR_KIND_CHECK)
            field->check(value, &(weir_checker){ d, at, view });
    }
}

static bool fields_are_few(struct decoder *d, const weir_type *type)
{
    size_t count = 0;

    while (type->fields[count].kind != WEIR_KIND_END)
        count++;
    if (count <= WEIR_FIELDS_MAX)
        return true;
    d->error = weir_fail(WEIR_EWRONGUSE, "%s has %zu fields, the limit is %d", type->name, count,
                         WEIR_FIELDS_MAX);
    return false;
}

static void decode_object(struct decoder *d, const struct frame *at, const weir_type *type,
                          const struct view *view, void *out)
{
    size_t faults = d->faults->count + d->faults->left_out;
    struct seen seen = { { 0 } };

    memset(out, 0, type->size);
    if (view->kind != VIEW_OBJECT) {
        decode_wrong_type(d, at, &(weir_type_field){ .kind = WEIR_KIND_OBJECT }, view);
        return;
    }
    if (!fields_are_few(d, type))
        return;
    decode_members(d, at, type, view, out, &seen);
    if (d->error)
        return;
    decode_absent(d, at, type, view, out, &seen);
    if (faults == d->faults->count + d->faults->left_out)
        run_checks(d, at, type, view, out);
}

int decode_document(struct decoder *d, const weir_type *type, const void *root, void *ret_value,
                    size_t size)
{
    struct view view;
    void *value;

    if (!size_is_right(d, type, size))
        return d->error;
    value = arena_alloc(d->arena, size);
    if (!value)
        return -ENOMEM;
    d->source->ops->view(d->source, root, &view);
    /* A YAML file with nothing but comments is a mapping without members. */
    if (view.kind == VIEW_NULL && d->source->lists)
        view.kind = VIEW_OBJECT;
    decode_object(d, NULL, type, &view, value);
    if (d->error || d->faults->no_memory)
        return d->error ? d->error : -ENOMEM;
    if (d->faults->count)
        return WEIR_EINPUT;
    memcpy(ret_value, value, size);
    return 0;
}
