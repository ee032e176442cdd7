/* URLs: "http://host:port/path?query", or https, taken apart for a request (RFC 3986; RFC
 * 9112, section 3.2.1), and "unix:/run/x.sock:/path?query" for a service behind a
 * unix socket. Putting them together is weir/url.h. */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/url.h>

#include "base/arena.h"

#define URL_BYTES_MAX 16384

/* Slices of the text. */
struct url {
    weir_str authority; /* "host[:port]", for the field Host */
    weir_str host;      /* an IPv6 literal keeps its brackets; or "unix:/run/x.sock" */
    uint16_t port;      /* 80, or 443 of https, when none is given; 0 for unix */
    bool secure;        /* https */
    weir_str target;    /* path and query: what the request line carries … */
    bool slash;         /* … behind a '/' that the URL leaves out */
};

/* 0; -ENOMEM for a slice with a NULL pointer; or, with a sentence in the chain,
 * -EINVAL. What follows a '#' is left out. */
int url_parse(weir_str text, struct url *ret_url);

/* weir_url_format() with an arena of the caller's: 0, -ENOMEM, or -EINVAL with a
 * sentence in the chain. */
int url_format(struct arena *arena, const char *fmt, const weir_value *values, size_t count,
               weir_str *ret_url);

/* The URL as errors show it: without query and fragment, where secrets stand. */
weir_str url_shown(weir_str text);

#endif
