/* Pools that stay full are told; what pools hold, as metrics. */
#ifndef OPS_POOLS_H
#define OPS_POOLS_H

void pools_check(void);

#endif
