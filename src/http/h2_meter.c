/* Counting frames; see h2_meter.h.
 *
 * The frame headers are read here once more, before nghttp2 reads them: it leaves the
 * check of a stream identifier that is smaller than an earlier one to its user (RFC
 * 9113, section 5.1.1), tells nobody of CONTINUATION frames, and must not have worked on
 * what breaks a limit.
 *
 * A bucket is kept as the moment at which it will be full again: each token moves that
 * moment on, and it may lie only so far ahead of now.
 *
 * Invariants: have < 9; continuations and block_bytes count from the last HEADERS frame;
 * once there is a verdict, nothing changes it. */
#include "http/h2_meter.h"

#include <string.h>

#include <nghttp2/nghttp2.h>

#define SECOND_NS INT64_C(1000000000)
#define PREFACE_BYTES 24
#define FRAME_SETTINGS_ENTRY 6

void h2_meter_init(struct h2_meter *m)
{
    memset(m, 0, sizeof(*m));
    m->preface = PREFACE_BYTES;
}

void h2_meter_judge(struct h2_meter *m, const char *rule, uint32_t code)
{
    if (!m->verdict.rule)
        m->verdict = (struct h2_verdict){ rule, code };
}

/* Take from a bucket; false when it does not hold so much. */
static bool bucket_take(int64_t *full_ns, int64_t amount, int64_t max, int64_t per_s,
                        int64_t now_ns)
{
    if (*full_ns < now_ns)
        *full_ns = now_ns;
    *full_ns += amount * SECOND_NS / per_s;
    return *full_ns - now_ns <= max * SECOND_NS / per_s;
}

void h2_meter_charge(struct h2_meter *m, enum h2_points points, const char *rule, int64_t now_ns)
{
    if (!bucket_take(&m->score_ns, (int64_t)points, H2_SCORE_MAX, H2_SCORE_PER_S, now_ns))
        h2_meter_judge(m, rule, NGHTTP2_ENHANCE_YOUR_CALM);
}

void h2_meter_reset(struct h2_meter *m, int64_t now_ns)
{
    if (!bucket_take(&m->resets_ns, 1, H2_RESETS_MAX, H2_RESETS_PER_S, now_ns))
        h2_meter_judge(m, "too many streams that were reset", NGHTTP2_ENHANCE_YOUR_CALM);
    h2_meter_charge(m, H2_POINTS_RESET, "too many streams that were reset", now_ns);
}

static uint32_t frame_id(const struct h2_meter *m)
{
    const uint8_t *h = m->header;

    return ((uint32_t)h[5] << 24 | (uint32_t)h[6] << 16 | (uint32_t)h[7] << 8 | h[8]) & 0x7fffffffu;
}

/* ---- stream identifiers ---------------------------------------------------------------- */

static bool was_skipped(const struct h2_meter *m, uint32_t id)
{
    for (size_t i = 0; i < H2_SKIPPED_RANGES; i++)
        if (m->skipped[i].from != 0 && id >= m->skipped[i].from && id <= m->skipped[i].to)
            return true;
    return false;
}

/* RFC 9113, section 5.1.1: a new stream's identifier is greater than all before. One that
 * is smaller may carry trailers, also of a stream that we have reset and they have not
 * heard of yet; but not when no stream had it. */
static void stream_id(struct h2_meter *m, uint32_t id)
{
    if ((id & 1) == 0)
        return; /* the library refuses it */
    if (id > m->highest) {
        if (id > m->highest + 2) {
            m->skipped[m->skipped_next].from = m->highest + 1;
            m->skipped[m->skipped_next].to = id - 1;
            m->skipped_next = (uint8_t)((m->skipped_next + 1) % H2_SKIPPED_RANGES);
        }
        m->highest = id;
    } else if (was_skipped(m, id)) {
        h2_meter_judge(m, "a stream identifier smaller than an earlier one",
                       NGHTTP2_PROTOCOL_ERROR);
    }
}

/* ---- frames ------------------------------------------------------------------------------ */

/* Is the frame one for a stream that was opened before? Whether it is open still is for
 * the library to say, once it has had what came before. */
static bool has_question(const struct h2_meter *m, uint8_t type, uint32_t id)
{
    return (type == NGHTTP2_DATA || type == NGHTTP2_HEADERS) && id & 1 && id <= m->highest &&
           !was_skipped(m, id);
}

/* The payload's first word. RFC 9113, section 6.9: an increment of 0 is an error; RFC
 * 7540, section 5.3.1: so is a stream that depends on itself. Both are the stream's, and
 * taken for the connection's (RFC 9113, section 5.4.2): only who wants resets does it. */
