/* What other threads submit to the loops. */
#ifndef OPS_SUBMISSIONS_H
#define OPS_SUBMISSIONS_H

void submissions_check(void);

#endif
