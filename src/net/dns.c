/* What a loop knows of names.
 *
 * A name has two halves, IPv6 and IPv4, asked for apart. A half is unknown, then
 * asked (query), then known until its TTL is over, and asked again when somebody
 * wants it after that. Whoever wants a half that is being asked for waits for that
 * same question. Nobody's cancel ends a question: its answer is kept for the next.
 *
 * Serving stale (RFC 8767): when a question fails for want of a server that
 * answers, the addresses that were known stay in use until stale_until_ns. That a
 * name does not exist is an answer, and ends them.
 *
 * Bounds: max_names names, the one that was used longest ago making place, but for
 * those in use or asked for; max_queries questions. Questions begin in the deferred
 * work, on the loop's own stack.
 *
 * Invariants: a half with a query belongs to a name that is in the table; count is
 * the addresses in addrs; users counts who holds a pointer to the name. */
#include "net/dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include <weir/log.h>

#include "base/alloc.h"
#include "base/map.h"

#define DNS_BUCKETS 256
#define DNS_SAY_NS (INT64_C(60) * 1000000000)
#define MS INT64_C(1000000)

struct dns {
    struct loop *loop;
    uint64_t seed;
    struct node buckets[DNS_BUCKETS];
    struct node age;
    uint32_t names, queries;
    struct deferred begin;
    struct node fresh;         /* dns_ask, to begin */
    struct dns_setup setup;
    struct dns_hosts hosts;
    struct dns_ares *ares;     /* NULL: not used yet, or the backend answers */
};

/* A question, with its half. */
struct dns_ask {
    struct name_query query;
    struct node link;
    struct dns_name *name;
    int family;
};

static int family_of(int half)
{
    return half == DNS_V6 ? AF_INET6 : AF_INET;
}

/* ---- the loop's ----------------------------------------------------------------- */

static void name_free(struct dns_name *name)
{
    list_remove(&name->link);
    list_remove(&name->age);
    name->dns->names--;
    for (int i = 0; i < DNS_FAMILIES; i++) {
        base_free(name->half[i].query ? container_of(name->half[i].query, struct dns_ask, query)
                                      : NULL);
        base_free(name->half[i].addrs);
    }
    base_free(name);
}

static void dns_done(void *value)
{
    struct dns *dns = value;

    loop_undefer(&dns->begin);
    if (loop_io(dns->loop)->resolve_end)
        loop_io(dns->loop)->resolve_end(dns->loop);
    dns_ares_free(dns->ares);
    while (!list_empty(&dns->age))
        name_free(container_of(dns->age.next, struct dns_name, age));
    base_free(dns->hosts.text);
    base_free(dns);
}

static void begin_asking(struct deferred *work);

static struct dns *dns_of(struct loop *loop)
{
    struct dns *dns = loop_local(loop, LOOP_LOCAL_DNS);

    if (dns)
        return dns;
    dns = base_calloc(1, sizeof(*dns));
    if (!dns)
        return NULL;
    dns->loop = loop;
    dns->seed = loop_random(loop);
    for (int i = 0; i < DNS_BUCKETS; i++)
        list_init(&dns->buckets[i]);
    list_init(&dns->age);
    list_init(&dns->fresh);
    deferred_init(&dns->begin, begin_asking);
    dns_setup_get(&dns->setup);
    loop_local_set(loop, LOOP_LOCAL_DNS, dns, dns_done);
    return dns;
}

/* The options have changed: forget what was learned by the old ones. Questions
 * under way are answered as they were asked. */
static void take_setup(struct dns *dns)
{
    dns_setup_get(&dns->setup);
    dns->hosts.file = (struct dns_file){ 0 };
    if (dns->ares)
        dns_ares_setup(dns->ares, &dns->setup);
    list_each(n, &dns->age) {
        struct dns_name *name = container_of(n, struct dns_name, age);

        for (int i = 0; i < DNS_FAMILIES; i++)
            name->half[i].until_ns = name->half[i].stale_until_ns = 0;
    }
}

