/* What the admin's address answers at /status: how the program is, as JSON. */
#ifndef OPS_STATUS_H
#define OPS_STATUS_H

#include <weir/exchange.h>

#include "base/strbuf.h"

/* Have add() append members, each with a comma in front, from now on; NULL: none. Called on
 * a thread that runs no loop. Set while nothing is served. */
void status_add(void (*add)(struct strbuf *out, void *arg), void *arg);

/* A handler; the route's data is a struct admin. */
int status_handle(weir_exchange *x);

#endif
