/* libyaml's events made into a tree, and the tree shown to the decoder; see
 * yaml_source.h.
 *
 * Why strict: a configuration should mean to its reader what it means to us.
 * Anchors, aliases and tags hide what a value is (and aliases multiply it), so
 * they are refused, as are a second document and keys that are no scalars. Each
 * such fault is reported where it stands and reading goes on, so that the
 * operator sees all of them at once; only a fault of the syntax ends it.
 *
 * Invariants: depth of open nodes <= WEIR_TYPE_DEPTH_MAX; all nodes and their
 * texts are in the arena; a key without a value yet is the open mapping's last. */
#include "type/yaml_source.h"

#include <errno.h>
#include <yaml.h>

#include "base/map.h"
#include "type/json_write.h"
#include "type/sink.h"
#include "type/yaml_scalar.h"

#define KEYS_BEFORE_MAP 16
/* For "found character that cannot start any token". */
#define FIRST_HINT "indent with spaces, and put text that begins with a special character in quotes"

struct level {
    struct yaml_node *node;
    struct yaml_node *key;    /* of a mapping: waits for its value */
    struct yaml_node *at_key; /* the last one read */
    struct map keys;          /* of a large mapping */
};

struct builder {
    struct arena *arena;
    struct faults *faults;
    struct yaml_node *root;
    struct level levels[WEIR_TYPE_DEPTH_MAX];
    size_t depth;
    unsigned documents;
    bool ended;  /* nothing more is read */
    bool broken; /* the tree is not whole */
    int error;
};

static struct place mark_place(yaml_mark_t mark)
{
    return (struct place){ (uint32_t)mark.line + 1, (uint32_t)mark.column + 1 };
}

static struct yaml_node *node_new(struct builder *b, enum yaml_kind kind, yaml_mark_t mark)
{
    struct yaml_node *node = arena_zalloc(b->arena, sizeof *node);

    if (!node) {
        b->error = -ENOMEM;
        return NULL;
    }
    node->kind = kind;
    node->place = mark_place(mark);
    return node;
}

/* The JSON pointer to what is being read: the innermost level has not taken it
 * in yet, those around it have. */
static weir_str here(struct builder *b)
{
    struct frame frames[WEIR_TYPE_DEPTH_MAX];
    const struct frame *up = NULL;

    for (size_t i = 0; i < b->depth; i++) {
        const struct level *level = &b->levels[i];
        bool inner = i + 1 == b->depth;
        const struct yaml_node *key = inner ? level->key : level->at_key;

        if (level->node->kind == YAML_KIND_MAPPING && !key)
            break;
        frames[i] = (struct frame){ .up = up };
        if (level->node->kind == YAML_KIND_MAPPING)
            frames[i].key = key->text.ptr ? key->text : WEIR_S("");
        else
            frames[i].index = level->node->count - !inner;
        up = &frames[i];
    }
    return frame_pointer(b->arena, up, "");
}

__attribute__((format(printf, 4, 5))) static void complain(struct builder *b, yaml_mark_t mark,
                                                           const char *hint, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    faults_addv(b->faults, here(b), mark_place(mark), hint, fmt, args);
    va_end(args);
}

/* ---- building ------------------------------------------------------------- */

static struct yaml_node *key_find(const struct level *level, weir_str text)
{
    if (level->keys.room)
        return map_get(&level->keys, text);
    for (struct yaml_node *key = level->node->first; key; key = key->next) {
        if (weir_str_eq(key->text, text))
            return key;
    }
    return NULL;
}

/* From here on look-ups in this mapping go through a hash map: with many keys,
 * comparing each with each would take an operator's mistake, or an attacker's
 * text, to quadratic time. */
static void keys_index(struct builder *b, struct level *level)
{
    if (level->node->count == KEYS_BEFORE_MAP) {
        map_init(&level->keys, (uint64_t)(uintptr_t)level);
        for (struct yaml_node *key = level->node->first; key; key = key->next)
            b->error = b->error ? b->error : map_put(&level->keys, key->text, key);
    } else if (level->keys.room) {
        b->error = map_put(&level->keys, level->key->text, level->key);
    }
}

