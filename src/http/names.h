/* The names that HTTP knows: methods, fields, reason phrases.
 *
 * Known fields have small numbers, so that a look-up in a head is one load, and
 * a comparison of names is made once, while parsing. A field that is not here
 * loses nothing but that: it is found by its name. */
#ifndef HTTP_NAMES_H
#define HTTP_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/str.h>

/* RFC 9110, section 9, and PATCH (RFC 5789). Any other token is OTHER. */
#define HTTP_METHODS(X)                                                        \
    X(GET) X(HEAD) X(POST) X(PUT) X(DELETE) X(CONNECT) X(OPTIONS) X(TRACE) X(PATCH)

/* clang-format off */
enum http_method {
    HTTP_OTHER,
#define HTTP_METHOD_ENUM_(name) HTTP_##name,
    HTTP_METHODS(HTTP_METHOD_ENUM_)
#undef HTTP_METHOD_ENUM_
    HTTP_METHOD_COUNT
};
/* clang-format on */

/* The method of that exact (case-sensitive) name; HTTP_OTHER for all others. */
enum http_method http_method_find(weir_str name);

/* Its name; "" for HTTP_OTHER. */
weir_str http_method_name(enum http_method method);

/* GET, HEAD, OPTIONS, TRACE (RFC 9110, section 9.2.1). */
bool http_method_safe(enum http_method method);

/* The safe ones, PUT and DELETE (RFC 9110, section 9.2.2). */
bool http_method_idempotent(enum http_method method);

/* X(constant, name as it is written) */
#define HTTP_FIELDS(X)                                                         \
    X(HOST, "Host")                                                            \
    X(CONNECTION, "Connection")                                                \
    X(CONTENT_LENGTH, "Content-Length")                                        \
    X(TRANSFER_ENCODING, "Transfer-Encoding")                                  \
    X(EXPECT, "Expect")                                                        \
    X(UPGRADE, "Upgrade")                                                      \
    X(TE, "TE")                                                                \
    X(TRAILER, "Trailer")                                                      \
    X(KEEP_ALIVE, "Keep-Alive")                                                \
    X(PROXY_CONNECTION, "Proxy-Connection")                                    \
    X(PROXY_AUTHENTICATE, "Proxy-Authenticate")                                \
    X(PROXY_AUTHORIZATION, "Proxy-Authorization")                              \
    X(CONTENT_TYPE, "Content-Type")                                            \
    X(CONTENT_ENCODING, "Content-Encoding")                                    \
    X(CONTENT_LANGUAGE, "Content-Language")                                    \
    X(CONTENT_LOCATION, "Content-Location")                                    \
    X(CONTENT_RANGE, "Content-Range")                                          \
    X(CONTENT_DISPOSITION, "Content-Disposition")                              \
    X(CONTENT_SECURITY_POLICY, "Content-Security-Policy")                      \
    X(ACCEPT, "Accept")                                                        \
    X(ACCEPT_CHARSET, "Accept-Charset")                                        \
    X(ACCEPT_ENCODING, "Accept-Encoding")                                      \
    X(ACCEPT_LANGUAGE, "Accept-Language")                                      \
    X(ACCEPT_RANGES, "Accept-Ranges")                                          \
    X(USER_AGENT, "User-Agent")                                                \
    X(REFERER, "Referer")                                                      \
    X(ORIGIN, "Origin")                                                        \
    X(COOKIE, "Cookie")                                                        \
    X(SET_COOKIE, "Set-Cookie")                                                \
    X(AUTHORIZATION, "Authorization")                                          \
    X(WWW_AUTHENTICATE, "WWW-Authenticate")                                    \
    X(CACHE_CONTROL, "Cache-Control")                                          \
    X(PRAGMA, "Pragma")                                                        \
    X(EXPIRES, "Expires")                                                      \
    X(DATE, "Date")                                                            \
    X(AGE, "Age")                                                              \
    X(ETAG, "ETag")                                                            \
    X(LAST_MODIFIED, "Last-Modified")                                          \
    X(IF_MATCH, "If-Match")                                                    \
    X(IF_NONE_MATCH, "If-None-Match")                                          \
    X(IF_MODIFIED_SINCE, "If-Modified-Since")                                  \
    X(IF_UNMODIFIED_SINCE, "If-Unmodified-Since")                              \
    X(IF_RANGE, "If-Range")                                                    \
    X(RANGE, "Range")                                                          \
    X(LOCATION, "Location")                                                    \
    X(RETRY_AFTER, "Retry-After")                                              \
    X(SERVER, "Server")                                                        \
    X(VARY, "Vary")                                                            \
    X(VIA, "Via")                                                              \
    X(ALLOW, "Allow")                                                          \
    X(LINK, "Link")                                                            \
    X(ALT_SVC, "Alt-Svc")                                                      \
    X(FORWARDED, "Forwarded")                                                  \
    X(X_FORWARDED_FOR, "X-Forwarded-For")                                      \
    X(X_FORWARDED_HOST, "X-Forwarded-Host")                                    \
    X(X_FORWARDED_PROTO, "X-Forwarded-Proto")                                  \
    X(X_REAL_IP, "X-Real-IP")                                                  \
    X(X_REQUEST_ID, "X-Request-ID")                                            \
    X(TRACEPARENT, "Traceparent")                                              \
    X(TRACESTATE, "Tracestate")                                                \
    X(BAGGAGE, "Baggage")                                                      \
    X(PRIORITY, "Priority")                                                    \
    X(DNT, "DNT")                                                              \
    X(UPGRADE_INSECURE_REQUESTS, "Upgrade-Insecure-Requests")                  \
    X(SEC_CH_UA, "Sec-CH-UA")                                                  \
    X(SEC_CH_UA_MOBILE, "Sec-CH-UA-Mobile")                                    \
    X(SEC_CH_UA_PLATFORM, "Sec-CH-UA-Platform")                                \
    X(SEC_FETCH_SITE, "Sec-Fetch-Site")                                        \
    X(SEC_FETCH_MODE, "Sec-Fetch-Mode")                                        \
    X(SEC_FETCH_USER, "Sec-Fetch-User")                                        \
    X(SEC_FETCH_DEST, "Sec-Fetch-Dest")                                        \
    X(SEC_WEBSOCKET_KEY, "Sec-WebSocket-Key")                                  \
    X(SEC_WEBSOCKET_VERSION, "Sec-WebSocket-Version")                          \
    X(SEC_WEBSOCKET_PROTOCOL, "Sec-WebSocket-Protocol")                        \
    X(SEC_WEBSOCKET_EXTENSIONS, "Sec-WebSocket-Extensions")                    \
    X(SEC_WEBSOCKET_ACCEPT, "Sec-WebSocket-Accept")                            \
    X(LAST_EVENT_ID, "Last-Event-ID")                                          \
    X(IDEMPOTENCY_KEY, "Idempotency-Key")                                      \
    X(MAX_FORWARDS, "Max-Forwards")                                            \
    X(STRICT_TRANSPORT_SECURITY, "Strict-Transport-Security")                  \
    X(X_CONTENT_TYPE_OPTIONS, "X-Content-Type-Options")                        \
    X(X_FRAME_OPTIONS, "X-Frame-Options")                                      \
    X(ACCESS_CONTROL_REQUEST_METHOD, "Access-Control-Request-Method")          \
    X(ACCESS_CONTROL_REQUEST_HEADERS, "Access-Control-Request-Headers")        \
    X(ACCESS_CONTROL_ALLOW_ORIGIN, "Access-Control-Allow-Origin")              \
    X(ACCESS_CONTROL_ALLOW_METHODS, "Access-Control-Allow-Methods")            \
    X(ACCESS_CONTROL_ALLOW_HEADERS, "Access-Control-Allow-Headers")            \
    X(ACCESS_CONTROL_ALLOW_CREDENTIALS, "Access-Control-Allow-Credentials")    \
    X(ACCESS_CONTROL_EXPOSE_HEADERS, "Access-Control-Expose-Headers")          \
    X(ACCESS_CONTROL_MAX_AGE, "Access-Control-Max-Age")

