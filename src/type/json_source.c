/* JSON through yyjson; see json_source.h.
 *
 * yyjson parses a copy in place: each string it shows lies at the same offset in
 * the copy as in the text. That is how the bytes of a member's value are found
 * again: behind its key.
 *
 * What RFC 8259 leaves open is refused: texts that are not UTF-8 (section 8.1),
 * unpaired surrogates (8.2), a byte order mark, and depth beyond
 * WEIR_TYPE_DEPTH_MAX (9). */
#include "type/json_source.h"

#include <weir/error.h>

static yyjson_val *json_val(const void *at)
{
    return (yyjson_val *)(uintptr_t)at;
}

static void json_view(const struct source *source, const void *at, struct view *ret_view)
{
    yyjson_val *val = json_val(at);

    (void)source;
    *ret_view = (struct view){ .at = at, .kind = VIEW_NULL };
    switch (yyjson_get_type(val)) {
    case YYJSON_TYPE_BOOL:
        ret_view->kind = VIEW_BOOL;
        ret_view->truth = yyjson_get_bool(val);
        break;
    case YYJSON_TYPE_NUM:
        if (yyjson_is_real(val)) {
            ret_view->kind = VIEW_REAL;
            ret_view->d = yyjson_get_real(val);
        } else if (yyjson_is_uint(val)) {
            ret_view->kind = VIEW_UINT;
            ret_view->u = yyjson_get_uint(val);
        } else {
            ret_view->kind = VIEW_INT;
            ret_view->i = yyjson_get_sint(val);
        }
        break;
    case YYJSON_TYPE_STR:
        ret_view->kind = VIEW_STR;
        ret_view->text = weir_str_from(yyjson_get_str(val), yyjson_get_len(val));
        break;
    case YYJSON_TYPE_ARR:
        ret_view->kind = VIEW_ARRAY;
        ret_view->count = yyjson_get_len(val);
        break;
    case YYJSON_TYPE_OBJ:
        ret_view->kind = VIEW_OBJECT;
        ret_view->count = yyjson_get_len(val);
        break;
    default: break;
    }
}

static void json_walk(const struct source *source, const struct view *view, struct walk *ret_walk)
{
    (void)source;
    ret_walk->left = view->count;
    ret_walk->keyed = view->kind == VIEW_OBJECT;
    ret_walk->next = view->count ? unsafe_yyjson_get_first(json_val(view->at)) : NULL;
}

static bool json_next(const struct source *source, struct walk *walk, struct member *ret_member)
{
    yyjson_val *val = json_val(walk->next);

    (void)source;
    if (walk->left == 0)
        return false;
    walk->left--;
    *ret_member = (struct member){ .at = val };
    if (walk->keyed) {
        ret_member->key = weir_str_from(yyjson_get_str(val), yyjson_get_len(val));
        ret_member->key_at = val;
        ret_member->at = ++val;
    }
    walk->next = unsafe_yyjson_get_next(val);
    return true;
}

static struct place json_place(const struct source *source, const void *at)
{
    (void)source;
    (void)at;
    return (struct place){ 0, 0 };
}

/* ---- the bytes of a value ------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Behind the string whose inside starts at `at`. The text is known to be valid. */
static size_t string_end(weir_str text, size_t at)
{
    while (at < text.len && text.ptr[at] != '"')
        at += text.ptr[at] == '\\' ? 2 : 1;
    return at + 1;
}

static size_t value_end(weir_str text, size_t at)
{
    size_t depth = 0;

    do {
        char c = text.ptr[at++];

        if (c == '"')
            at = string_end(text, at);
        else if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
    } while (at < text.len && (depth > 0 || (text.ptr[at] != ',' && text.ptr[at] != '}' &&
                                             text.ptr[at] != ']' && !is_space(text.ptr[at]))));
    return at < text.len ? at : text.len;
}

static weir_str json_bytes(const struct source *source, struct arena *arena,
                           const struct member *member)
{
    const struct json_source *json = (const struct json_source *)source;
    size_t at = string_end(json->text, (size_t)(member->key.ptr - json->copy));

    while (is_space(json->text.ptr[at]) || json->text.ptr[at] == ':')
        at++;
    return arena_dup(arena, weir_str_from(json->text.ptr + at, value_end(json->text, at) - at));
}

static const struct source_ops json_ops = { json_view, json_walk, json_next, json_place,
                                            json_bytes };

/* ---- parsing -------------------------------------------------------------- */

/* Values lie one behind the other, those inside a container right behind it: one
 * pass finds the depth. */
static bool depth_is_bounded(yyjson_val *root)
{
    yyjson_val *ends[WEIR_TYPE_DEPTH_MAX], *stop = unsafe_yyjson_get_next(root);
    size_t depth = 0;

    if (stop - root <= WEIR_TYPE_DEPTH_MAX)
        return true;
    for (yyjson_val *val = root; val < stop; val++) {
        while (depth > 0 && val >= ends[depth - 1])
            depth--;
        if (!unsafe_yyjson_is_ctn(val))
            continue;
        if (depth == WEIR_TYPE_DEPTH_MAX)
            return false;
        ends[depth++] = unsafe_yyjson_get_next(val);
    }
    return true;
}

static int json_fail(struct json_source *json, const char *what, size_t offset)
{
    json->what = what;
    json->offset = offset;
    return WEIR_EJSON;
}

int json_source_parse(struct json_source *json, weir_str text, bool raw_numbers)
{
    yyjson_read_flag flags = YYJSON_READ_INSITU | (raw_numbers ? YYJSON_READ_NUMBER_AS_RAW : 0);
    yyjson_read_err err = { 0 };

    json->source = (struct source){ .ops = &json_ops };
    json->text = text;
    json->copy = NULL;
    json->doc = NULL;
    json->what = "";
    json->offset = 0;
    scratch_begin(&json->scratch);
    if (text.len == 0)
        return json_fail(json, "it is empty", 0);
    if (text.len > SIZE_MAX / 32)
        return -ENOMEM;
    json->copy = scratch_alloc(&json->scratch, text.len + YYJSON_PADDING_SIZE);
    if (!json->copy)
        return -ENOMEM;
    memcpy(json->copy, text.ptr, text.len);
    memset(json->copy + text.len, 0, YYJSON_PADDING_SIZE);

    json->doc = yyjson_read_opts(json->copy, text.len, flags, &json->scratch.alc, &err);
    if (!json->doc)
        return err.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? -ENOMEM
                                                               : json_fail(json, err.msg, err.pos);
    if (!depth_is_bounded(yyjson_doc_get_root(json->doc)))
        return json_fail(json, "more than 64 arrays and objects inside each other", 0);
    return 0;
}

_Static_assert(WEIR_TYPE_DEPTH_MAX == 64, "the text above names the limit");

void json_source_done(struct json_source *json)
{
    yyjson_doc_free(json->doc);
    scratch_free(&json->scratch, json->copy);
    scratch_end(&json->scratch);
}

struct place json_source_place(const struct json_source *json)
{
    size_t line = 0, column = 0, character = 0;

    if (json->text.len == 0 || !yyjson_locate_pos(json->text.ptr, json->text.len, json->offset,
                                                  &line, &column, &character))
        return (struct place){ 1, 1 };
    return (struct place){ (uint32_t)line, (uint32_t)column };
}
