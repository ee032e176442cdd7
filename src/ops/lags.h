/* How late the loops are, and how busy: continuing figures, whoever looks at them. */
#ifndef OPS_LAGS_H
#define OPS_LAGS_H

#include <stdbool.h>
#include <stdint.h>

#define LAGS_CLASSES 24 /* of 2^n us and up, to 2^(n + 1); the first from 0 on, the last the rest */

struct lags_look {
    uint64_t counts[LAGS_CLASSES]; /* since the runtime began */
    int64_t last_ns;               /* the last one; -1: none yet */
    int64_t pending_ns;            /* what is being measured has taken so long by now; or 0 */
    double busy_share;             /* of the last whole second; below 0: not known */
};

/* One of the checks: it measures once a second. */
void lags_check(void);
/* Any thread. */
void lags_read(uint32_t loop, struct lags_look *ret_look);

static inline unsigned lags_class(uint64_t us)
{
    unsigned length = 63 - (unsigned)__builtin_clzll(us | 1);

    return length < LAGS_CLASSES ? length : LAGS_CLASSES - 1;
}

#endif
