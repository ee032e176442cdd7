/* The two forms of a log line.
 *
 * Readable:  12:00:03.114 WARN  message  id 01JD…  trace 7f3a…  task GET /x  key value  error
 * JSON:      {"time":"…","level":"warn","message":"…","correlation_id":"…", …}
 *
 * Why one module: both must hold against hostile text. Nothing that came from
 * outside ends a line, moves a terminal's cursor or leaves a JSON string, and a
 * line over its bound is cut to a shorter one that is still well-formed.
 *
 * Invariants: LINE_TAIL bytes behind end are kept for what closes a line: the
 * last quote, the mark of a line that was cut, the line feed. Once cut is set
 * nothing is added but that. */
#include "obs/log_line.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>

#include "base/utf8.h"
#include "obs/text.h"

#define LINE_TAIL 32

struct out {
    char *at, *end;
    bool json;
    bool cut;     /* the line is full */
    bool clipped; /* a text in it was too long */
};

static size_t room(const struct out *o)
{
    return o->at < o->end ? (size_t)(o->end - o->at) : 0;
}

static bool put(struct out *o, const char *bytes, size_t len)
{
    if (o->cut || room(o) < len) {
        o->cut = true;
        return false;
    }
    memcpy(o->at, bytes, len);
    o->at += len;
    return true;
}

#define PUT(o, literal) put(o, literal, sizeof(literal) - 1)

