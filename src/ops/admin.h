/* The operator's endpoints: /healthz, /readyz, /metrics and /status. */
#ifndef OPS_ADMIN_H
#define OPS_ADMIN_H

#include <stdatomic.h>
#include <stdint.h>

#include <weir/app.h>

enum admin_state { ADMIN_STARTING, ADMIN_READY, ADMIN_DRAINING };

struct admin {
    atomic_int state; /* enum admin_state; any thread sets it */
    int64_t started_ns;
};

/* admin must outlive the app. NULL without memory. */
weir_app *admin_app_new(struct admin *admin);

#endif
