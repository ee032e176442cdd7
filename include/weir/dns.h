/* Host names.
 *
 * Wherever an address is connected to, a name may stand: weir_stream_connect() and
 * the HTTP client look it up. Here is what they do it with, for programs that want
 * the addresses themselves.
 *
 * Each loop keeps what it has learned for as long as the answer says (its TTL,
 * within bounds), asks once for a name that many tasks want, and reads /etc/hosts
 * and /etc/resolv.conf again when they change. When the name servers fail and a
 * name's addresses were known, those are used for a while longer, and the log says
 * so. */
#ifndef WEIR_DNS_H
#define WEIR_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/error.h>
#include <weir/str.h>

WEIR_BEGIN

typedef struct weir_addresses {
    const weir_str *list; /* "192.0.2.1", "2001:db8::1"; IPv6 and IPv4 in turn, as they
                             are to be tried (RFC 6724) */
    size_t count;         /* at least 1 */
    uint32_t ttl_ms;      /* how long they hold; 0 for what is not looked up */
    bool stale;           /* they held once: the name servers fail */
} weir_addresses;

/* Look a host name up. An address is its own answer, and localhost is 127.0.0.1.
 * IPv6 and IPv4 addresses are asked for at once; when there are some of one
 * family, the others are waited for 50 ms at most (RFC 8305, section 3).
 *
 * Checkpoint: always.
 * Returns:    0, or, with a sentence that says which name and which servers,
 *   WEIR_ENAME         there is no such name, or it has no address
 *   WEIR_ENAMESERVER   the name servers can't say: SERVFAIL, REFUSED, nonsense
 *   WEIR_EPEERTIMEOUT  the name servers gave no answer
 *   -EINVAL            it is no host name
 *   WEIR_EFULL         too many names are being looked up
 *   -ENOMEM            no memory
 *   -ETIMEDOUT         the scope's deadline passed; the asking goes on for others
 *   -ECANCELED         the scope was cancelled; the asking goes on for others
 * Ownership:  what *ret_addresses points to is the current arena's.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(2)
int weir_resolve(weir_str name, weir_addresses *ret_addresses);

typedef struct weir_dns_opts {
    size_t size;              /* set by the macro */
    const char *servers;      /* "192.0.2.53,[2001:db8::53]:5353"; unset: those of
                                 resolv_conf */
    const char *resolv_conf;  /* unset: "/etc/resolv.conf" */
    const char *hosts;        /* unset: "/etc/hosts"; "" reads none */
    uint32_t timeout_ms;      /* for a server's answer at the first try; unset: 2,000 */
    uint32_t tries;           /* of each server; unset: 3 */
    uint32_t min_ttl_ms;      /* an answer is kept so long at least; unset: 1,000 */
    uint32_t max_ttl_ms;      /* and at most; unset: 3,600,000 */
    uint32_t negative_ttl_ms; /* that there is no such name; unset: 5,000 */
    uint32_t failure_ttl_ms;  /* that the servers fail, before they are asked again;
                                 unset: 1,000 */
    uint32_t stale_ms;        /* addresses are used so long past their TTL while the
                                 servers fail; unset: 600,000; WEIR_DNS_NEVER: not */
    uint32_t max_names;       /* each loop keeps; unset: 1,024 */
    uint32_t max_queries;     /* each loop has under way; unset: 256 */
} weir_dns_opts;

#define WEIR_DNS_NEVER UINT32_MAX

#define weir_dns_setup(...) \
    weir_dns_setup_opt(&(weir_dns_opts){ .size = sizeof(weir_dns_opts), __VA_ARGS__ })

/* Say how names are looked up from here on. What the loops have learned by then is
 * forgotten.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EINVAL  a text is longer than 255 bytes
 * Ownership:  the texts are copied.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_dns_setup_opt(const weir_dns_opts *opts);

WEIR_END

#endif
