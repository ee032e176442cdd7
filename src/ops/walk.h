/* One walk over all tasks of all loops for all that looks for trouble in them. */
#ifndef OPS_WALK_H
#define OPS_WALK_H

/* One of the checks: a walk, and what was found is told. Returns at once when it is not time
 * for one yet. */
void walk_check(void);

#endif
