/* Checks for tasks that wait where nobody is left to wake them, and for scopes that take
 * long to close. */
#ifndef OPS_LEAKS_H
#define OPS_LEAKS_H

void leaks_check(void);

#endif
