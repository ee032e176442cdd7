/* Addresses and hosts files. What parses as an address is printed as one that parses to
 * the same; a hosts file gives no more addresses than it has lines, and none for a name
 * that it does not hold. The first byte chooses. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "net/addr.h"
#include "net/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds)
{
    if (!holds)
        abort();
}

static void address(weir_str text)
{
    char printed[ADDR_TEXT_BYTES];
    struct addr addr, again;

    if (addr_parse(text, &addr) < 0) {
        weir_recover();
        return;
    }
    addr_format(&addr, printed);
    need(strlen(printed) < sizeof(printed));
    if (strchr(printed, '?')) /* a path with bytes that are not shown */
        return;
    need(addr_parse(weir_str_c(printed), &again) == 0);
    need(again.len == addr.len && memcmp(&again.storage, &addr.storage, addr.len) == 0);
}

static bool holds(weir_str text, const char *name)
{
    return text.len > 0 && memmem(text.ptr, text.len, name, strlen(name)) != NULL;
}

static void hosts(weir_str text)
{
    static const int families[] = { AF_INET, AF_INET6 };
    size_t lines = 1, found = 0;

    for (size_t i = 0; i < text.len; i++)
        lines += text.ptr[i] == '\n';
    for (int i = 0; i < 2; i++) {
        struct name_query query = { .family = families[i], .name = "a.b" };
        uint32_t any = dns_hosts_find(text, &query);

        need(query.count <= NAME_ADDRS_MAX && query.count <= any && any <= lines);
        need((query.result == NAME_OK) == (query.count > 0));
        found += query.count;
        need(any == 0 || holds(text, "a") || holds(text, "A"));
    }
    need(found <= lines);
}

static void name(weir_str text)
{
    if (dns_check_name(text) < 0)
        weir_recover();
    else
        need(text.len > 0 && text.len <= NAME_LEN_MAX && !memchr(text.ptr, 0, text.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_str text;

    if (size == 0)
        return 0;
    text = weir_str_from((const char *)data + 1, size - 1);
    switch (data[0] % 3) {
    case 0: address(text); break;
    case 1: hosts(text); break;
    default: name(text); break;
    }
    return 0;
}
