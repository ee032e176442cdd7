/* A sample service: a small HTTP server in this process that answers JSON, slowly
 * or badly if asked to, and that can be killed and revived. */
#ifndef DEMO_SAMPLE_H
#define DEMO_SAMPLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/app.h>

#define SAMPLES 10
#define SAMPLE_LATENCY_MAX_MS 60000

/* What is fixed about one. */
struct sample_kind {
    const char *name;   /* "orders" */
    const char *key;    /* of its part in the profile */
    const char *path;   /* what the gateway asks it */
    const char *fallback;
    const char *json;   /* what it knows about every user */
};

struct sample {
    const struct sample_kind *kind;
    uint16_t port;
    atomic_uint latency_ms, jitter_ms;
    atomic_uint errors; /* of 10,000 answers */
    atomic_ullong calls;
    atomic_bool wanted; /* to be up … */
    atomic_bool up;     /* … and is */
    bool changing;      /* on loop 0 only, like what follows */
    weir_app *app;
    struct http_server *server;
};

/* sample is all zero but for kind and port. 0 or -ENOMEM. */
int sample_init(struct sample *sample);
void sample_done(struct sample *sample);

/* Make it what is wanted: starts and stops its server. A task of loop 0. */
int sample_settle(void *sample);

extern const struct sample_kind sample_kinds[SAMPLES];

#endif
