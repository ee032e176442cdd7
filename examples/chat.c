/* A chat over TCP: what one says, line by line, all others hear.
 *
 *     build/release/examples/chat 127.0.0.1:7000        (or unix:@chat)
 *     nc 127.0.0.1 7000
 *
 * Each member has two tasks in one scope: one reads lines from the stream, one writes
 * what stands in the member's queue. The queue is bounded, and nobody waits for a slow
 * reader: a member whose queue is full is dropped, and the others go on. All tasks run
 * on one loop, so the list of members needs no lock. */
#include <weir/weir.h>

#include <stdarg.h>
#include <stdio.h>

#define LINE_BYTES 400
#define QUEUE_LINES 64
#define MEMBERS_MAX 1000

struct line {
    size_t len;
    char text[LINE_BYTES];
};

struct member {
    struct room *room;
    struct member *next;
    weir_stream *stream;
    weir_scope scope;
    unsigned number;
    bool slow;
    WEIR_CHAN(struct line) queue;
    struct line typed; /* so far */
};

struct room {
    struct member *members;
    unsigned count, last_number;
};

/* ---- the room ------------------------------------------------------------------ */

static void tell(struct member *m, const struct line *line)
{
    if (!m->slow && weir_try_send(m->queue, line) < 0) {
        m->slow = true;
        weir_cancel(m->scope);
    }
}

__attribute__((format(printf, 3, 4))) static void
tell_others(struct room *room, const struct member *from, const char *fmt, ...)
{
    struct line line;
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(line.text, sizeof(line.text), fmt, args);
    va_end(args);
    line.len = len < LINE_BYTES ? (size_t)len : LINE_BYTES - 1;
    line.text[line.len - 1] = '\n'; /* also of one that was cut */
    for (struct member *m = room->members; m; m = m->next)
        if (m != from)
            tell(m, &line);
}

static void enter(struct room *room, struct member *m)
{
    m->number = ++room->last_number;
    m->next = room->members;
    room->members = m;
    room->count++;
    tell_others(room, m, "* %u has come\n", m->number);
}

static void leave(struct room *room, struct member *m)
{
    struct member **at = &room->members;

    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    room->count--;
    tell_others(room, m, "* %u has %s\n", m->number, m->slow ? "been too slow" : "gone");
}

/* ---- a member ------------------------------------------------------------------- */

static int write_lines(void *arg)
{
    struct member *m = arg;
    struct line line;
    int rc;

    while ((rc = weir_recv(m->queue, &line)) > 0) {
        ssize_t n = weir_stream_write(m->stream, weir_str_from(line.text, line.len));

        /* Flushed, so that a peer that does not read fills the queue, not the memory. */
        rc = n < 0 ? (int)n : weir_stream_flush(m->stream);
        if (rc < 0)
            break;
    }
    return rc;
}

/* A line longer than LINE_BYTES allows is said in pieces. */
static void said(struct member *m)
{
    if (m->typed.len > 0)
        tell_others(m->room, m, "%u: %.*s\n", m->number, (int)m->typed.len, m->typed.text);
    m->typed.len = 0;
}

static int read_lines(struct member *m)
{
    weir_str data;
    ssize_t n;

    while ((n = weir_stream_read(m->stream, &data)) > 0) {
        for (size_t i = 0; i < data.len; i++) {
            unsigned char c = (unsigned char)data.ptr[i];

            if (c == '\n' || m->typed.len == LINE_BYTES - 40)
                said(m);
            if (c >= ' ' && c != 0x7f)
                m->typed.text[m->typed.len++] = (char)c;
        }
    }
    return (int)n;
}

static int serve(void *arg)
{
    struct member m = *(struct member *)arg;
    int rc = weir_chan_open(&m.queue, .capacity = QUEUE_LINES);

    if (rc < 0) {
        weir_stream_close(m.stream);
        return rc;
    }
    WEIR_SCOPE(s) {
        m.scope = s;
        enter(m.room, &m);
        weir_go(s, write_lines, &m, .optional = true);
        rc = read_lines(&m);
        leave(m.room, &m);
        weir_cancel(s); /* the writer has nobody left to write to */
        WEIR_IGNORE(weir_join(s), "what ends a member is no failure of the chat");
    }
    weir_chan_free(m.queue);
    weir_stream_close(m.stream);
    return rc;
}

static int chat(void *arg)
{
    struct room room = { 0 };
    struct member member = { .room = &room };
    weir_listener *listener;
    int rc = weir_listen(arg, &listener);

    if (rc < 0)
        return rc;
    printf("listening on %s, port %u\n", (const char *)arg, weir_listener_port(listener));
    fflush(stdout);
    /* At the limit weir_go() waits, and so does the next member. */
    WEIR_SCOPE(s, .limit = MEMBERS_MAX) {
        while ((rc = weir_accept(listener, &member.stream)) > 0) {
            weir_go(s, serve, &member, .optional = true);
            rc = weir_yield(); /* it takes its copy of member */
            if (rc < 0)
                break;
        }
        WEIR_IGNORE(weir_join(s), "members are optional");
    }
    weir_listener_close(listener);
    return rc;
}

int main(int argc, char **argv)
{
    char text[400];
    int rc;

    if (argc != 2) {
        fprintf(stderr, "usage: chat ADDRESS\n");
        return 2;
    }
    rc = weir_run(chat, argv[1], .loops = 1);
    if (rc < 0) {
        weir_error_print(text, sizeof(text));
        fprintf(stderr, "chat: %s\n", *text ? text : weir_error_text(rc));
    }
    return rc < 0;
}
