/* Parsing and printing of socket addresses; see addr.h.
 *
 * getaddrinfo() is not used, even for literals: it reads configuration, may ask
 * a name service, and accepts forms ("1", "0x7f.1") that surprise. */
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <weir/error.h>

static int set_v4(struct addr *addr, const char *text, uint16_t port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

    if (inet_pton(AF_INET, text, &in.sin_addr) != 1)
        return -EINVAL;
    memset(addr, 0, sizeof(*addr));
    memcpy(&addr->storage, &in, sizeof(in));
    addr->len = sizeof(in);
    return 0;
}

static int set_v6(struct addr *addr, const char *text, uint16_t port)
{
    struct sockaddr_in6 in = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

    if (inet_pton(AF_INET6, text, &in.sin6_addr) != 1)
        return -EINVAL;
    memset(addr, 0, sizeof(*addr));
    memcpy(&addr->storage, &in, sizeof(in));
    addr->len = sizeof(in);
    return 0;
}

/* Does it look like an attempt at an IPv4 address? Such a text is never a name
 * (RFC 1123, section 2.1): the last label of a name is not all digits. */
static bool looks_numeric(weir_str host)
{
    for (size_t i = 0; i < host.len; i++)
        if (host.ptr[i] != '.' && (host.ptr[i] < '0' || host.ptr[i] > '9'))
            return false;
    return true;
}

bool addr_from_literal(weir_str host, uint16_t port, struct addr *ret_addr)
{
    char text[INET6_ADDRSTRLEN];
    weir_str inner = host;
    bool v6;

    if (weir_str_eq_nocase(host, WEIR_S("localhost")))
        return set_v4(ret_addr, "127.0.0.1", port) == 0;
    if (inner.len >= 2 && inner.ptr[0] == '[' && inner.ptr[inner.len - 1] == ']')
        inner = weir_str_from(inner.ptr + 1, inner.len - 2);
    v6 = inner.len > 0 && memchr(inner.ptr, ':', inner.len) != NULL;
    if (inner.len == 0 || inner.len >= sizeof(text) || (!v6 && inner.len != host.len))
        return false;
    memcpy(text, inner.ptr, inner.len);
    text[inner.len] = '\0';
    return (v6 ? set_v6(ret_addr, text, port) : set_v4(ret_addr, text, port)) == 0;
}

int addr_from_host(weir_str host, uint16_t port, struct addr *ret_addr)
{
    if (addr_from_literal(host, port, ret_addr))
        return 0;
    if (host.len == 0 || host.ptr[0] == '[' || memchr(host.ptr, ':', host.len) ||
        looks_numeric(host))
        return weir_fail(-EINVAL, "\"%.*s\" is no IP address: write 127.0.0.1 or [::1]",
                         WEIR_ARG(host));
    return weir_fail(WEIR_ENAME,
                     "the host name \"%.*s\" is no address: give an IP address here, or localhost",
                     WEIR_ARG(host));
}

static int parse_port(weir_str text, uint16_t *ret_port)
{
    uint32_t port = 0;

    if (text.len == 0 || text.len > 5)
        return -EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return -EINVAL;
        port = port * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    if (port > UINT16_MAX)
        return -EINVAL;
    *ret_port = (uint16_t)port;
    return 0;
}

#define UNIX_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

/* "/run/x.sock", or "@name": a name in the abstract namespace has no end byte, its
 * length says where it ends (unix(7)). */
static int parse_unix(weir_str text, struct addr *ret_addr)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    weir_str path = weir_str_skip(text, sizeof("unix:") - 1);
    bool abstract = path.len > 0 && path.ptr[0] == '@';

    if (path.len < 2 || (path.ptr[0] != '/' && !abstract) || memchr(path.ptr, 0, path.len))
        return weir_fail(-EINVAL,
                         "\"%.*s\": write unix: and an absolute path, as unix:/run/x.sock, or "
                         "unix:@name for a socket without a file",
                         WEIR_ARG(text));
    if (path.len > UNIX_PATH_MAX)
        return weir_fail(-ENAMETOOLONG, "\"%.*s\": a unix socket's path has at most %zu bytes",
                         WEIR_ARG(text), UNIX_PATH_MAX);
    memcpy(un.sun_path, path.ptr, path.len);
    if (abstract)
        un.sun_path[0] = '\0';
    memset(ret_addr, 0, sizeof(*ret_addr));
    memcpy(&ret_addr->storage, &un, sizeof(un));
    ret_addr->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + !abstract);
    return 0;
}

