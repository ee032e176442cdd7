/* One story of header blocks (http2jp/hpack-test-case), decoded by nghttp2's inflater on this
 * library's allocator: each block whole, a byte at a time, and in two pieces, cut at every place.
 *
 * Stands on its own beside the sessions of src/http because a story's fields are those of real
 * messages of HTTP/1.1, of which HTTP/2 allows not all.
 *
 * The story comes by the standard input, a line an item: "table SIZE" (the table's size that was
 * agreed on before the next block), "block HEX", and "field HEX HEX" (a name and a value that the
 * last block has to give). Says "BLOCKS blocks, DECODED decoded", or what was wrong. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "base/alloc.h"

enum { LINE_MAX_BYTES = 1 << 20 };

struct bytes {
    uint8_t *at;
    size_t len;
};

struct field {
    struct bytes name, value;
};

struct block {
    struct bytes wire;
    long table; /* -1: as it was */
    struct field *fields;
    size_t field_count;
};

struct story {
    struct block *blocks;
    size_t count, decoded;
};

static void die(const char *what)
{
    printf("%s\n", what);
    exit(1);
}

/* The array with room for one more, whose place is then the last one's. */
static void *grown(void *array, size_t count, size_t size)
{
    if ((count & (count + 1)) == 0)
        array = base_realloc(array, 2 * (count + 1) * size);
    if (!array)
        die("no memory");
    return array;
}

static struct bytes from_hex(const char **at)
{
    struct bytes bytes;
    unsigned byte;

    *at += strspn(*at, " ");
    bytes.len = strcspn(*at, " \n") / 2;
    bytes.at = base_malloc(bytes.len + 1);
    if (!bytes.at)
        die("no memory");
    for (size_t i = 0; i < bytes.len; i++, *at += 2) {
        if (sscanf(*at, "%2x", &byte) != 1)
            die("a line is not hexadecimal");
        bytes.at[i] = (uint8_t)byte;
    }
    return bytes;
}

static void story_line(struct story *story, const char *line, long *table)
{
    struct block *last = story->count > 0 ? &story->blocks[story->count - 1] : NULL;
    const char *at = line + strcspn(line, " \n");

    if (strncmp(line, "table ", 6) == 0) {
        char *end;

        *table = strtol(at, &end, 10);
        if (end == at || *end != '\n' || *table < 0)
            die("a table's size is no number");
    } else if (strncmp(line, "block", 5) == 0) {
        story->blocks = grown(story->blocks, story->count, sizeof *story->blocks);
        story->blocks[story->count++] = (struct block){ from_hex(&at), *table, NULL, 0 };
        *table = -1;
    } else if (strncmp(line, "field ", 6) == 0 && last) {
        struct field field;

        at++;
        field.name = from_hex(&at);
        at += *at == ' ';
        field.value = from_hex(&at);
        last->fields = grown(last->fields, last->field_count, sizeof field);
        last->fields[last->field_count++] = field;
    } else {
        die("a line is none of a story");
    }
}

static void story_read(struct story *story)
{
    char *line = base_malloc(LINE_MAX_BYTES);
    long table = -1;

    if (!line)
        die("no memory");
    while (fgets(line, LINE_MAX_BYTES, stdin))
        story_line(story, line, &table);
    base_free(line);
}

static bool same(struct bytes want, const uint8_t *came, size_t len)
{
    return want.len == len && memcmp(want.at, came, len) == 0;
}

/* Takes one piece of a block; *fields counts what came. */
static bool take(nghttp2_hd_inflater *inflater, const struct block *block, struct bytes piece,
                 bool is_last, size_t *fields)
{
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(inflater, &field, &flags, piece.at, piece.len, is_last);

        if (n < 0)
            return false;
        piece.at += n;
        piece.len -= (size_t)n;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            const struct field *want = &block->fields[*fields];

            if (*fields == block->field_count || !same(want->name, field.name, field.namelen) ||
                !same(want->value, field.value, field.valuelen))
                return false;
            ++*fields;
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            return is_last && piece.len == 0 && nghttp2_hd_inflate_end_headers(inflater) == 0;
        if (piece.len == 0 && !(flags & NGHTTP2_HD_INFLATE_EMIT))
            return !is_last;
    }
}

/* size is that of the first piece, and of all if each is set. */
static bool decode(nghttp2_hd_inflater *inflater, const struct block *block, size_t size, bool each)
{
    struct bytes left = block->wire;
    size_t fields = 0;

    if (block->table >= 0 &&
        nghttp2_hd_inflate_change_table_size(inflater, (size_t)block->table) != 0)
        return false;
    do {
        struct bytes piece = { left.at, size > 0 && size < left.len ? size : left.len };

        left.at += piece.len;
        left.len -= piece.len;
        if (!take(inflater, block, piece, left.len == 0, &fields))
            return false;
        size = each ? size : 0;
    } while (left.len > 0);
    return fields == block->field_count;
}

static void *give(size_t bytes, void *unused)
{
    (void)unused;
    return base_malloc(bytes);
}

static void take_back(void *block, void *unused)
{
    (void)unused;
    base_free(block);
}

static void *give_zeroed(size_t count, size_t size, void *unused)
{
    (void)unused;
    return base_calloc(count, size);
}

static void *give_again(void *block, size_t bytes, void *unused)
{
    (void)unused;
    return base_realloc(block, bytes);
}

/* All blocks, up to the last one that is cut by size: what follows would be taken whole again. */
static void story_decode(struct story *story, size_t size, bool each)
{
    nghttp2_mem memory = { NULL, give, take_back, give_zeroed, give_again };
    nghttp2_hd_inflater *inflater;
    size_t count = story->count;

    while (size > 0 && count > 0 && story->blocks[count - 1].wire.len <= size)
        count--;
    if (nghttp2_hd_inflate_new2(&inflater, &memory) != 0)
        die("no memory");
    for (size_t i = 0; i < count; i++) {
        if (!decode(inflater, &story->blocks[i], size, each)) {
            printf("block %zu, in pieces of %zu: not what it should give\n", i, size);
            exit(1);
        }
        story->decoded++;
    }
    nghttp2_hd_inflate_del(inflater);
}

int main(void)
{
    struct story story = { NULL, 0, 0 };
    size_t longest = 0;

    story_read(&story);
    for (size_t i = 0; i < story.count; i++)
        longest = story.blocks[i].wire.len > longest ? story.blocks[i].wire.len : longest;
    story_decode(&story, 0, false);
    story_decode(&story, 1, true);
    for (size_t size = 1; size < longest; size++)
        story_decode(&story, size, false);
    printf("%zu blocks, %zu decoded\n", story.count, story.decoded);
    return 0;
}