/* Goes into the tail: for what must not be missing. */
static void put_end(struct out *o, const char *bytes, size_t len)
{
    memcpy(o->at, bytes, len);
    o->at += len;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* A byte that is not plain ASCII and begins no UTF-8 sequence to be copied. */
static void put_escape(struct out *o, unsigned char c, bool quoted)
{
    static const char hex[] = "0123456789abcdef";
    char u[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

    if (c >= 0x80)
        PUT(o, "\xef\xbf\xbd"); /* U+FFFD: malformed UTF-8 */
    else if (c == '\n')
        PUT(o, "\\n");
    else if (c == '\r')
        PUT(o, "\\r");
    else if (c == '\t')
        PUT(o, "\\t");
    else if (c == '"' || c == '\\')
        put(o, quoted ? (char[]){ '\\', (char)c } : (char *)&c, quoted ? 2 : 1);
    else
        put(o, u, 6);
}

/* A terminal may obey C1 controls (U+0080 to U+009F) as it does escapes. */
static bool is_c1(const char *p, size_t n)
{
    return n == 2 && (unsigned char)p[0] == 0xc2 && (unsigned char)p[1] < 0xa0;
}

static void put_text(struct out *o, weir_str s, bool quoted)
{
    size_t i = 0;

    while (i < s.len && !o->cut) {
        size_t run = i;

        while (run < s.len && is_plain((unsigned char)s.ptr[run]))
            run++;
        if (run > i) {
            size_t n = run - i < room(o) ? run - i : room(o);

            put(o, s.ptr + i, n);
            o->cut = n < run - i;
            i = run;
            continue;
        }
        size_t n = utf8_len(weir_str_skip(s, i));

        if (n >= 2 && is_c1(s.ptr + i, n))
            put_escape(o, 0x80, quoted);
        else if (n >= 2)
            put(o, s.ptr + i, n);
        else
            put_escape(o, (unsigned char)s.ptr[i], quoted);
        i += n ? n : 1;
    }
}

/* At most max bytes, not cutting a sequence. */
static weir_str clip(struct out *o, weir_str s, size_t max)
{
    if (s.len <= max)
        return s;
    o->clipped = true;
    while (max > 0 && ((unsigned char)s.ptr[max] & 0xc0) == 0x80)
        max--;
    return weir_str_from(s.ptr, max);
}

/* As a JSON string of at most max bytes of s; false when not even its first
 * quote had room. */
static bool put_quoted(struct out *o, weir_str s, size_t max)
{
    weir_str head = clip(o, s, max);

    if (!PUT(o, "\""))
        return false;
    put_text(o, head, true);
    if (head.len < s.len)
        PUT(o, "…");
    put_end(o, "\"", 1);
    return true;
}

static void put_bare(struct out *o, weir_str s, size_t max)
{
    weir_str head = clip(o, s, max);

    put_text(o, head, false);
    if (head.len < s.len)
        PUT(o, "…");
}

static bool needs_quotes(weir_str s)
{
    if (s.len == 0)
        return true;
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x80 &&
            (!is_plain((unsigned char)s.ptr[i]) || s.ptr[i] == ' '))
            return true;
    return false;
}

/* ---- time ---------------------------------------------------------------- */

static void two(char *out, unsigned value)
{
    out[0] = (char)('0' + value / 10 % 10);
    out[1] = (char)('0' + value % 10);
}

/* The proleptic Gregorian calendar, counted in years that begin in March, so
 * that the leap day is a year's last. */
static void print_date(char out[20], int64_t second)
{
    int64_t days = second / 86400 - (second % 86400 < 0), of_day = second - days * 86400;
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    unsigned month = mp < 10 ? mp + 3 : mp - 9;
    unsigned year = (unsigned)(yoe + (uint64_t)era * 400 + (month <= 2));

    memcpy(out, "yyyy-mm-ddThh:mm:ss", 20);
    two(out, year / 100);
    two(out + 2, year);
    two(out + 5, month);
    two(out + 8, doy - (153 * mp + 2) / 5 + 1);
    two(out + 11, (unsigned)(of_day / 3600));
    two(out + 14, (unsigned)(of_day / 60 % 60));
    two(out + 17, (unsigned)(of_day % 60));
}

/* "2026-01-31T12:00:03.114" */
static void print_time(struct log_work *work, int64_t wall_ns, char out[23])
{
    int64_t second = wall_ns / 1000000000 - (wall_ns % 1000000000 < 0);
    unsigned ms = (unsigned)((wall_ns - second * 1000000000) / 1000000);

    if (!work->dated || work->second != second) {
        print_date(work->date, second);
        work->second = second;
        work->dated = true;
    }
    memcpy(out, work->date, 19);
    out[19] = '.';
    out[20] = (char)('0' + ms / 100);
    two(out + 21, ms % 100);
}

/* ---- parts --------------------------------------------------------------- */

static void put_number(struct out *o, const weir_log_field *f)
{
    char text[TEXT_NUMBER_BYTES];

    switch (f->kind) {
    case WEIR_FIELD_I64:
    case WEIR_FIELD_FAILURE: put(o, text, text_i64(text, f->value.i64)); break;
    case WEIR_FIELD_U64: put(o, text, text_u64(text, f->value.u64)); break;
    case WEIR_FIELD_F64:
        if (isfinite(f->value.f64))
            put(o, text, text_f64(text, f->value.f64));
        else if (o->json)
            PUT(o, "null"); /* RFC 8259, section 6: no infinities, no NaN */
        else
            put(o, text, (size_t)snprintf(text, sizeof text, "%f", f->value.f64));
        break;
    default: put(o, f->value.yes ? "true" : "false", f->value.yes ? 4 : 5);
    }
}

static bool is_reserved(const char *name)
{
    static const char *const names[] = { "time",           "level",     "message",
                                         "correlation_id", "trace_id",  "span_id",
                                         "task",           "truncated", "error.type",
                                         "error.message",  "error.site" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* `,"name":` whole, or nothing. */
static bool json_name(struct out *o, const char *name, bool ours)
{
    char *at = o->at;

    PUT(o, ",\"");
    put_text(o, weir_str_c(name), true);
    if (!ours && is_reserved(name))
        PUT(o, "_");
    PUT(o, "\":");
    if (o->cut)
        o->at = at;
    return !o->cut;
}

static void json_value(struct out *o, const char *name, const weir_log_field *f, bool ours)
{
    char *at = o->at;

    if (!json_name(o, name, ours))
        return;
    if (f->kind == WEIR_FIELD_STR && f->value.str.ptr) {
        if (!put_quoted(o, f->value.str, ours ? LOG_MESSAGE_BYTES : LOG_VALUE_BYTES))
            o->at = at;
        return;
    }
    if (f->kind == WEIR_FIELD_STR)
        PUT(o, "null");
    else
        put_number(o, f);
    if (o->cut)
        o->at = at;
}

static void json_text(struct out *o, const char *name, weir_str s)
{
    weir_log_field f = weir_field_str(name, s);

    if (s.len > 0)
        json_value(o, name, &f, true);
}

static void text_value(struct out *o, const weir_log_field *f)
{
    PUT(o, "  ");
    put_text(o, weir_str_c(f->name), false);
    PUT(o, " ");
    if (f->kind != WEIR_FIELD_STR)
        put_number(o, f);
    else if (needs_quotes(f->value.str))
        put_quoted(o, f->value.str, LOG_VALUE_BYTES);
    else
        put_bare(o, f->value.str, LOG_VALUE_BYTES);
}

static void text_part(struct out *o, const char *name, weir_str s)
{
    if (s.len == 0)
        return;
    PUT(o, "  ");
    put(o, name, strlen(name));
    PUT(o, " ");
    put_bare(o, s, LOG_VALUE_BYTES);
}

/* ---- lines --------------------------------------------------------------- */

/* Where the failure was found; NULL without a chain. */
static const char *chain_site(const struct chain *chain)
{
    return chain && chain->count > 0 ? chain->links[0].site : NULL;
}

static weir_str chain_sentence(struct log_work *work, const struct log_event *e)
{
    size_t n = e->chain ? chain_print(e->chain, work->chain, sizeof work->chain) : 0;

    return weir_str_from(work->chain, n < sizeof work->chain ? n : sizeof work->chain - 1);
}

static void json_line(struct log_work *work, struct out *o, const struct log_event *e)
{
    static const weir_context none;
    const weir_context *c = e->context ? e->context : &none;
    const char *level = weir_log_level_name(e->level);
    char time[23];
    size_t count = e->field_count < LOG_FIELDS ? e->field_count : LOG_FIELDS;

    print_time(work, e->wall_ns, time);
    PUT(o, "{\"time\":\"");
    put(o, time, sizeof time);
    PUT(o, "Z\",\"level\":\"");
    put(o, level, strlen(level));
    PUT(o, "\",\"message\":");
    put_quoted(o, e->message, LOG_MESSAGE_BYTES);
    json_text(o, "correlation_id", c->correlation_id);
    json_text(o, "trace_id", c->trace_id);
    json_text(o, "span_id", c->span_id);
    json_text(o, "task", weir_str_c(e->task));
    if (e->code != 0) {
        json_text(o, "error.type", weir_str_c(weir_error_name(e->code)));
        json_text(o, "error.message", chain_sentence(work, e));
        json_text(o, "error.site", weir_str_c(chain_site(e->chain)));
    }
    for (size_t i = 0; i < count; i++)
        if (e->fields[i].kind != WEIR_FIELD_FAILURE)
            json_value(o, e->fields[i].name, &e->fields[i], false);
    if (o->cut || o->clipped || count < e->field_count)
        put_end(o, ",\"truncated\":true", 17);
    put_end(o, "}\n", 2);
}

static void text_level(struct out *o, weir_log_level level, bool colour)
{
    static const char *const names[] = { "?    ", "ERROR", "WARN ", "INFO ", "DEBUG" };
    static const char *const colours[] = { "\x1b[0m", "\x1b[31m", "\x1b[33m", "\x1b[32m",
                                           "\x1b[2m" };
    unsigned i = level >= WEIR_LOG_ERROR && level <= WEIR_LOG_DEBUG ? level : 0;

    PUT(o, " ");
    if (colour)
        put(o, colours[i], strlen(colours[i]));
    put(o, names[i], 5);
    if (colour)
        PUT(o, "\x1b[0m");
    PUT(o, " ");
}

/* The chain's sentence and where it began, or what the code means. */
static void text_failure(struct log_work *work, struct out *o, const struct log_event *e)
{
    weir_str sentence = chain_sentence(work, e);
    const char *site = chain_site(e->chain), *name = weir_error_name(e->code);

    PUT(o, "  ");
    if (sentence.len == 0) {
        put_text(o, weir_str_c(weir_error_text(e->code)), false);
        PUT(o, " (");
        put_text(o, weir_str_c(name), false);
        PUT(o, ")");
        return;
    }
    put_text(o, sentence, false);
    if (!site || memmem(sentence.ptr, sentence.len, site, strlen(site)))
        return;
    PUT(o, " (");
    put_text(o, weir_str_c(site), false);
    PUT(o, ")");
}

static void text_line(struct log_work *work, struct out *o, struct log_style style,
                      const struct log_event *e)
{
    static const weir_context none;
    const weir_context *c = e->context ? e->context : &none;
    size_t count = e->field_count < LOG_FIELDS ? e->field_count : LOG_FIELDS;
    char time[23];

    print_time(work, e->wall_ns, time);
    put(o, time + 11, 12);
    text_level(o, e->level, style.colour);
    put_bare(o, e->message, LOG_MESSAGE_BYTES);
    text_part(o, "id", c->correlation_id);
    text_part(o, "trace", c->trace_id);
    text_part(o, "task", weir_str_c(e->task));
    for (size_t i = 0; i < count; i++)
        if (e->fields[i].kind != WEIR_FIELD_FAILURE)
            text_value(o, &e->fields[i]);
    if (e->code != 0)
        text_failure(work, o, e);
    if (o->cut || count < e->field_count)
        put_end(o, " …", 4);
    put_end(o, "\n", 1);
}

size_t log_line(struct log_work *work, struct log_style style, const struct log_event *event)
{
    struct out o = { .at = work->line,
                     .end = work->line + sizeof work->line - LINE_TAIL,
                     .json = style.json };

    if (style.json)
        json_line(work, &o, event);
    else
        text_line(work, &o, style, event);
    return (size_t)(o.at - work->line);
}