static void append(struct yaml_node *parent, struct yaml_node *node)
{
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->count++;
}

/* A second value for a key is not in the tree: its node is made and left. */
static void take_key(struct builder *b, struct level *level, struct yaml_node *node,
                     yaml_mark_t mark)
{
    struct yaml_node *first;

    level->key = level->at_key = node;
    if (node->kind == YAML_KIND_BAD)
        return;
    if (node->kind == YAML_KIND_LIST || node->kind == YAML_KIND_MAPPING) {
        complain(b, mark, "write a plain word as the key", "a list or a mapping can't be a key");
        return;
    }
    if (node->kind == YAML_KIND_PLAIN && weir_str_eq(node->text, WEIR_S("<<"))) {
        complain(b, mark, "write the keys out", "merge keys (`<<`) are not supported");
        return;
    }
    first = key_find(level, node->text);
    if (first) {
        weir_str shown = text_show(b->arena, node->text, 60);

        complain(b, mark, NULL, "`%.*s` is given twice, first at line %u", WEIR_ARG(shown),
                 first->place.line);
        return;
    }
    append(level->node, node);
    keys_index(b, level);
}

static void place_node(struct builder *b, struct yaml_node *node, yaml_mark_t mark)
{
    struct level *level;

    if (!node)
        return;
    if (b->depth == 0) {
        b->root = node;
        return;
    }
    level = &b->levels[b->depth - 1];
    if (level->node->kind == YAML_KIND_LIST) {
        append(level->node, node);
    } else if (!level->key) {
        take_key(b, level, node, mark);
    } else {
        level->key->value = node;
        level->key = NULL;
    }
}

static void open_node(struct builder *b, enum yaml_kind kind, yaml_mark_t mark)
{
    struct yaml_node *node;

    if (b->depth == WEIR_TYPE_DEPTH_MAX) {
        complain(b, mark, NULL, "more than %d lists and mappings inside each other",
                 WEIR_TYPE_DEPTH_MAX);
        b->ended = b->broken = true;
        return;
    }
    node = node_new(b, kind, mark);
    place_node(b, node, mark);
    if (node)
        b->levels[b->depth++] = (struct level){ .node = node };
}

static void close_node(struct builder *b)
{
    map_done(&b->levels[--b->depth].keys);
}

static void refuse_marks(struct builder *b, const yaml_char_t *anchor, const yaml_char_t *tag,
                         yaml_mark_t mark)
{
    if (anchor)
        complain(b, mark, "write the value out where it is needed",
                 "anchors (`&name`) are not supported");
    if (tag)
        complain(b, mark, "leave it out: the key says the type",
                 "tags (`!name`) are not supported");
}

static void on_scalar(struct builder *b, const yaml_event_t *event)
{
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    struct yaml_node *node = node_new(b, plain ? YAML_KIND_PLAIN : YAML_KIND_QUOTED,
                                      event->start_mark);

    refuse_marks(b, event->data.scalar.anchor, event->data.scalar.tag, event->start_mark);
    if (!node)
        return;
    node->text = arena_dup(
        b->arena, weir_str_from((const char *)event->data.scalar.value, event->data.scalar.length));
    if (!node->text.ptr)
        b->error = -ENOMEM;
    else
        place_node(b, node, event->start_mark);
}

static void on_alias(struct builder *b, const yaml_event_t *event)
{
    complain(b, event->start_mark, "write the value out", "aliases (`*name`) are not supported");
    place_node(b, node_new(b, YAML_KIND_BAD, event->start_mark), event->start_mark);
}

static void on_document(struct builder *b, const yaml_event_t *event)
{
    if (event->data.document_start.tag_directives.start !=
        event->data.document_start.tag_directives.end)
        complain(b, event->start_mark, NULL, "tags (`%%TAG`) are not supported");
    if (b->documents++ > 0) {
        complain(b, event->start_mark, "remove what follows, with its `---`",
                 "only one document is allowed");
        b->ended = true;
    }
}

