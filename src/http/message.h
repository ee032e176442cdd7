/* The message model: one shape for the head of a request or a response, shared
 * by server and client and by every version of HTTP.
 *
 * A head owns nothing. Its slices point into the input that it was parsed from
 * (or into literals), and live as long as that. It is about 2.7 KiB, so that a
 * connection borrows one from its exchange's arena when the first byte of a
 * head arrives, and holds none while it is idle.
 *
 * Invariants of a head that a parser has accepted:
 *   - every name is a token, every value holds no control byte but HTAB and has
 *     no white space at its ends;
 *   - first[id] is 1 + the index of the first field with that id, 0 for none,
 *     and each field's next leads on to the next field with the same id;
 *   - body says where the body ends, from the whole head (RFC 9112, section
 *     6.3); nobody looks at Content-Length or Transfer-Encoding again. */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/str.h>

#include "http/names.h"

/* The hard bound of a head's fields; http_limits.fields may only lower it. */
#define HTTP_FIELDS_MAX 100

/* Every limit of the parsers. 0 means the default, so that {0} is safe. */
struct http_limits {
    uint32_t head_bytes;        /* a head, first line and both ends included: 32 KiB;
                                   at most 64 KiB - 1 */
    uint32_t target_bytes;      /* a request's target: 8 KiB */
    uint32_t fields;            /* fields of a head: 100, which is also the most */
    uint32_t chunk_ext_bytes;   /* chunk extensions, over a whole body: 16 KiB */
    uint32_t trailer_bytes;     /* a trailer section: 8 KiB */
};

#define HTTP_HEAD_BYTES (32u << 10)
#define HTTP_TARGET_BYTES (8u << 10)
#define HTTP_CHUNK_EXT_BYTES (16u << 10)
#define HTTP_TRAILER_BYTES (8u << 10)

/* One field; 24 bytes. Read it through http_field_name() and _value(). */
struct http_field {
    const char *name;
    const char *value;
    uint32_t value_len;
    uint16_t name_len;
    uint8_t id;   /* enum http_field_id; HTTP_FIELD_OTHER when not a known one */
    uint8_t next; /* 1 + the index of the next field with this known id, or 0 */
};

/* Where the body ends. */
enum http_body_kind {
    HTTP_BODY_NONE,       /* none, whatever content_length says (HEAD, 304 …) */
    HTTP_BODY_LENGTH,     /* after content_length bytes (> 0) */
    HTTP_BODY_CHUNKED,    /* where the chunked coding says */
    HTTP_BODY_UNTIL_CLOSE /* a response's only: at the orderly end of the stream */
};

struct http_head {
    /* A request's. target is as received; path and query are its parts, neither
     * decoded. The path begins with '/', or is "*" (OPTIONS only); a query with
     * a NULL pointer is absent, "/a?" has an empty one. authority is the
     * absolute target's, else Host's: "host[:port]"; host is without the port
     * (an IPv6 literal keeps its brackets), port is 0 when not given. All three
     * are absent in an HTTP/1.0 request that names no host. */
    weir_str method_text;
    weir_str target;
    weir_str path;
    weir_str query;
    weir_str authority;
    weir_str host;

    weir_str reason; /* a response's; may be empty */

    int64_t content_length; /* the field's value; -1 when there is none */
    uint16_t port;
    uint16_t status;       /* a response's, 100 to 599; 0 in a request */
    uint8_t method;        /* enum http_method; a response: of the request it answers */
    uint8_t version_minor; /* of HTTP/1: 0 or 1 */
    uint8_t body;          /* enum http_body_kind */
    uint8_t field_count;

    bool chunked;         /* Transfer-Encoding: chunked */
    bool keep_alive;      /* the sender lets the connection serve another message */
    bool expect_continue; /* a request with a body that waits for 100 (Continue) */
    bool upgrade;         /* request: Upgrade and Connection: upgrade, HTTP/1.1, no body;
                             response: 101, or 2xx to CONNECT: what follows is not HTTP */
    bool upgrade_body;    /* a request that asks for an upgrade and has a body: answer it
                             as if it had not asked, never switch */
    bool absolute;        /* the target was in absolute-form */
    bool secure;          /* … with the scheme https */

    uint8_t first[HTTP_FIELD_ID_COUNT];
    struct http_field fields[HTTP_FIELDS_MAX];
};

