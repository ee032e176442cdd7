/* weir_resolve(): the addresses of a name, for the program itself. */
#include <arpa/inet.h>

#include "net/dns.h"

static weir_str text_of(struct arena *arena, const struct dns_half *half, int family, uint32_t i)
{
    char text[INET6_ADDRSTRLEN];

    inet_ntop(family == DNS_V4 ? AF_INET : AF_INET6, half->addrs[i], text, sizeof(text));
    return arena_dup(arena, weir_str_c(text));
}

/* How many addresses a half has to give: none while it is being asked for, for what it
 * had before is over. */
static uint32_t count_of(const struct dns_name *name, int family)
{
    const struct dns_half *half = &name->half[family];

    return dns_half_pending(half) ? 0 : half->count;
}

/* IPv6 and IPv4 in turn, first the better one (RFC 8305, section 4). */
static int list_all(struct arena *arena, const struct dns_name *name, weir_addresses *ret)
{
    uint32_t at[DNS_FAMILIES] = { 0 };
    weir_str *list = arena_alloc(arena, 2 * NAME_ADDRS_MAX * sizeof(*list));
    size_t count = 0;
    int family = dns_name_first(name);

    if (!list)
        return -ENOMEM;
    while (at[DNS_V6] < count_of(name, DNS_V6) || at[DNS_V4] < count_of(name, DNS_V4)) {
        if (at[family] < count_of(name, family)) {
            list[count] = text_of(arena, &name->half[family], family, at[family]);
            if (!list[count++].ptr)
                return -ENOMEM;
            at[family]++;
        }
        family = !family;
    }
    ret->list = list;
    ret->count = count;
    return 0;
}

static int name_answer(struct dns_name *name, weir_addresses *ret_addresses)
{
    int64_t now_ns = loop_now_ns(loop_self()), left_ns = INT64_MAX;
    weir_addresses all = { 0 };
    int rc;

    if (count_of(name, DNS_V6) + count_of(name, DNS_V4) == 0)
        return dns_name_fail(name);
    rc = list_all(rt_arena(), name, &all);
    for (int i = 0; i < DNS_FAMILIES; i++) {
        const struct dns_half *half = &name->half[i];

        if (count_of(name, i) == 0)
            continue;
        if (half->until_ns - now_ns < left_ns)
            left_ns = half->until_ns - now_ns;
        all.stale |= half->stale;
    }
    all.ttl_ms = left_ns > 0 ? (uint32_t)(left_ns / 1000000) : 0;
    if (rc == 0)
        *ret_addresses = all;
    return rc;
}

static int literal_answer(const struct addr *addr, weir_addresses *ret_addresses)
{
    char text[ADDR_TEXT_BYTES];
    weir_str *list = arena_alloc(rt_arena(), sizeof(*list));

    if (!list)
        return -ENOMEM;
    *list = arena_dup(rt_arena(), addr_format_host(addr, text));
    if (!list->ptr)
        return -ENOMEM;
    *ret_addresses = (weir_addresses){ .list = list, .count = 1 };
    return 0;
}

/* When to answer: with both families, or a little after there was one while the other
 * was being asked for. */
static int64_t ready_ns_of(const struct dns_name *name)
{
    for (int i = 0; i < DNS_FAMILIES; i++) {
        const struct dns_half *half = &name->half[i], *other = &name->half[!i];

        if (!dns_half_pending(half))
            continue;
        if (count_of(name, !i) == 0)
            return WEIR_NEVER_NS;
        return (other->arrived_ns > half->asked_ns ? other->arrived_ns : half->asked_ns) +
               DNS_RESOLUTION_DELAY_NS;
    }
    return 0;
}

int weir_resolve(weir_str host, weir_addresses *ret_addresses)
{
    struct dns_name *name;
    struct addr addr;
    int64_t ready_ns;
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (!host.ptr || !rt_arena())
        return -ENOMEM;
    if (addr_from_literal(host, 0, &addr)) {
        rc = literal_answer(&addr, ret_addresses);
        rt_spend();
        return rc;
    }
    rc = dns_name_get(host, &name);
    if (rc < 0)
        return rc;
    while (rc == 0 && (ready_ns = ready_ns_of(name)) > loop_now_ns(loop_self()))
        rc = dns_name_wait(name, ready_ns);
    if (rc == 0)
        rc = name_answer(name, ret_addresses);
    dns_name_release(name);
    rt_spend();
    return rc;
}
