/* What the servers' connections wait for, as metrics. */
#ifndef OPS_CONNECTIONS_H
#define OPS_CONNECTIONS_H

void connections_check(void);

#endif