int addr_split(weir_str text, weir_str *ret_host, uint16_t *ret_port)
{
    size_t colon = text.len;
    uint16_t port;
    weir_str host;

    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return weir_fail(-EINVAL, "\"%.*s\" has no port: write host:port, as 127.0.0.1:8080",
                         WEIR_ARG(text));
    host = weir_str_from(text.ptr, colon - 1);
    if (parse_port(weir_str_skip(text, colon), &port) < 0)
        return weir_fail(-EINVAL, "\"%.*s\": the port is a number from 0 to 65535", WEIR_ARG(text));
    if (host.len > 0 && host.ptr[0] != '[' && memchr(host.ptr, ':', host.len))
        return weir_fail(-EINVAL, "\"%.*s\": an IPv6 address stands in brackets, as [::1]:8080",
                         WEIR_ARG(text));
    *ret_host = host;
    *ret_port = port;
    return 0;
}

int addr_parse(weir_str text, struct addr *ret_addr)
{
    uint16_t port = 0;
    weir_str host = { 0 };
    int rc;

    if (addr_text_is_unix(text))
        return parse_unix(text, ret_addr);
    rc = addr_split(text, &host, &port);
    if (rc < 0)
        return rc;
    return host.len == 0 ? set_v4(ret_addr, "0.0.0.0", port) : addr_from_host(host, port, ret_addr);
}

const char *addr_unix_path(const struct addr *addr)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->storage;

    return un->sun_family == AF_UNIX && un->sun_path[0] != '\0' ? un->sun_path : NULL;
}

static void format_unix(const struct addr *addr, char text[static ADDR_TEXT_BYTES])
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->storage;
    size_t from = offsetof(struct sockaddr_un, sun_path), len = 0, at;

    if (addr->len > from)
        len = addr->len - from < sizeof(un->sun_path) ? addr->len - from : sizeof(un->sun_path);
    at = (size_t)snprintf(text, ADDR_TEXT_BYTES, "unix:");
    for (size_t i = 0; i < len && (un->sun_path[i] || i == 0); i++) {
        char c = un->sun_path[i];

        text[at++] = c == '\0' ? '@' : (c > ' ' && c < 0x7f) ? c : '?';
    }
    text[at] = '\0';
}

weir_str addr_format_host(const struct addr *addr, char text[static ADDR_TEXT_BYTES])
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    text[0] = '\0';
    if (addr->storage.ss_family == AF_INET) {
        memcpy(&v4, &addr->storage, sizeof(v4));
        inet_ntop(AF_INET, &v4.sin_addr, text, ADDR_TEXT_BYTES);
    } else if (addr->storage.ss_family == AF_INET6) {
        memcpy(&v6, &addr->storage, sizeof(v6));
        inet_ntop(AF_INET6, &v6.sin6_addr, text, ADDR_TEXT_BYTES);
    } else if (addr->storage.ss_family == AF_UNIX) {
        format_unix(addr, text);
    }
    return weir_str_c(text);
}

uint16_t addr_port(const struct addr *addr)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (addr->storage.ss_family == AF_INET) {
        memcpy(&v4, &addr->storage, sizeof(v4));
        return ntohs(v4.sin_port);
    }
    if (addr->storage.ss_family == AF_INET6) {
        memcpy(&v6, &addr->storage, sizeof(v6));
        return ntohs(v6.sin6_port);
    }
    return 0;
}

weir_str addr_format(const struct addr *addr, char text[static ADDR_TEXT_BYTES])
{
    char host[ADDR_TEXT_BYTES];
    weir_str name = addr_format_host(addr, host);
    bool v6 = addr->storage.ss_family == AF_INET6;
    int len;

    if (addr->storage.ss_family != AF_INET && !v6)
        len = snprintf(text, ADDR_TEXT_BYTES, "%s", name.ptr);
    else
        len = snprintf(text, ADDR_TEXT_BYTES, "%s%.46s%s:%u", v6 ? "[" : "", name.ptr,
                       v6 ? "]" : "", addr_port(addr));
    return weir_str_from(text, (size_t)len);
}