static void word(struct h2_meter *m)
{
    uint32_t value = m->word & 0x7fffffffu;

    if (m->header[3] == NGHTTP2_WINDOW_UPDATE && value == 0)
        h2_meter_judge(m, "a WINDOW_UPDATE by 0", NGHTTP2_PROTOCOL_ERROR);
    else if (m->header[3] == NGHTTP2_PRIORITY && value == frame_id(m))
        h2_meter_judge(m, "a stream that depends on itself", NGHTTP2_PROTOCOL_ERROR);
}

static void header_block(struct h2_meter *m, uint8_t flags, uint32_t length)
{
    m->block_bytes += length;
    m->in_block = !(flags & NGHTTP2_FLAG_END_HEADERS);
}

bool h2_meter_partial(const struct h2_meter *m)
{
    bool body = m->left > 0 && m->header[3] == NGHTTP2_DATA;

    return m->preface > 0 || m->in_block || m->have > 0 || (m->left > 0 && !body);
}

/* A frame's header is complete. */
static void frame(struct h2_meter *m, int64_t now_ns)
{
    const uint8_t *h = m->header;
    uint32_t length = (uint32_t)h[0] << 16 | (uint32_t)h[1] << 8 | h[2];
    uint32_t id = frame_id(m);
    uint8_t type = h[3], flags = h[4];

    m->left = length;
    m->word = 0;
    m->word_left = (type == NGHTTP2_WINDOW_UPDATE && length == 4) ||
                           (type == NGHTTP2_PRIORITY && length == 5)
                       ? 4
                       : 0;
    m->frames++;
    switch (type) {
    case NGHTTP2_HEADERS:
        m->continuations = 0;
        m->block_bytes = 0;
        header_block(m, flags, length);
        stream_id(m, id);
        break;
    case NGHTTP2_CONTINUATION:
        m->continuations++;
        if (m->continuations == H2_CONTINUATIONS_MAX && !(flags & NGHTTP2_FLAG_END_HEADERS))
            h2_meter_judge(m, "a header block of more than 8 CONTINUATION frames",
                           NGHTTP2_ENHANCE_YOUR_CALM);
        header_block(m, flags, length);
        break;
    case NGHTTP2_SETTINGS:
        if (length > H2_SETTINGS_MAX * FRAME_SETTINGS_ENTRY)
            h2_meter_judge(m, "a SETTINGS frame of more than 32 settings",
                           NGHTTP2_ENHANCE_YOUR_CALM);
        if (!(flags & NGHTTP2_FLAG_ACK))
            h2_meter_charge(m, H2_POINTS_SETTINGS, "too many SETTINGS frames", now_ns);
        break;
    case NGHTTP2_PING:
        if (!(flags & NGHTTP2_FLAG_ACK))
            h2_meter_charge(m, H2_POINTS_PING, "too many PING frames", now_ns);
        break;
    case NGHTTP2_PRIORITY:
        if (id == 0)
            h2_meter_judge(m, "a PRIORITY frame of no stream", NGHTTP2_PROTOCOL_ERROR);
        /* fall through */
    case NGHTTP2_PRIORITY_UPDATE:
        h2_meter_charge(m, H2_POINTS_PRIORITY, "too many PRIORITY frames", now_ns);
        break;
    case NGHTTP2_RST_STREAM: h2_meter_reset(m, now_ns); break;
    case NGHTTP2_DATA:
    case NGHTTP2_WINDOW_UPDATE: break;
    default:
        h2_meter_charge(m, H2_POINTS_UNKNOWN_FRAME, "too many frames of unknown types", now_ns);
        break;
    }
}

size_t h2_meter_feed(struct h2_meter *m, const uint8_t *bytes, size_t len, int64_t now_ns)
{
    size_t i = m->preface < len ? m->preface : len;

    m->preface = (uint8_t)(m->preface - i);
    while (i < len && !m->verdict.rule) {
        size_t n = m->left < len - i ? m->left : len - i;

        for (size_t k = 0; k < n && m->word_left > 0; k++) {
            m->word = m->word << 8 | bytes[i + k];
            if (--m->word_left == 0)
                word(m);
        }
        if (m->verdict.rule)
            break;
        m->left -= (uint32_t)n;
        i += n;
        if (i == len)
            break;
        m->header[m->have++] = bytes[i];
        if (m->have == sizeof(m->header)) {
            if (!m->asked && has_question(m, m->header[3], frame_id(m))) {
                m->have--;
                m->asked = true;
                m->asks = frame_id(m);
                m->asks_headers = m->header[3] == NGHTTP2_HEADERS;
                return i;
            }
            m->asked = false;
            m->have = 0;
            frame(m, now_ns);
            if (m->verdict.rule)
                return i;
        }
        i++;
    }
    return i;
}
