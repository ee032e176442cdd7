/* Names and what a loop knows of them; weir/dns.h says what it does.
 *
 *   dns.c         what is known: names, their TTLs, who waits, what is stale
 *   dns_setup.c   the options of the process
 *   dns_hosts.c   /etc/hosts
 *   addr_order.c  the order in which addresses are tried
 *   dns_ares.c    the name servers, by c-ares
 *   dns_resolve.c weir_resolve()
 *   connect.c     connections to names */
#ifndef NET_DNS_H
#define NET_DNS_H

#include <sys/stat.h>

#include <weir/dns.h>

#include "net/addr.h"
#include "net/addr_order.h"
#include "rt/name.h"
#include "rt/rt.h"

#define DNS_RESOLUTION_DELAY_NS 50000000 /* RFC 8305, section 8 */
#define DNS_TEXT_BYTES 256
#define DNS_LOOK_NS 1000000000 /* between two looks whether a file has changed */

/* ---- options ---------------------------------------------------------------- */

struct dns_setup {
    weir_dns_opts opts; /* its texts point into this */
    uint32_t generation;
    char servers[DNS_TEXT_BYTES], resolv_conf[DNS_TEXT_BYTES], hosts[DNS_TEXT_BYTES];
};

/* The process's options, all set; generation 0 is the default. */
void dns_setup_get(struct dns_setup *ret_setup);
uint32_t dns_setup_generation(void);

/* ---- a file that may change ------------------------------------------------- */

struct dns_file {
    int64_t looked_ns;
    struct stat seen;
};

/* Has it changed since the last call that said so? Looks once a second. */
bool dns_file_changed(struct dns_file *file, const char *path, int64_t now_ns);

/* ---- /etc/hosts --------------------------------------------------------------- */

struct dns_hosts {
    struct dns_file file;
    char *text;
    size_t len;
};

/* Fill in the addresses of a name, of one family; how many there are of any. */
uint32_t dns_hosts_find(weir_str text, struct name_query *query);
void dns_hosts_read(struct dns_hosts *hosts, const char *path, int64_t now_ns);

/* ---- the name servers ------------------------------------------------------------ */

struct dns_ares;

struct dns_ares *dns_ares_new(struct loop *loop, const struct dns_setup *setup);
/* Other options: for the questions from here on. */
void dns_ares_setup(struct dns_ares *ares, const struct dns_setup *setup);
/* Ends every query, without calling its done. */
void dns_ares_free(struct dns_ares *ares);
/* Ask; done is called later, or within the call. On the loop's stack. */
void dns_ares_ask(struct dns_ares *ares, struct name_query *query);
/* "192.0.2.53:53, …": who is asked. */
const char *dns_ares_servers(struct dns_ares *ares);

/* ---- names ----------------------------------------------------------------------- */

enum { DNS_V6, DNS_V4, DNS_FAMILIES };

struct dns_half {
    struct name_query *query; /* under way, or NULL */
    enum name_result result;
    const char *why;
    bool known;         /* decided at least once */
    bool stale;         /* addrs are older than their TTL */
    uint32_t count;
    bool ordered;       /* addrs are, and best is the way to the first */
    uint8_t (*addrs)[16];
    struct addr_route best;
    int64_t until_ns;   /* then it is asked again */
    int64_t stale_until_ns;
    int64_t asked_ns, arrived_ns;
};

struct dns_name {
    struct node link;   /* in its bucket */
    struct node age;    /* used last at the end */
    struct node waits;
    struct dns *dns;
    uint64_t hash;
    uint32_t users;
    int64_t said_ns;    /* that it is stale */
    struct dns_half half[DNS_FAMILIES];
    size_t len;
    char text[];        /* in small letters */
};

/* Is it a host name, and no address? 0, or -EINVAL with a sentence. */
int dns_check_name(weir_str name);

/* The name, held for the caller until dns_name_release(); what is not known, or too
 * old, is being asked for. 0, WEIR_EFULL or -ENOMEM. */
int dns_name_get(weir_str name, struct dns_name **ret_name);
void dns_name_release(struct dns_name *name);

static inline bool dns_half_pending(const struct dns_half *half)
{
    return half->query != NULL;
}

/* When to go on with what there is: WEIR_NEVER_NS while there is nothing to go on
 * with, 0 at once. RFC 8305, section 3: IPv4 waits a little for IPv6. */
int64_t dns_name_ready_ns(const struct dns_name *name);

/* The family of the address that is to be tried first, when both have some. */
int dns_name_first(const struct dns_name *name);

/* Wait until something about it has changed, or until until_ns. 0 or the scope's
 * code. */
int dns_name_wait(struct dns_name *name, int64_t until_ns);
/* The same for who waits for more than the name. */
struct dns_watch {
    struct node link;
    void (*changed)(struct dns_watch *watch);
};
void dns_name_watch(struct dns_name *name, struct dns_watch *watch);
void dns_name_unwatch(struct dns_watch *watch);

/* The failure that a name without addresses is, with its sentence. */
int dns_name_fail(const struct dns_name *name);

/* Is this still one of a name's addresses, as far as this loop knows? Asks again,
 * waiting for nothing, when its TTL is over. */
bool dns_lists(weir_str name, const struct addr *addr);

/* The i-th address of a half, with a port. */
void dns_half_addr(const struct dns_half *half, int family, uint32_t i, uint16_t port,
                   struct addr *ret_addr);

#endif