/* ---- answers ---------------------------------------------------------------------- */

static void tell(struct dns_name *name)
{
    list_each_safe(n, &name->waits) {
        struct dns_watch *watch = container_of(n, struct dns_watch, link);

        watch->changed(watch);
    }
}

static int64_t clamp_ttl_ns(const weir_dns_opts *opts, int64_t ttl_ms)
{
    ttl_ms = ttl_ms < opts->min_ttl_ms ? opts->min_ttl_ms : ttl_ms;
    ttl_ms = ttl_ms > opts->max_ttl_ms ? opts->max_ttl_ms : ttl_ms;
    return ttl_ms * MS;
}

/* New addresses; false without memory. Those of a network in memory stay as they are. */
static bool take_addrs(struct dns_half *half, const struct name_query *query)
{
    uint8_t(*addrs)[16] = base_realloc(half->addrs, query->count * sizeof(*addrs));

    if (!addrs)
        return false;
    memcpy(addrs, query->addrs, query->count * sizeof(*addrs));
    half->addrs = addrs;
    half->count = query->count;
    half->stale = false;
    half->ordered = !loop_io(query->loop)->in_memory &&
                    addr_order(query->family, addrs, query->count, &half->best);
    return true;
}

static void say_stale(struct dns *dns, struct dns_name *name, const struct name_query *query)
{
    int64_t now_ns = loop_now_ns(dns->loop);

    if (name->said_ns && now_ns - name->said_ns < DNS_SAY_NS)
        return;
    name->said_ns = now_ns;
    weir_warn("the name servers fail for \"%s\" (%s): the addresses it had are used on, for up to "
              "%u s",
              name->text, query->why, dns->setup.opts.stale_ms / 1000);
}

/* The servers did not say; true when the old addresses stay in use. */
static bool keep_stale(struct dns *dns, struct dns_name *name, struct dns_half *half,
                       const struct name_query *query)
{
    if (half->count == 0 || loop_now_ns(dns->loop) >= half->stale_until_ns)
        return false;
    half->stale = true;
    say_stale(dns, name, query);
    return true;
}

static void half_answered(struct dns *dns, struct dns_name *name, struct dns_half *half,
                          const struct name_query *query)
{
    const weir_dns_opts *opts = &dns->setup.opts;
    int64_t now_ns = loop_now_ns(dns->loop), ttl_ns = opts->failure_ttl_ms * MS;
    enum name_result result = query->result;

    if (result == NAME_OK && !take_addrs(half, query))
        result = NAME_NO_MEMORY;
    half->known = true;
    half->arrived_ns = now_ns;
    if (result == NAME_OK) {
        ttl_ns = clamp_ttl_ns(opts, query->ttl_ms);
        half->stale_until_ns = opts->stale_ms == WEIR_DNS_NEVER
                                   ? 0
                                   : now_ns + ttl_ns + opts->stale_ms * MS;
    } else if (result == NAME_NONE || result == NAME_UNKNOWN) {
        ttl_ns = opts->negative_ttl_ms * MS;
        half->count = 0;
    } else if (keep_stale(dns, name, half, query)) {
        result = NAME_OK;
    } else {
        half->count = 0;
    }
    half->result = result;
    half->why = query->why;
    half->until_ns = now_ns + ttl_ns;
}

static void query_done(struct name_query *query)
{
    struct dns_ask *ask = container_of(query, struct dns_ask, query);
    struct dns_name *name = ask->name;
    struct dns_half *half = &name->half[ask->family];

    half->query = NULL;
    name->dns->queries--;
    half_answered(name->dns, name, half, query);
    base_free(ask);
    tell(name);
}

/* ---- asking ------------------------------------------------------------------------- */