static void on_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT: on_document(b, event); break;
    case YAML_SCALAR_EVENT: on_scalar(b, event); break;
    case YAML_ALIAS_EVENT: on_alias(b, event); break;
    case YAML_SEQUENCE_START_EVENT:
        refuse_marks(b, event->data.sequence_start.anchor, event->data.sequence_start.tag,
                     event->start_mark);
        open_node(b, YAML_KIND_LIST, event->start_mark);
        break;
    case YAML_MAPPING_START_EVENT:
        refuse_marks(b, event->data.mapping_start.anchor, event->data.mapping_start.tag,
                     event->start_mark);
        open_node(b, YAML_KIND_MAPPING, event->start_mark);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: close_node(b); break;
    case YAML_STREAM_END_EVENT: b->ended = true; break;
    default: break;
    }
}

/* Line and column of a byte: libyaml's reader only knows the offset. */
static yaml_mark_t mark_of_offset(weir_str text, size_t offset)
{
    yaml_mark_t mark = { .index = offset };

    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.ptr[i] == '\n') {
            mark.line++;
            mark.column = 0;
        } else if (((unsigned char)text.ptr[i] & 0xc0) != 0x80) {
            mark.column++;
        }
    }
    return mark;
}

static void on_failure(struct builder *b, const yaml_parser_t *parser, weir_str text)
{
    const char *problem = parser->problem ? parser->problem : "unknown fault";

    b->ended = b->broken = true;
    if (parser->error == YAML_MEMORY_ERROR) {
        b->error = -ENOMEM;
    } else if (parser->error == YAML_READER_ERROR) {
        complain(b, mark_of_offset(text, parser->problem_offset), "save the file as UTF-8",
                 "not YAML: %s", problem);
    } else {
        complain(b, parser->problem_mark,
                 strstr(problem, "any token") ? FIRST_HINT
                 : strstr(problem, " tab ")   ? "indent with spaces"
                                              : NULL,
                 "not YAML: %s%s%s", parser->context ? parser->context : "",
                 parser->context ? ", " : "", problem);
    }
}

/* ---- the tree as views ---------------------------------------------------- */

static void yaml_view(const struct source *source, const void *at, struct view *ret_view)
{
    const struct yaml_node *node = at;

    (void)source;
    *ret_view = (struct view){ .at = at, .text = node->text, .count = node->count };
    switch (node->kind) {
    case YAML_KIND_PLAIN:
        ret_view->plain = true;
        yaml_scalar_resolve(ret_view);
        break;
    case YAML_KIND_QUOTED: ret_view->kind = VIEW_STR; break;
    case YAML_KIND_LIST: ret_view->kind = VIEW_ARRAY; break;
    case YAML_KIND_MAPPING: ret_view->kind = VIEW_OBJECT; break;
    case YAML_KIND_BAD: ret_view->kind = VIEW_BAD; break;
    }
}

static void yaml_walk(const struct source *source, const struct view *view, struct walk *ret_walk)
{
    const struct yaml_node *node = view->at;

    (void)source;
    *ret_walk = (struct walk){ node->first, node->count, node->kind == YAML_KIND_MAPPING };
}

static bool yaml_next(const struct source *source, struct walk *walk, struct member *ret_member)
{
    const struct yaml_node *node = walk->next;

    (void)source;
    if (!node)
        return false;
    walk->next = node->next;
    *ret_member = (struct member){ .at = node };
    if (walk->keyed)
        *ret_member = (struct member){ node->text, node, node->value };
    return true;
}

static struct place yaml_place(const struct source *source, const void *at)
{
    (void)source;
    return ((const struct yaml_node *)at)->place;
}

static void write_scalar(struct sink *sink, const struct yaml_node *node)
{
    struct view view = { .text = node->text, .kind = VIEW_STR };

    if (node->kind == YAML_KIND_PLAIN)
        yaml_scalar_resolve(&view);
    switch (view.kind) {
    case VIEW_NULL: json_write_null(sink); break;
    case VIEW_BOOL: json_write_bool(sink, view.truth); break;
    case VIEW_INT: json_write_i64(sink, view.i); break;
    case VIEW_UINT: json_write_u64(sink, view.u); break;
    case VIEW_REAL: json_write_f64(sink, view.d); break;
    default: json_write_str(sink, node->text); break;
    }
}