/* clang-format off */
enum http_field_id {
    HTTP_FIELD_OTHER, /* not one of these */
#define HTTP_FIELD_ENUM_(id, name) HTTP_##id,
    HTTP_FIELDS(HTTP_FIELD_ENUM_)
#undef HTTP_FIELD_ENUM_
    HTTP_FIELD_ID_COUNT
};
/* clang-format on */

/* The id of a name, without regard to case. The name must be a token. */
enum http_field_id http_field_find(weir_str name);

/* The name as it is usually written: "Content-Length"; "" for OTHER. */
weir_str http_field_id_name(enum http_field_id id);

/* Fields that speak of this connection only, which a proxy never forwards (RFC
 * 9110, section 7.6.1): Connection and what goes with it, Transfer-Encoding, TE,
 * Trailer, Upgrade, Keep-Alive, Proxy-Connection, and the proxy's credentials.
 * The names that a Connection field lists are to be dropped as well. */
bool http_field_hop_by_hop(enum http_field_id id);

/* Fields that may not stand in a trailer section: they would change framing,
 * routing, credentials or how the content is read (RFC 9110, section 6.5.1). */
bool http_field_forbidden_in_trailer(enum http_field_id id);

/* "OK", "Not Found"; an empty slice for a status without a registered phrase. */
weir_str http_reason(int status);

/* Whether it is a token (RFC 9110, section 5.6.2): what a name may be. */
bool http_token_ok(weir_str text);

/* Whether every byte may stand in a field's value: no control but HTAB, no DEL
 * (RFC 9110, section 5.5). White space at the ends is not looked at. */
bool http_value_ok(weir_str text);

#endif
