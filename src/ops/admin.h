/* The operator's endpoints: /healthz, /readyz and /metrics. */
#ifndef OPS_ADMIN_H
#define OPS_ADMIN_H

#include <stdatomic.h>

#include <weir/app.h>

enum admin_state { ADMIN_STARTING, ADMIN_READY, ADMIN_DRAINING };

/* state is an enum admin_state, which must outlive the app; any thread sets it.
 * NULL without memory. */
weir_app *admin_app_new(atomic_int *state);

#endif
