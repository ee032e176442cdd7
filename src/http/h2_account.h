/* The memory of nghttp2's sessions: from base/alloc.h, and counted in the budget. */
#ifndef HTTP_H2_ACCOUNT_H
#define HTTP_H2_ACCOUNT_H

#include <nghttp2/nghttp2.h>
#include <stddef.h>

/* One loop's account; zeroed before its first use. */
struct h2_account {
    nghttp2_mem mem;
    size_t used;  /* bytes in use */
    size_t taken; /* of the budget; no less than used */
};

/* The allocator that works on this account, for sessions made on its loop. */
nghttp2_mem *h2_account_mem(struct h2_account *account);
/* Nothing of it is in use any more. */
void h2_account_done(struct h2_account *account);

#endif
