/* See h2_server_peer.h. */
#include "h2_server_peer.h"

int h2_open(struct served *s, struct h2_peer *peer, const char *settings, size_t len)
{
    struct strbuf out = STRBUF_INIT;

    memset(peer, 0, sizeof(*peer));
    if (peer_open(s, &peer->raw) < 0 || nghttp2_hd_inflate_new(&peer->inflater) != 0)
        return -1;
    strbuf_add_c(&out, H2_PREFACE);
    h2_add(&out, NGHTTP2_SETTINGS, 0, 0, settings, len);
    return h2_say(peer, &out);
}

void h2_close(struct h2_peer *peer)
{
    nghttp2_hd_inflate_del(peer->inflater);
    peer_close(&peer->raw);
}

void h2_add(struct strbuf *out, uint8_t type, uint8_t flags, uint32_t id, const void *payload,
            size_t len)
{
    const char header[9] = { (char)(len >> 16), (char)(len >> 8), (char)len,
                             (char)type,        (char)flags,      (char)(id >> 24),
                             (char)(id >> 16),  (char)(id >> 8),  (char)id };

    strbuf_add(out, weir_str_from(header, sizeof(header)));
    strbuf_add(out, weir_str_from(payload, len));
}

/* RFC 7541, section 5.1, with a prefix of 7 bits. */
static void add_text(struct strbuf *block, const char *text)
{
    size_t len = strlen(text), rest = len;

    if (len < 127) {
        strbuf_add_char(block, (char)len);
    } else {
        strbuf_add_char(block, 127);
        for (rest -= 127; rest >= 128; rest >>= 7)
            strbuf_add_char(block, (char)(rest | 128));
        strbuf_add_char(block, (char)rest);
    }
    strbuf_add_c(block, text);
}

void h2_fields_text(struct strbuf *block, const char *const *fields)
{
    for (; fields && *fields; fields += 2) {
        strbuf_add_char(block, 0);
        add_text(block, fields[0]);
        add_text(block, fields[1]);
    }
}

void h2_add_headers(struct strbuf *out, uint8_t flags, uint32_t id, const char *const *fields)
{
    struct strbuf block = STRBUF_INIT;

    h2_fields_text(&block, fields);
    h2_add(out, NGHTTP2_HEADERS, flags | NGHTTP2_FLAG_END_HEADERS, id, block.ptr, block.len);
    strbuf_done(&block);
}

void h2_add_request(struct strbuf *out, uint32_t id, bool ends, const char *method,
                    const char *path, const char *const *fields)
{
    const char *const own[] = { ":method", method,       ":path", path, ":scheme",
                                "http",    ":authority", "t",     NULL };
    struct strbuf block = STRBUF_INIT;

    h2_fields_text(&block, own);
    h2_fields_text(&block, fields);
    h2_add(out, NGHTTP2_HEADERS,
           (uint8_t)(NGHTTP2_FLAG_END_HEADERS | (ends ? NGHTTP2_FLAG_END_STREAM : 0)), id,
           block.ptr, block.len);
    strbuf_done(&block);
}

void h2_add_word(struct strbuf *out, uint8_t type, uint32_t id, uint32_t word)
{
    const char bytes[4] = { (char)(word >> 24), (char)(word >> 16), (char)(word >> 8), (char)word };

    h2_add(out, type, 0, id, bytes, sizeof(bytes));
}

int h2_say(struct h2_peer *peer, struct strbuf *out)
{
    int rc = peer_send(&peer->raw, out->ptr, out->len);

    strbuf_done(out);
    *out = (struct strbuf)STRBUF_INIT;
    return rc;
}

static int read_bytes(struct h2_peer *peer, size_t from, size_t len)
{
    for (size_t have = 0; have < len;) {
        ssize_t n = recv(peer->raw.fd, peer->raw.in + from + have, len - have, 0);

        if (n <= 0)
            return -1;
        have += (size_t)n;
    }
    return 0;
}