/* Which rule of the protocol an input broke, for the answer and the log line:
 *   "400: two Host fields (RFC 9112, section 3.2), byte 52". */
struct h1_fault {
    const char *rule;    /* a phrase, static */
    const char *section; /* "RFC 9112, section 3.2", static; or "limit" */
    int status;          /* what a server answers; 502 where a response was at fault */
    size_t offset;       /* in the input of that call: the byte, or the line's first */
};

/* Make a head empty: no fields, no body, content_length -1. The field array
 * itself is not touched. */
void http_head_init(struct http_head *head);

/* Append a field (used by parsers and by HTTP/2; checks nothing but the bound).
 * Returns 0, or WEIR_EHEADSIZE at HTTP_FIELDS_MAX. */
int http_head_add(struct http_head *head, weir_str name, weir_str value, enum http_field_id id);

/* The repeated field at `place` (1 + its index) joins the chain of its id. */
void http_head_link_repeat(struct http_head *head, enum http_field_id id, uint8_t place);

/* http_head_add() for a parser that has checked the bounds itself. */
static inline void http_head_put(struct http_head *head, weir_str name, weir_str value,
                                 enum http_field_id id)
{
    struct http_field *f = &head->fields[head->field_count++];

    f->name = name.ptr;
    f->value = value.ptr;
    f->value_len = (uint32_t)value.len;
    f->name_len = (uint16_t)name.len;
    f->id = (uint8_t)id;
    f->next = 0;
    if (id == HTTP_FIELD_OTHER)
        return;
    if (head->first[id])
        http_head_link_repeat(head, id, head->field_count);
    else
        head->first[id] = head->field_count;
}

static inline weir_str http_field_name(const struct http_field *f)
{
    return weir_str_from(f->name, f->name_len);
}

static inline weir_str http_field_value(const struct http_field *f)
{
    return weir_str_from(f->value, f->value_len);
}

/* The first field of a known name, or NULL; http_field_next() leads to the
 * others of that name, in order:
 *     for (f = http_field_first(h, HTTP_COOKIE); f; f = http_field_next(h, f)) */
static inline const struct http_field *http_field_first(const struct http_head *head,
                                                        enum http_field_id id)
{
    return head->first[id] ? &head->fields[head->first[id] - 1] : NULL;
}

static inline const struct http_field *http_field_next(const struct http_head *head,
                                                       const struct http_field *f)
{
    return f->next ? &head->fields[f->next - 1] : NULL;
}

static inline bool http_has(const struct http_head *head, enum http_field_id id)
{
    return head->first[id] != 0;
}

/* The first value of a known name; the absent slice (NULL) when there is none,
 * an empty slice with a pointer when the value is empty. */
static inline weir_str http_field(const struct http_head *head, enum http_field_id id)
{
    const struct http_field *f = http_field_first(head, id);

    return f ? http_field_value(f) : weir_str_from(NULL, 0);
}

/* The first field of any name after `after` (NULL: from the start), without
 * regard to case; NULL when there is none. Known names cost O(1). */
const struct http_field *http_field_named(const struct http_head *head, weir_str name,
                                          const struct http_field *after);

/* Whether the comma-separated lists of that known name hold the token, without
 * regard to case (Connection, Accept-Encoding without weights, Upgrade …). */
bool http_field_has_token(const struct http_head *head, enum http_field_id id, weir_str token);

/* Take the next element off a comma-separated list (RFC 9110, section 5.6.1):
 * white space around it is cut, empty elements are skipped, commas inside
 * quoted strings do not separate. False at the list's end. */
bool http_list_next(weir_str *list, weir_str *ret_element);

/* Check "host[:port]" and split it (RFC 9110, section 7.2; RFC 3986, section
 * 3.2.2). Accepted hosts: IPv4 addresses, IPv6 literals in brackets (no zone, no
 * IPvFuture), and names of letters, digits, '-', '.', '_' and '~', which is
 * narrower than reg-name: no percent-encoding and none of the sub-delimiters
 * can pass a name service, and "," in Host is how requests are split. A port is
 * 1 to 65535; "host:" without one is refused. Returns 0 or -EINVAL. */
int http_authority_parse(weir_str text, weir_str *ret_host, uint16_t *ret_port);

#endif
