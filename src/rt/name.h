/* Questions for host names, and who answers them.
 *
 * A backend that has an in-memory network answers them itself (io_ops.resolve);
 * for the others net asks the name servers. Either way a question is asked once,
 * and its done is called once, on the loop's stack, unless it was dropped. */
#ifndef RT_NAME_H
#define RT_NAME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define NAME_LEN_MAX 254 /* with a dot at its end, without an end byte */
#define NAME_ADDRS_MAX 32  /* of one family; more in an answer are left out */

enum name_result {
    NAME_OK,       /* count addresses, for ttl_ms */
    NAME_NONE,     /* the name exists, and has no address of this family */
    NAME_UNKNOWN,  /* it does not exist: NXDOMAIN */
    NAME_SILENT,   /* no server answered in time */
    NAME_FAILED,   /* what was answered is of no use: SERVFAIL, REFUSED, … */
    NAME_NO_MEMORY
};

struct name_query {
    struct loop *loop;
    int family; /* AF_INET or AF_INET6 */
    void (*done)(struct name_query *query);
    void *arg;  /* for done's use */
    void *own;  /* the answerer's */
    enum name_result result;
    const char *why; /* "SERVFAIL": static */
    int64_t ttl_ms;
    uint32_t count;
    uint8_t addrs[NAME_ADDRS_MAX][16]; /* of IPv4 the first four bytes */
    char name[NAME_LEN_MAX + 1];
};

#endif