static uint32_t word_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int react(struct h2_peer *peer, const struct h2_frame *f)
{
    struct strbuf out = STRBUF_INIT;

    if (f->type == NGHTTP2_SETTINGS && !(f->flags & NGHTTP2_FLAG_ACK)) {
        h2_add(&out, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, "", 0);
    } else if (f->type == NGHTTP2_PING && !(f->flags & NGHTTP2_FLAG_ACK)) {
        h2_add(&out, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, f->payload, f->len);
    } else if (f->type == NGHTTP2_GOAWAY) {
        peer->goaway = true;
        peer->goaway_last = word_at(f->payload) & 0x7fffffffu;
        peer->goaway_code = word_at(f->payload + 4);
    }
    if (out.len > 0)
        h2_say(peer, &out); /* it may have closed already: what it has sent is still read */
    return 0;
}

int h2_next(struct h2_peer *peer, struct h2_frame *f)
{
    const uint8_t *h = (const uint8_t *)peer->raw.in;

    if (read_bytes(peer, 0, 9) < 0)
        return -1;
    *f = (struct h2_frame){ .len = (uint32_t)h[0] << 16 | (uint32_t)h[1] << 8 | h[2],
                            .type = h[3],
                            .flags = h[4],
                            .id = word_at(h + 5) & 0x7fffffffu,
                            .payload = h + 9 };
    return read_bytes(peer, 9, f->len) < 0 ? -1 : react(peer, f);
}

static int take_headers(struct h2_peer *peer, const struct h2_frame *f, struct h2_answer *a)
{
    const uint8_t *in = f->payload;
    size_t left = f->len, at = strlen(a->fields);
    int flags = 0, status = 0;

    while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
        nghttp2_nv nv;
        ssize_t n = nghttp2_hd_inflate_hd2(peer->inflater, &nv, &flags, in, left, 1);

        if (n < 0)
            return -1;
        in += n;
        left -= (size_t)n;
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT))
            continue;
        if (nv.namelen == 7 && memcmp(nv.name, ":status", 7) == 0)
            status = (int)strtol((char *)nv.value, NULL, 10);
        at += (size_t)snprintf(a->fields + at, sizeof(a->fields) - at, "%.*s: %.*s\n",
                               (int)nv.namelen, nv.name, (int)nv.valuelen, nv.value);
    }
    nghttp2_hd_inflate_end_headers(peer->inflater);
    if (status >= 200)
        a->status = status;
    else if (status > 0)
        a->informed = status;
    return 0;
}

static void take_data(struct h2_peer *peer, const struct h2_frame *f, struct h2_answer *a,
                      bool window)
{
    struct strbuf out = STRBUF_INIT;

    if (a->body && f->len <= a->room - a->body_len)
        memcpy(a->body + a->body_len, f->payload, f->len);
    a->body_len += f->len;
    if (!window || f->len == 0)
        return;
    h2_add_word(&out, NGHTTP2_WINDOW_UPDATE, 0, f->len);
    if (!(f->flags & NGHTTP2_FLAG_END_STREAM))
        h2_add_word(&out, NGHTTP2_WINDOW_UPDATE, f->id, f->len);
    h2_say(peer, &out);
}

int h2_answer(struct h2_peer *peer, uint32_t id, struct h2_answer *a, bool window)
{
    struct h2_frame f;

    while (!a->ended && !a->reset) {
        struct h2_answer other = { 0 };
        struct h2_answer *to;

        if (h2_next(peer, &f) < 0)
            return -1;
        to = f.id == id ? a : &other;
        if (f.type == NGHTTP2_HEADERS && take_headers(peer, &f, to) < 0)
            return -1;
        if (f.type == NGHTTP2_DATA)
            take_data(peer, &f, to, window);
        if (f.id != id)
            continue;
        if (f.type == NGHTTP2_RST_STREAM) {
            a->reset = true;
            a->code = word_at(f.payload);
        }
        a->ended = (f.type == NGHTTP2_HEADERS || f.type == NGHTTP2_DATA) &&
                   f.flags & NGHTTP2_FLAG_END_STREAM;
    }
    return 0;
}

int h2_get(struct h2_peer *peer, uint32_t id, const char *path)
{
    struct strbuf out = STRBUF_INIT;
    struct h2_answer a = { 0 };

    h2_add_request(&out, id, true, "GET", path, NULL);
    if (h2_say(peer, &out) < 0 || h2_answer(peer, id, &a, false) < 0)
        return -1;
    return a.ended ? a.status : -1;
}

int h2_until_end(struct h2_peer *peer)
{
    struct h2_frame f;

    errno = 0;
    while (h2_next(peer, &f) == 0)
        errno = 0;
    return -errno;
}
