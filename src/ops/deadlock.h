/* A check for tasks that wait for each other for ever: what it finds, it logs once. */
#ifndef OPS_DEADLOCK_H
#define OPS_DEADLOCK_H

void deadlock_check(void);

#endif
