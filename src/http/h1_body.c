/* Decoding a body: by length, chunked (RFC 9112, section 7.1), until the end.
 *
 * Why its own module: request smuggling lives here. Server and client both feed
 * it bytes; it reaches no socket, clock or allocator.
 *
 * States: LENGTH -> DONE; CLOSE -> DONE at the end of the stream; and
 *   SIZE -> DIGITS [-> EXT …] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE …
 *   after the size 0: -> LINE [-> NAME -> VALUE -> VALUE_LF -> LINE …] -> END_LF -> DONE
 * any but DONE -> BAD.
 *
 * Invariants: remain is non-zero only in LENGTH, DIGITS to SIZE_LF, and DATA;
 * taken <= max_bytes; DONE and BAD are final. Framing is read a byte at a time,
 * so that it can be cut anywhere; content is skipped over at once. */
#include "http/h1_body.h"

#include <weir/error.h>

#include "http/scan.h"

enum {
    LENGTH,
    CLOSE,
    SIZE,      /* before the first digit */
    DIGITS,
    EXT,       /* behind ';': the first byte of an extension's name */
    EXT_NAME,
    EXT_EQUAL, /* behind '=' */
    EXT_TOKEN,
    EXT_QUOTED,
    EXT_ESCAPE,
    EXT_AFTER, /* behind a closing quote */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    LINE, /* at the start of a trailer line */
    NAME,
    VALUE,
    VALUE_LF,
    END_LF,
    DONE,
    BAD
};

#define DIGITS_MAX 16

enum rule {
    RULE_NONE,
    RULE_MAX,
    RULE_SIZE,
    RULE_SIZE_OVER,
    RULE_SIZE_END,
    RULE_EXT,
    RULE_EXT_LIMIT,
    RULE_LINE_LF,
    RULE_DATA_END,
    RULE_FOLD,
    RULE_NAME,
    RULE_FORBIDDEN,
    RULE_VALUE,
    RULE_TRAILER_LIMIT
};

static const struct {
    int code, status;
    const char *rule, *section;
} rules[] = {
    [RULE_NONE] = { 0, 0, "", "" },
    [RULE_MAX] = { WEIR_EBODYSIZE, 413, "the body is too long", "limit" },
    [RULE_SIZE] = { WEIR_EBODY, 400, "a chunk size that does not begin with a hexadecimal digit",
                    "RFC 9112, section 7.1" },
    [RULE_SIZE_OVER] = { WEIR_EBODY, 400, "a chunk size beyond 2^63 - 1 or 16 digits",
                         "RFC 9112, section 7.1" },
    [RULE_SIZE_END] = { WEIR_EBODY, 400, "a chunk size that CRLF or ';' does not follow",
                        "RFC 9112, section 7.1" },
    [RULE_EXT] = { WEIR_EBODY, 400, "a malformed chunk extension", "RFC 9112, section 7.1.1" },
    [RULE_EXT_LIMIT] = { WEIR_EBODYSIZE, 431, "too many bytes of chunk extensions", "limit" },
    [RULE_LINE_LF] = { WEIR_EBODY, 400, "a CR that no LF follows", "RFC 9112, section 2.2" },
    [RULE_DATA_END] = { WEIR_EBODY, 400, "chunk data that CRLF does not follow",
                        "RFC 9112, section 7.1" },
    [RULE_FOLD] = { WEIR_EBODY, 400, "a trailer line that begins with white space",
                    "RFC 9112, section 5.2" },
    [RULE_NAME] = { WEIR_EBODY, 400, "a malformed trailer field name", "RFC 9112, section 5.1" },
    [RULE_FORBIDDEN] = { WEIR_EBODY, 400, "a field that may not stand in a trailer section",
                         "RFC 9110, section 6.5.1" },
    [RULE_VALUE] = { WEIR_EBODY, 400, "a control byte, or LF alone, in a trailer field",
                     "RFC 9110, section 5.5" },
    [RULE_TRAILER_LIMIT] = { WEIR_EBODYSIZE, 431, "the trailer section is too long", "limit" },
};

static uint32_t or_default(uint32_t limit, uint32_t fallback)
{
    return limit ? limit : fallback;
}

