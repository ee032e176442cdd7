/* Turning the sample services' knobs over HTTP: /demo and /demo/{service}. */
#ifndef DEMO_CONTROL_H
#define DEMO_CONTROL_H

#include "demo/sample.h"

struct demo {
    struct sample samples[SAMPLES];
    uint16_t port, admin_port;
};

/* A serve.h hook; arg is the demo. */
void control_routes(weir_app *app, void *arg);

#endif
