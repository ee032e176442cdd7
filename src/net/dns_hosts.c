/* /etc/hosts (hosts(5)): lines of an address and the names that have it; a name on
 * several lines has all their addresses. What is no address is passed over, as
 * everybody does.
 *
 * It is read whole, and again when it has changed; a name in it is never asked for
 * elsewhere. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/dns.h"

#define HOSTS_BYTES_MAX (4u << 20)

void dns_hosts_read(struct dns_hosts *hosts, const char *path, int64_t now_ns)
{
    size_t room;
    ssize_t n;
    int fd;

    if (!path[0] || !dns_file_changed(&hosts->file, path, now_ns))
        return;
    base_free(hosts->text);
    hosts->text = NULL;
    hosts->len = 0;
    room = (size_t)hosts->file.seen.st_size;
    fd = room > 0 && room <= HOSTS_BYTES_MAX ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    hosts->text = base_malloc(room);
    while (hosts->text && hosts->len < room &&
           (n = read(fd, hosts->text + hosts->len, room - hosts->len)) > 0)
        hosts->len += (size_t)n;
    close(fd);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line; empty at its end. */
static weir_str next_word(weir_str *line)
{
    size_t from = 0, to;
    weir_str word;

    while (from < line->len && is_space(line->ptr[from]))
        from++;
    to = from;
    while (to < line->len && !is_space(line->ptr[to]))
        to++;
    word = weir_str_from(line->ptr + from, to - from);
    *line = weir_str_skip(*line, to);
    return word;
}

static bool line_names(weir_str line, weir_str name)
{
    weir_str word;

    while ((word = next_word(&line)).len > 0)
        if (weir_str_eq_nocase(word, name))
            return true;
    return false;
}

/* Take an address in; 1 if it is one, of whichever family. */
static uint32_t take_address(weir_str word, struct name_query *query)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    int family;

    if (word.len == 0 || word.len >= sizeof(text))
        return 0;
    memcpy(text, word.ptr, word.len);
    text[word.len] = '\0';
    family = memchr(text, ':', word.len) ? AF_INET6 : AF_INET;
    if (inet_pton(family, text, bytes) != 1)
        return 0;
    if (family == query->family && query->count < NAME_ADDRS_MAX)
        memcpy(query->addrs[query->count++], bytes, family == AF_INET ? 4 : 16);
    return 1;
}

uint32_t dns_hosts_find(weir_str text, struct name_query *query)
{
    weir_str name = weir_str_c(query->name);
    uint32_t found = 0;

    if (name.len > 0 && name.ptr[name.len - 1] == '.')
        name.len--;
    query->count = 0;
    while (text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        weir_str line = weir_str_from(text.ptr, end ? (size_t)(end - text.ptr) : text.len);
        const char *hash = line.len ? memchr(line.ptr, '#', line.len) : NULL;
        weir_str word;

        text = weir_str_skip(text, line.len + 1);
        if (hash)
            line.len = (size_t)(hash - line.ptr);
        word = next_word(&line);
        if (line_names(line, name))
            found += take_address(word, query);
    }
    query->result = query->count ? NAME_OK : NAME_NONE;
    query->why = "in the hosts file";
    return found;
}