void h1_body_init(struct h1_body *body, const struct http_head *head,
                  const struct http_limits *limits, uint64_t max_bytes)
{
    static const struct http_limits defaults;
    static const uint8_t begin[] = { [HTTP_BODY_NONE] = DONE,
                                     [HTTP_BODY_LENGTH] = LENGTH,
                                     [HTTP_BODY_CHUNKED] = SIZE,
                                     [HTTP_BODY_UNTIL_CLOSE] = CLOSE };

    limits = limits ? limits : &defaults;
    *body = (struct h1_body){
        .max_bytes = max_bytes,
        .ext_left = or_default(limits->chunk_ext_bytes, HTTP_CHUNK_EXT_BYTES),
        .trailer_left = or_default(limits->trailer_bytes, HTTP_TRAILER_BYTES),
        .state = begin[head->body],
    };
    if (head->body == HTTP_BODY_LENGTH)
        body->remain = (uint64_t)head->content_length;
}

/* Every step returns the rule that the byte breaks, or RULE_NONE. */
static enum rule to(struct h1_body *b, uint8_t state)
{
    b->state = state;
    return RULE_NONE;
}

static uint8_t hex_value(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* 1*HEXDIG, nothing before it. */
static enum rule step_digit(struct h1_body *b, char c)
{
    if (b->digits >= DIGITS_MAX || b->remain > (uint64_t)INT64_MAX >> 4)
        return RULE_SIZE_OVER;
    b->digits++;
    b->remain = b->remain << 4 | hex_value(c);
    return to(b, DIGITS);
}

static enum rule step_size(struct h1_body *b, char c)
{
    if (scan_is(c, SCAN_HEX))
        return step_digit(b, c);
    if (b->state == SIZE)
        return RULE_SIZE;
    if (c == '\r')
        return to(b, SIZE_LF);
    return c == ';' ? to(b, EXT) : RULE_SIZE_END;
}

/* What may follow an extension's name or value. */
static enum rule step_ext_end(struct h1_body *b, char c)
{
    if (c == '\r')
        return to(b, SIZE_LF);
    return c == ';' ? to(b, EXT) : RULE_EXT;
}

static enum rule step_quoted(struct h1_body *b, char c)
{
    if (!scan_value_byte(c))
        return RULE_EXT;
    if (b->state == EXT_ESCAPE)
        return to(b, EXT_QUOTED);
    return to(b, c == '"' ? EXT_AFTER : c == '\\' ? EXT_ESCAPE : EXT_QUOTED);
}

/* *( ";" name [ "=" ( token / quoted-string ) ] ), without the "bad" white space
 * that the grammar lets a recipient accept: its readings differ. */
static enum rule step_ext(struct h1_body *b, char c)
{
    bool token = scan_is(c, SCAN_TOKEN);

    if (b->ext_left-- == 0)
        return RULE_EXT_LIMIT;
    switch (b->state) {
    case EXT: return token ? to(b, EXT_NAME) : RULE_EXT;
    case EXT_NAME: return token ? RULE_NONE : c == '=' ? to(b, EXT_EQUAL) : step_ext_end(b, c);
    case EXT_EQUAL: return token ? to(b, EXT_TOKEN) : c == '"' ? to(b, EXT_QUOTED) : RULE_EXT;
    case EXT_TOKEN: return token ? RULE_NONE : step_ext_end(b, c);
    case EXT_AFTER: return step_ext_end(b, c);
    default: return step_quoted(b, c);
    }
}

/* The size line is complete: data, or the trailer section. */
static enum rule step_size_lf(struct h1_body *b, char c)
{
    if (c != '\n')
        return RULE_LINE_LF;
    if (b->remain > b->max_bytes - b->taken)
        return RULE_MAX;
    return to(b, b->remain ? DATA : LINE);
}

static enum rule step_data_end(struct h1_body *b, char c)
{
    if (c != (b->state == DATA_CR ? '\r' : '\n'))
        return RULE_DATA_END;
    b->digits = 0;
    return to(b, b->state == DATA_CR ? DATA_LF : SIZE);
}

/* A name is kept only to look it up; a longer one than fits is not a known one. */
static enum rule step_name(struct h1_body *b, char c)
{
    if (c == ':') {
        bool kept = b->name_len <= sizeof b->name;
        enum http_field_id id = kept ? http_field_find(weir_str_from(b->name, b->name_len))
                                     : HTTP_FIELD_OTHER;

        return http_field_forbidden_in_trailer(id) ? RULE_FORBIDDEN : to(b, VALUE);
    }
    if (!scan_is(c, SCAN_TOKEN))
        return RULE_NAME;
    if (b->name_len < sizeof b->name)
        b->name[b->name_len] = c;
    if (b->name_len <= sizeof b->name)
        b->name_len++;
    return RULE_NONE;
}

static enum rule step_line(struct h1_body *b, char c)
{
    if (c == '\r')
        return to(b, END_LF);
    if (c == ' ' || c == '\t')
        return RULE_FOLD;
    if (c == ':')
        return RULE_NAME;
    if (b->fields >= HTTP_FIELDS_MAX)
        return RULE_TRAILER_LIMIT;
    b->fields++;
    b->name_len = 0;
    b->state = NAME;
    return step_name(b, c);
}

static enum rule step_trailer(struct h1_body *b, char c)
{
    if (b->trailer_left-- == 0)
        return RULE_TRAILER_LIMIT;
    switch (b->state) {
    case LINE: return step_line(b, c);
    case NAME: return step_name(b, c);
    case VALUE: return c == '\r' ? to(b, VALUE_LF) : scan_value_byte(c) ? RULE_NONE : RULE_VALUE;
    case VALUE_LF: return c == '\n' ? to(b, LINE) : RULE_LINE_LF;
    default: return c == '\n' ? to(b, DONE) : RULE_LINE_LF;
    }
}

static enum rule step(struct h1_body *b, char c)
{
    switch (b->state) {
    case SIZE:
    case DIGITS: return step_size(b, c);
    case SIZE_LF: return step_size_lf(b, c);
    case DATA_CR:
    case DATA_LF: return step_data_end(b, c);
    case LINE:
    case NAME:
    case VALUE:
    case VALUE_LF:
    case END_LF: return step_trailer(b, c);
    default: return step_ext(b, c);
    }
}

static int fail(struct h1_body *b, enum rule rule, size_t offset, struct h1_fault *ret_fault)
{
    b->state = BAD;
    b->rule = (uint8_t)rule;
    *ret_fault = (struct h1_fault){ rules[rule].rule, rules[rule].section, rules[rule].status,
                                    offset };
    return rules[rule].code;
}

static bool content_state(uint8_t state)
{
    return state == LENGTH || state == CLOSE || state == DATA;
}

static bool trailer_state(uint8_t state)
{
    return state >= LINE && state <= END_LF;
}

/* Lend what there is of the content; rest is not empty. */
static enum rule take(struct h1_body *b, weir_str rest, weir_str *ret_slice)
{
    uint64_t n = rest.len;

    if (b->state != CLOSE) {
        if (b->state == LENGTH && b->remain > b->max_bytes - b->taken)
            return RULE_MAX;
        n = n < b->remain ? n : b->remain;
        b->remain -= n;
        if (b->remain == 0)
            b->state = b->state == DATA ? DATA_CR : DONE;
    } else {
        if (b->taken == b->max_bytes)
            return RULE_MAX;
        n = n < b->max_bytes - b->taken ? n : b->max_bytes - b->taken;
    }
    b->taken += n;
    *ret_slice = weir_str_from(rest.ptr, (size_t)n);
    return RULE_NONE;
}

int h1_body_feed(struct h1_body *b, weir_str in, size_t *ret_used, weir_str *ret_slice,
                 struct h1_fault *ret_fault)
{
    weir_str none = { NULL, 0 }, slice = none;
    enum rule rule = (enum rule)b->rule;
    size_t i = 0;

    b->trailer_at = trailer_state(b->state) ? 0 : UINT32_MAX;
    while (b->state != BAD && b->state != DONE && i < in.len && !slice.len) {
        if (content_state(b->state)) {
            rule = take(b, weir_str_skip(in, i), &slice);
        } else {
            rule = step(b, in.ptr[i]);
            if (b->state == LINE && b->trailer_at == UINT32_MAX)
                b->trailer_at = (uint32_t)i + 1;
        }
        if (rule)
            break;
        i += slice.len ? slice.len : 1;
    }
    if (rule)
        return fail(b, rule, i, ret_fault);
    *ret_used = i;
    *ret_slice = slice;
    if (slice.len)
        return H1_BODY_DATA;
    return b->state == DONE ? H1_BODY_END : H1_BODY_MORE;
}

int h1_body_eof(struct h1_body *b)
{
    if (b->state == BAD)
        return rules[b->rule].code;
    if (b->state == CLOSE)
        b->state = DONE;
    return b->state == DONE ? H1_BODY_END : WEIR_ETRUNCATED;
}

bool h1_body_complete(const struct h1_body *b)
{
    return b->state == DONE;
}
