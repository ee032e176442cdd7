/* "host[:port]", as Host and absolute targets carry it (RFC 9112, section 3.2;
 * RFC 3986, section 3.2). What is accepted is narrower than the grammar; why is
 * said at http_authority_parse(). */
#include <arpa/inet.h>
#include <errno.h>

#include "http/message.h"
#include "http/scan.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* 1 to 65535, at most five digits. */
static int parse_port(weir_str text, uint16_t *ret_port)
{
    uint32_t port = 0;

    if (text.len == 0 || text.len > 5)
        return -EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i]))
            return -EINVAL;
        port = port * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    if (port == 0 || port > UINT16_MAX)
        return -EINVAL;
    *ret_port = (uint16_t)port;
    return 0;
}

/* inet_pton() wants a terminated text, and would stop at a NUL inside one. */
static bool address_ok(int family, weir_str text)
{
    char copy[INET6_ADDRSTRLEN], binary[sizeof(struct in6_addr)];

    if (text.len >= sizeof copy || memchr(text.ptr, 0, text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return inet_pton(family, copy, binary) == 1;
}

/* A last label of digits only makes it an IPv4 address or nothing: "1.2.3.999"
 * is not a name (RFC 3986, section 3.2.2: first match wins; URL Standard). */
static bool ends_in_number(weir_str host)
{
    size_t i;

    if (host.ptr[host.len - 1] == '.')
        host.len--;
    i = host.len;
    while (i > 0 && is_digit(host.ptr[i - 1]))
        i--;
    return i < host.len && (i == 0 || host.ptr[i - 1] == '.');
}

static bool name_ok(weir_str host)
{
    if (host.len == 0 || host.len > 255 || host.ptr[0] == '.')
        return false;
    return !ends_in_number(host) || address_ok(AF_INET, host);
}

int http_authority_parse(weir_str text, weir_str *ret_host, uint16_t *ret_port)
{
    const char *end, *stop;
    uint16_t port = 0;

    if (text.len == 0)
        return -EINVAL;
    end = text.ptr + text.len;
    if (text.ptr[0] == '[') {
        stop = memchr(text.ptr, ']', text.len);
        if (!stop ||
            !address_ok(AF_INET6, weir_str_from(text.ptr + 1, (size_t)(stop - text.ptr - 1))))
            return -EINVAL;
        stop++;
    } else {
        stop = scan_while(text.ptr, end, SCAN_HOST);
        if (!name_ok(weir_str_from(text.ptr, (size_t)(stop - text.ptr))))
            return -EINVAL;
    }
    if (stop != end &&
        (*stop != ':' || parse_port(weir_str_from(stop + 1, (size_t)(end - stop - 1)), &port) < 0))
        return -EINVAL;
    *ret_host = weir_str_from(text.ptr, (size_t)(stop - text.ptr));
    *ret_port = port;
    return 0;
}
