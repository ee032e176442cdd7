/* A name server for tests: a thread that answers over UDP and TCP on 127.0.0.1, well
 * or badly, as it was told for each name. */
#ifndef SUPPORT_DNS_PEER_H
#define SUPPORT_DNS_PEER_H

#include <stdbool.h>
#include <stdint.h>

struct dns_peer;

enum dns_way {
    DNS_ANSWER,         /* as it is set */
    DNS_NXDOMAIN,
    DNS_SERVFAIL,
    DNS_REFUSED,
    DNS_SILENT,         /* says nothing */
    DNS_AAAA_SILENT,    /* … about IPv6 */
    DNS_SLOW_AAAA,      /* IPv6 after delay_ms */
    DNS_SLOW,           /* everything after delay_ms */
    DNS_TRUNCATED,      /* UDP answers say TC: the answer comes over TCP */
    DNS_WRONG_ID,       /* a false id first, then the answer */
    DNS_WRONG_ID_ONLY,
    DNS_WRONG_QUESTION, /* an answer to another question, in all else right */
    DNS_GARBAGE,        /* random bytes behind a right header */
    DNS_SHORT,          /* the message ends in its middle */
    DNS_CNAME_LOOP,     /* a.x is b.x, and b.x is a.x */
    DNS_CNAME,          /* an alias, of 5 s, of the addresses */
    DNS_HUGE            /* 200 addresses, over TCP */
};

struct dns_record {
    const char *name;
    enum dns_way way;
    uint32_t ttl_s;
    const char *v4[3], *v6[3]; /* up to a NULL */
    uint32_t delay_ms;
};

/* "127.0.0.1:port" in address. Aborts when it can't start. */
struct dns_peer *dns_peer_start(char address[static 32]);
/* Names that are not set do not exist. The record's texts must live. */
void dns_peer_set(struct dns_peer *peer, const struct dns_record *record);
#define dns_peer_says(peer, called, ...) \
    dns_peer_set(peer, &(struct dns_record){ .name = (called), __VA_ARGS__ })
/* Questions so far; of both families. */
uint32_t dns_peer_asked(struct dns_peer *peer);
uint32_t dns_peer_asked_tcp(struct dns_peer *peer);
void dns_peer_stop(struct dns_peer *peer);

#endif