/* The hosts file knows the name: both families are answered by it. */
static bool ask_hosts(struct dns *dns, struct name_query *query)
{
    dns_hosts_read(&dns->hosts, dns->setup.opts.hosts, loop_now_ns(dns->loop));
    if (!dns->hosts.text ||
        dns_hosts_find(weir_str_from(dns->hosts.text, dns->hosts.len), query) == 0)
        return false;
    query->ttl_ms = 0; /* as short as may be: the file may change */
    query->done(query);
    return true;
}

static void ask_servers(struct dns *dns, struct name_query *query)
{
    if (!dns->ares)
        dns->ares = dns_ares_new(dns->loop, &dns->setup);
    if (dns->ares) {
        dns_ares_ask(dns->ares, query);
        return;
    }
    query->result = NAME_NO_MEMORY;
    query->why = "no memory";
    query->done(query);
}

static void begin_asking(struct deferred *work)
{
    struct dns *dns = container_of(work, struct dns, begin);
    const struct io_ops *io = loop_io(dns->loop);
    struct node *n;

    while ((n = list_pop(&dns->fresh)) != NULL) {
        struct dns_ask *ask = container_of(n, struct dns_ask, link);

        if (io->resolve)
            io->resolve(dns->loop, &ask->query);
        else if (!ask_hosts(dns, &ask->query))
            ask_servers(dns, &ask->query);
    }
}

static int half_ask(struct dns *dns, struct dns_name *name, int family)
{
    struct dns_ask *ask;

    if (dns->queries >= dns->setup.opts.max_queries)
        return weir_fail(WEIR_EFULL, "%u names are being looked up already", dns->queries);
    ask = base_calloc(1, sizeof(*ask));
    if (!ask)
        return -ENOMEM;
    ask->name = name;
    ask->family = family;
    ask->query.loop = dns->loop;
    ask->query.family = family_of(family);
    ask->query.done = query_done;
    memcpy(ask->query.name, name->text, name->len);
    name->half[family].query = &ask->query;
    name->half[family].asked_ns = loop_now_ns(dns->loop);
    dns->queries++;
    list_push(&dns->fresh, &ask->link);
    loop_defer(dns->loop, &dns->begin);
    return 0;
}

/* Ask for what is unknown or too old. */
static int name_refresh(struct dns_name *name)
{
    int64_t now_ns = loop_now_ns(name->dns->loop);
    int rc = 0;

    for (int i = 0; i < DNS_FAMILIES && rc == 0; i++) {
        struct dns_half *half = &name->half[i];

        if (!half->query && (!half->known || now_ns >= half->until_ns))
            rc = half_ask(name->dns, name, i);
    }
    return rc;
}

/* ---- names -------------------------------------------------------------------------- */