static void write_node(struct sink *sink, const struct yaml_node *node)
{
    bool list = node->kind == YAML_KIND_LIST;
    const char *comma = "";

    if (node->kind == YAML_KIND_BAD) {
        json_write_null(sink);
        return;
    }
    if (!list && node->kind != YAML_KIND_MAPPING) {
        write_scalar(sink, node);
        return;
    }
    sink_add_char(sink, list ? '[' : '{');
    for (const struct yaml_node *child = node->first; child; child = child->next) {
        sink_add(sink, weir_str_c(comma));
        comma = ",";
        if (!list) {
            json_write_str(sink, child->text);
            sink_add_char(sink, ':');
        }
        write_node(sink, list ? child : child->value);
    }
    sink_add_char(sink, list ? ']' : '}');
}

static weir_str yaml_json(const struct source *source, struct arena *arena,
                          const struct member *member)
{
    struct arena_sink sink;

    (void)source;
    arena_sink_init(&sink, arena);
    write_node(&sink.sink, member->at);
    return arena_sink_str(&sink);
}

static const struct source_ops yaml_ops = { yaml_view, yaml_walk, yaml_next, yaml_place,
                                            yaml_json };

/* ---- places by pointer ---------------------------------------------------- */

static const struct yaml_node *list_item(const struct yaml_node *list, weir_str token)
{
    const struct yaml_node *node = list->first;
    size_t index = 0;

    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] < '0' || token.ptr[i] > '9' || index > list->count)
            return NULL;
        index = index * 10 + (size_t)(token.ptr[i] - '0');
    }
    while (node && index-- > 0)
        node = node->next;
    return node;
}

/* Is this key the one that an escaped token means (RFC 6901, section 4)? */
static bool token_names(weir_str token, weir_str key)
{
    size_t at = 0;

    for (size_t i = 0; i < token.len; i++, at++) {
        char c = token.ptr[i];

        if (c == '~' && i + 1 < token.len)
            c = token.ptr[++i] == '1' ? '/' : '~';
        if (at >= key.len || key.ptr[at] != c)
            return false;
    }
    return at == key.len;
}

static const struct yaml_node *mapping_value(const struct yaml_node *mapping, weir_str token)
{
    for (const struct yaml_node *key = mapping->first; key; key = key->next) {
        if (token_names(token, key->text))
            return key->value;
    }
    return NULL;
}

int yaml_source_read(struct yaml_source *yaml, struct arena *arena, weir_str text,
                     struct faults *faults)
{
    struct builder *b = arena_zalloc(arena, sizeof *b);
    yaml_parser_t parser;
    yaml_event_t event;

    if (!b || !yaml_parser_initialize(&parser))
        return -ENOMEM;
    b->arena = arena;
    b->faults = faults;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.ptr, text.len);
    while (!b->ended && !b->error) {
        if (!yaml_parser_parse(&parser, &event)) {
            on_failure(b, &parser, text);
            break;
        }
        on_event(b, &event);
        yaml_event_delete(&event);
    }
    while (b->depth > 0)
        close_node(b);
    yaml_parser_delete(&parser);
    *yaml = (struct yaml_source){ .source = { &yaml_ops, .lists = true, .stable = true } };
    if (!b->broken && !b->error)
        yaml->root = b->root ? b->root : node_new(b, YAML_KIND_MAPPING, (yaml_mark_t){ 0 });
    return b->error;
}

const struct yaml_node *yaml_source_find(const struct yaml_source *yaml, weir_str pointer,
                                         bool *ret_exact)
{
    const struct yaml_node *node = yaml->root;

    *ret_exact = node != NULL;
    while (node && pointer.len > 0) {
        weir_str token = weir_str_skip(pointer, 1);
        const char *slash = memchr(token.ptr, '/', token.len);
        const struct yaml_node *inside;

        token.len = slash ? (size_t)(slash - token.ptr) : token.len;
        pointer = weir_str_skip(pointer, token.len + 1);
        inside = node->kind == YAML_KIND_LIST      ? list_item(node, token)
                 : node->kind == YAML_KIND_MAPPING ? mapping_value(node, token)
                                                   : NULL;
        if (!inside) {
            *ret_exact = false;
            return node;
        }
        node = inside;
    }
    return node;
}
