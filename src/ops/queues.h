/* A check for queues that stay full, and the figures of all queues as metrics. */
#ifndef OPS_QUEUES_H
#define OPS_QUEUES_H

void queues_check(void);

#endif
