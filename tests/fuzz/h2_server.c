/* What a client of HTTP/2 sends, on its way to the exchanges: through the meter and the
 * library into heads and bodies. Cutting the input at any points gives the same outcome,
 * told as text, as giving it whole. Nothing is sent, so that what the peer is told, and
 * when, plays no part. */
#include "h1_seed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "base/strbuf.h"
#include "http/h2_conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define BODIES 1024

struct run {
    struct strbuf out;
    struct h2_meter meter;
    struct arena arena;
    struct h2_fields fields;
    struct http_head head;
    uint64_t bodies[BODIES]; /* bytes, by identifier */
    bool over;               /* the peer has said GOAWAY: what it opens afterwards is taken or
                                not, as reads fall */
    bool failed;             /* the library has refused the rest: the meter looks ahead of it */
};

static int begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct run *run = user;

    (void)session, (void)frame;
    arena_reset(&run->arena);
    memset(&run->fields, 0, sizeof(run->fields));
    http_head_init(&run->head);
    return 0;
}

static int header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                  size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                  void *user)
{
    static const struct http_limits limits;
    struct run *run = user;

    (void)session, (void)frame, (void)flags;
    h2_fields_add(&run->fields, &run->head, &run->arena, &limits,
                  weir_str_from((const char *)name, name_len),
                  weir_str_from((const char *)value, value_len));
    return 0;
}

static void tell_head(struct run *run, const nghttp2_frame *frame)
{
    static const struct http_limits limits;
    const struct http_head *head = &run->head;
    struct h1_fault fault = { 0 };
    int rc = h2_fields_finish(&run->fields, &run->head, &run->arena, &limits,
                              frame->hd.flags & NGHTTP2_FLAG_END_STREAM, &fault);

    if (rc < 0) {
        strbuf_addf(&run->out, "%d: %d %s\n", frame->hd.stream_id, fault.status, fault.rule);
        return;
    }
    strbuf_addf(&run->out, "%d: %.*s %.*s?%.*s at %.*s:%u, body %d of %lld, %u fields\n",
                frame->hd.stream_id, WEIR_ARG(head->method_text), WEIR_ARG(head->path),
                WEIR_ARG(head->query), WEIR_ARG(head->host), head->port, head->body,
                (long long)head->content_length, head->field_count);
    for (uint32_t i = 0; i < head->field_count; i++) {
        weir_str value = http_field_value(&head->fields[i]);

        if (!http_token_ok(http_field_name(&head->fields[i])) || !http_value_ok(value))
            abort();
        strbuf_add(&run->out, value);
    }
}

static int received(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct run *run = user;

    (void)session;
    if (run->over)
        return 0;
    run->over = frame->hd.type == NGHTTP2_GOAWAY;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        tell_head(run, frame);
    else
        strbuf_addf(&run->out, "%d: frame %u %u\n", frame->hd.stream_id, frame->hd.type,
                    frame->hd.flags);
    /* Of a body that turns out too long more or less may have been given out. */
    if (frame->hd.type <= NGHTTP2_HEADERS && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        strbuf_addf(&run->out, "%llu bytes\n",
                    (unsigned long long)run->bodies[frame->hd.stream_id % BODIES]);
    return 0;
}

static int data_received(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *user)
{
    struct run *run = user;

    (void)session, (void)flags, (void)data;
    if (!run->over)
        run->bodies[id % BODIES] += len;
    return 0;
}

static int invalid(nghttp2_session *session, const nghttp2_frame *frame, int code, void *user)
{
    struct run *run = user;

    (void)session;
    if (!run->over)
        strbuf_addf(&run->out, "%d: refused %u: %d\n", frame->hd.stream_id, frame->hd.type, code);
    return 0;
}

static nghttp2_session *session_new(struct run *run)
{
    nghttp2_session_callbacks *calls;
    nghttp2_session *session = NULL;
    nghttp2_option *option;

    if (nghttp2_session_callbacks_new(&calls) != 0 || h2_option_new(&option) != 0)
        abort();
    nghttp2_session_callbacks_set_on_begin_headers_callback(calls, begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(calls, header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, received);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, data_received);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(calls, invalid);
    if (nghttp2_session_server_new2(&session, calls, run, option) != 0)
        abort();
    nghttp2_session_callbacks_del(calls);
    nghttp2_option_del(option);
    return session;
}

/* As much as is taken; false when it is refused. */
static bool feed(struct run *run, nghttp2_session *session, const uint8_t *bytes, size_t len)
{
    while (len > 0 && !run->meter.verdict.rule) {
        size_t n = h2_meter_feed(&run->meter, bytes, len, 0);
        ssize_t rc = n ? nghttp2_session_mem_recv(session, bytes, n) : 0;

        if (n > len)
            abort();
        if (rc < 0) {
            if (!run->over)
                strbuf_addf(&run->out, "failed: %zd\n", rc);
            run->failed = true;
            return false;
        }
        bytes += n;
        len -= n;
        if (run->meter.asks && !run->over)
            strbuf_addf(&run->out, "asked: %u, %d\n", run->meter.asks,
                        nghttp2_session_get_stream_remote_close(session, (int32_t)run->meter.asks));
        run->meter.asks = 0;
    }
    return !run->meter.verdict.rule;
}

/* Pieces of at most so many bytes, as the seed says; 0: whole. */
static char *outcome(const uint8_t *data, size_t size, size_t most, uint64_t seed)
{
    struct run run = { .out = STRBUF_INIT };
    nghttp2_session *session;

    h2_meter_init(&run.meter);
    arena_init(&run.arena, NULL);
    session = session_new(&run);
    for (size_t at = 0; at < size;) {
        size_t n = most ? 1 + (seed >> 33) % most : size;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        n = n < size - at ? n : size - at;
        if (!feed(&run, session, data + at, n))
            break;
        at += n;
    }
    if (run.meter.verdict.rule && !run.failed && !run.over)
        strbuf_addf(&run.out, "%s (%u)\n", run.meter.verdict.rule, run.meter.verdict.code);
    nghttp2_session_del(session);
    arena_reset(&run.arena);
    strbuf_add_char(&run.out, '\n');
    return run.out.ptr;
}

/* The preface is put in front, unless the first byte says otherwise. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t preface = size > 0 && data[0] == 0xff ? 0 : sizeof(PREFACE) - 1;
    uint8_t *all = malloc(size + preface + 1);
    static const size_t steps[] = { 1, 3, 20, 300 };
    char *whole;

    if (!all)
        return 0;
    memcpy(all, PREFACE, preface);
    if (size)
        memcpy(all + preface, data, size);
    whole = outcome(all, size + preface, 0, 0);
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        char *cut = outcome(all, size + preface, steps[i], h1_seed(data, size));

        if (strcmp(whole, cut) != 0) {
            fprintf(stderr, "whole:\n%s\ncut by %zu:\n%s\n", whole, steps[i], cut);
            abort();
        }
        free(cut);
    }
    free(whole);
    free(all);
    return 0;
}
