/* Pools of connections that carry several calls at once: a call has a permit and no
 * place, and a connection has a place for as long as it lives, whoever uses it.
 *
 * It holds as before that there are never more than max connections, and that one that
 * is idle is closed when another loop needs its place. One that is busy is not idle for
 * as long as calls go on to it, so its owner looks at pool_wanted() before it gives it
 * another. */
#ifndef GUARD_POOL_SHARE_H
#define GUARD_POOL_SHARE_H

#include <weir/guard.h>

/* As weir_pool_acquire(), but for a permit alone: the lease has neither item nor place. A
 * checkpoint. */
int pool_acquire_permit(weir_pool *pool, weir_lease *ret_lease);
/* End such a lease. */
void pool_release_permit(weir_lease *lease);

/* An idle connection of this loop, with its place, or NULL. The lease may become one of
 * weir_pool_release() by it. */
weir_pool_item *pool_take_idle(weir_lease *lease);
/* The right to make one; a checkpoint. */
int pool_take_place(weir_lease *lease);
/* Give back a place; or a connection that is idle now, which may be closed within the
 * call. On the loop that took it. */
void pool_release_place(weir_pool *pool);
void pool_put_idle(weir_pool *pool, weir_pool_item *item);
/* How many tasks, on any loop, wait for a place. */
uint32_t pool_wanted(weir_pool *pool);

#endif