static bool label_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* RFC 1123, section 2.1, and underscores, which are in use. */
static bool name_ok(weir_str name)
{
    size_t label = 0;
    bool digits = true;

    if (name.len > 0 && name.ptr[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len >= NAME_LEN_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (c == '.' && label == 0)
            return false;
        if (c != '.' && (!label_byte(c) || label == 63))
            return false;
        label = c == '.' ? 0 : label + 1;
        digits = (label <= 1 || digits) && c >= '0' && c <= '9';
    }
    return label > 0 && !digits; /* the last label of a name is no number */
}

int dns_check_name(weir_str name)
{
    if (name_ok(name))
        return 0;
    return weir_fail(-EINVAL, "\"%.*s\" is neither an IP address nor a host name",
                     name.len < 80 ? (int)name.len : 80, name.ptr);
}

static struct dns_name *name_find(struct dns *dns, const char *text, size_t len, uint64_t hash)
{
    struct node *bucket = &dns->buckets[hash % DNS_BUCKETS];

    list_each(n, bucket) {
        struct dns_name *name = container_of(n, struct dns_name, link);

        if (name->hash == hash && name->len == len && memcmp(name->text, text, len) == 0)
            return name;
    }
    return NULL;
}

/* Forget the name that was used longest ago and that nobody needs. */
static bool make_place(struct dns *dns)
{
    list_each(n, &dns->age) {
        struct dns_name *name = container_of(n, struct dns_name, age);

        if (name->users > 0 || name->half[DNS_V6].query || name->half[DNS_V4].query)
            continue;
        name_free(name);
        return true;
    }
    return false;
}

static int name_new(struct dns *dns, const char *text, size_t len, uint64_t hash,
                    struct dns_name **ret_name)
{
    struct dns_name *name;

    if (dns->names >= dns->setup.opts.max_names && !make_place(dns))
        return weir_fail(WEIR_EFULL, "%u names are in use already", dns->names);
    name = base_calloc(1, sizeof(*name) + len + 1);
    if (!name)
        return -ENOMEM;
    name->dns = dns;
    name->hash = hash;
    name->len = len;
    memcpy(name->text, text, len);
    list_init(&name->waits);
    list_push(&dns->buckets[hash % DNS_BUCKETS], &name->link);
    list_push(&dns->age, &name->age);
    dns->names++;
    *ret_name = name;
    return 0;
}

/* In small letters; its length. */
static size_t fold(weir_str name, char text[static NAME_LEN_MAX])
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        text[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    return name.len;
}

int dns_name_get(weir_str host, struct dns_name **ret_name)
{
    struct dns *dns = dns_of(loop_self());
    char text[NAME_LEN_MAX];
    size_t len;
    uint64_t hash;
    struct dns_name *name;
    int rc = dns_check_name(host);

    if (rc < 0 || !dns)
        return rc < 0 ? rc : -ENOMEM;
    if (dns->setup.generation != dns_setup_generation())
        take_setup(dns);
    len = fold(host, text);
    hash = hash_bytes(dns->seed, text, len);
    name = name_find(dns, text, len, hash);
    if (!name)
        rc = name_new(dns, text, len, hash, &name);
    if (rc < 0)
        return rc;
    list_remove(&name->age);
    list_push(&dns->age, &name->age);
    rc = name_refresh(name);
    /* What is known will do while another question is too many. */
    if (rc < 0 && name->half[DNS_V6].count + name->half[DNS_V4].count == 0)
        return rc;
    name->users++;
    *ret_name = name;
    return 0;
}

void dns_name_release(struct dns_name *name)
{
    if (name)
        name->users--;
}

/* ---- waiting ------------------------------------------------------------------------- */

void dns_name_watch(struct dns_name *name, struct dns_watch *watch)
{
    list_push(&name->waits, &watch->link);
}

void dns_name_unwatch(struct dns_watch *watch)
{
    list_remove(&watch->link);
}

struct name_wait {
    struct dns_watch watch;
    struct wait wait;
    struct timer timer;
};

static void wait_end(struct name_wait *self, int rc)
{
    dns_name_unwatch(&self->watch);
    timer_clear(loop_self(), &self->timer);
    wait_wake(&self->wait, rc);
}

static void wait_changed(struct dns_watch *watch)
{
    wait_end(container_of(watch, struct name_wait, watch), 0);
}

static void wait_over(struct timer *timer)
{
    wait_end(container_of(timer, struct name_wait, timer), 0);
}

static void wait_abandon(struct wait *wait, int code)
{
    wait_end(container_of(wait, struct name_wait, wait), code);
}

int dns_name_wait(struct dns_name *name, int64_t until_ns)
{
    struct name_wait self = {
        .watch.changed = wait_changed,
        .wait = { .abandon = wait_abandon, .what = "look up", .object = name->text }
    };
    int rc = rt_check();

    if (rc < 0)
        return rc;
    timer_init(&self.timer, wait_over);
    if (until_ns != WEIR_NEVER_NS)
        timer_set(loop_self(), &self.timer, until_ns);
    dns_name_watch(name, &self.watch);
    return rt_park(&self.wait);
}

int64_t dns_name_ready_ns(const struct dns_name *name)
{
    const struct dns_half *v6 = &name->half[DNS_V6], *v4 = &name->half[DNS_V4];

    if (!v6->query && (v6->count > 0 || !v4->query))
        return 0;
    if (!v4->query && v4->count > 0)
        return v4->arrived_ns + DNS_RESOLUTION_DELAY_NS;
    return WEIR_NEVER_NS;
}

int dns_name_first(const struct dns_name *name)
{
    const struct dns_half *v6 = &name->half[DNS_V6], *v4 = &name->half[DNS_V4];
    bool known = v6->ordered && v4->ordered;

    return known && addr_route_compare(&v4->best, &v6->best) < 0 ? DNS_V4 : DNS_V6;
}

/* ---- what is known -------------------------------------------------------------------- */

/* Which half tells why there is no address: one whose servers failed rather than one
 * that has none of its family; and never one that has some, which the caller can't
 * use. */
static const struct dns_half *telling_half(const struct dns_name *name)
{
    const struct dns_half *v6 = &name->half[DNS_V6], *v4 = &name->half[DNS_V4];

    if (!v4->known || v4->result == NAME_OK)
        return v6;
    return v4->result == NAME_NONE && v6->known && v6->result != NAME_OK ? v6 : v4;
}

int dns_name_fail(const struct dns_name *name)
{
    const struct dns_half *half = telling_half(name);
    const char *servers = name->dns->ares ? dns_ares_servers(name->dns->ares) : "the simulation's";

    switch (half->result) {
    case NAME_UNKNOWN:
        return weir_fail(WEIR_ENAME, "there is no host \"%s\" (%s, asked: %s)", name->text,
                         half->why, servers);
    case NAME_NONE:
        return weir_fail(WEIR_ENAME, "the host \"%s\" has no address (%s, asked: %s)", name->text,
                         half->why, servers);
    case NAME_SILENT:
        return weir_fail(WEIR_EPEERTIMEOUT,
                         "looking up \"%s\": no answer from the name servers "
                         "(%s, asked: %s)",
                         name->text, half->why, servers);
    case NAME_NO_MEMORY: return -ENOMEM;
    default:
        return weir_fail(WEIR_ENAMESERVER,
                         "looking up \"%s\": the name servers can't say (%s, "
                         "asked: %s)",
                         name->text, half->why, servers);
    }
}

void dns_half_addr(const struct dns_half *half, int family, uint32_t i, uint16_t port,
                   struct addr *ret_addr)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

    memset(ret_addr, 0, sizeof(*ret_addr));
    if (family == DNS_V4) {
        memcpy(&v4.sin_addr, half->addrs[i], sizeof(v4.sin_addr));
        memcpy(&ret_addr->storage, &v4, sizeof(v4));
        ret_addr->len = sizeof(v4);
    } else {
        memcpy(&v6.sin6_addr, half->addrs[i], sizeof(v6.sin6_addr));
        memcpy(&ret_addr->storage, &v6, sizeof(v6));
        ret_addr->len = sizeof(v6);
    }
}

static bool half_lists(const struct dns_half *half, const void *bytes, size_t len)
{
    for (uint32_t i = 0; i < half->count; i++)
        if (memcmp(half->addrs[i], bytes, len) == 0)
            return true;
    return false;
}

bool dns_lists(weir_str host, const struct addr *addr)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&addr->storage;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&addr->storage;
    bool is_v4 = v4->sin_family == AF_INET, listed;
    struct dns_name *name;
    struct dns_half *half;

    if (dns_name_get(host, &name) < 0) {
        weir_recover();
        return true;
    }
    half = &name->half[is_v4 ? DNS_V4 : DNS_V6];
    listed = is_v4 ? half_lists(half, &v4->sin_addr, 4) : half_lists(half, &v6->sin6_addr, 16);
    /* Not listed any more is only what an answer says. */
    if (!half->known ||
        (half->count == 0 && half->result != NAME_NONE && half->result != NAME_UNKNOWN))
        listed = true;
    dns_name_release(name);
    return listed;
}
