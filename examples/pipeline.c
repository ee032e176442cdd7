/* A pipeline of stages, joined by bounded channels and paced by the slowest: counts
 * the answers of each status class in an access log of the common log format.
 *
 *     build/release/examples/pipeline access.log
 *
 * read -> blocks -> parse (four tasks) -> parts -> sum. A stage that is ahead waits at
 * its channel, so however large the log is, no more than a few blocks of it are in
 * memory. A stage that fails ends the others, and what is left in the channels is
 * freed by them. */
#include <weir/weir.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 65536
#define LINE_BYTES 8192
#define PARSERS 4

/* Whole lines, in memory that whoever holds the block frees. */
struct block {
    char *bytes;
    size_t len;
};

struct part {
    uint64_t classes[10]; /* by the first digit of the status */
    uint64_t unreadable;
};

struct stages {
    FILE *log;
    WEIR_CHAN(struct block) blocks;
    WEIR_CHAN(struct part) parts;
};

struct reading {
    FILE *log;
    struct block block;
};

static void block_drop(void *item)
{
    free(((struct block *)item)->bytes);
}

/* On a thread of the blocking pool: 1 with the next block, 0 at the end. */
static int read_block(void *arg)
{
    struct reading *r = arg;
    char *bytes = malloc(BLOCK_BYTES + LINE_BYTES);
    size_t len;

    if (!bytes)
        return weir_fail(-ENOMEM, "no memory for a block of the log");
    len = fread(bytes, 1, BLOCK_BYTES, r->log);
    if (len > 0 && bytes[len - 1] != '\n' && fgets(bytes + len, LINE_BYTES, r->log))
        len += strlen(bytes + len);
    if (len == 0) {
        free(bytes);
        return ferror(r->log) ? weir_fail(-EIO, "the log can't be read") : 0;
    }
    r->block = (struct block){ bytes, len };
    return 1;
}

static int read_log(void *arg)
{
    struct stages *p = arg;
    struct reading r = { .log = p->log };
    int rc;

    while ((rc = weir_block(read_block, &r)) > 0) {
        rc = weir_send(p->blocks, &r.block); /* waits while the parsers are behind */
        if (rc < 0) {
            block_drop(&r.block);
            break;
        }
    }
    weir_close(p->blocks);
    return rc;
}

/* The status is the first number behind the quoted request line. */
static void count_line(const char *line, size_t len, struct part *part)
{
    const char *end = line + len, *open = memchr(line, '"', len);
    const char *close = open ? memchr(open + 1, '"', (size_t)(end - open - 1)) : NULL;

    if (close && end - close > 2 && close[2] >= '1' && close[2] <= '5')
        part->classes[close[2] - '0']++;
    else
        part->unreadable++;
}

static int parse(void *arg)
{
    struct stages *p = arg;
    struct block block;
    int rc;

    while ((rc = weir_recv(p->blocks, &block)) > 0) {
        struct part part = { 0 };
        const char *line = block.bytes, *end = block.bytes + block.len;

        while (line < end) {
            const char *stop = memchr(line, '\n', (size_t)(end - line));

            stop = stop ? stop : end;
            count_line(line, (size_t)(stop - line), &part);
            line = stop + 1;
        }
        block_drop(&block);
        rc = weir_send(p->parts, &part);
        if (rc < 0)
            break;
    }
    return rc;
}

static int parse_all(void *arg)
{
    struct stages *p = arg;
    int rc = 0;

    WEIR_SCOPE(s, .name = "parsers") {
        for (int i = 0; i < PARSERS; i++)
            weir_go(s, parse, p);
        rc = weir_join(s);
    }
    weir_close(p->parts);
    return rc;
}

static int sum(void *arg)
{
    struct stages *p = arg;
    struct part total = { 0 }, part;
    int rc;

    while ((rc = weir_recv(p->parts, &part)) > 0) {
        for (int i = 0; i < 10; i++)
            total.classes[i] += part.classes[i];
        total.unreadable += part.unreadable;
    }
    if (rc < 0)
        return rc;
    for (int i = 1; i <= 5; i++)
        printf("%dxx %llu\n", i, (unsigned long long)total.classes[i]);
    printf("unreadable %llu\n", (unsigned long long)total.unreadable);
    return 0;
}

static int count(void *arg)
{
    struct stages p = { .log = arg };
    int rc = weir_chan_open(&p.blocks, .capacity = 8, .drop = block_drop);

    if (rc == 0)
        rc = weir_chan_open(&p.parts, .capacity = 8);
    if (rc == 0)
        WEIR_SCOPE(s) {
            weir_go(s, read_log, &p);
            weir_go(s, parse_all, &p);
            weir_go(s, sum, &p);
            rc = weir_join(s);
        }
    weir_chan_free(p.parts);
    weir_chan_free(p.blocks);
    return rc;
}

int main(int argc, char **argv)
{
    FILE *log = argc == 2 ? fopen(argv[1], "re") : NULL;
    int rc;

    if (!log) {
        if (argc == 2)
            fprintf(stderr, "pipeline: %s can't be opened: %s\n", argv[1], strerror(errno));
        else
            fprintf(stderr, "usage: pipeline LOG\n");
        return 1;
    }
    rc = weir_run(count, log, .loops = 1);
    if (rc < 0) {
        char story[1024];

        weir_error_print(story, sizeof(story));
        fprintf(stderr, "pipeline: %s\n", *story ? story : weir_error_text(rc));
    }
    fclose(log);
    return rc < 0;
}
