/* The gateway's configuration: a YAML file, as values that are all in order.
 *
 *     listen: "127.0.0.1:8080"
 *     services:
 *       users: { url: "http://127.0.0.1:9001", timeout: 300ms }
 *     routes:
 *       - path: /api/profile/{id}
 *         aggregate:
 *           user: { service: users, path: "/users/{id}", required: true } */
#ifndef GATEWAY_CONFIG_H
#define GATEWAY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/str.h>
#include <weir/type.h>

#define CONFIG_SERVICES_MAX 256
#define CONFIG_ROUTES_MAX 1024
#define CONFIG_PARTS_MAX 64
#define CONFIG_BYTES_MAX (4u << 20)
#define CONFIG_TIME_MAX_MS 3600000
#define CONFIG_TIMEOUT_MS 1000 /* of a service that does not say */
#define CONFIG_CERTIFICATES_MAX 64

struct config_certificate {
    weir_str certificate, key, ocsp; /* files; absent: none */
};

/* Towards clients. */
struct config_tls {
    weir_str certificate, key, ocsp; /* of the first */
    struct config_certificate *others;
    size_t others_count;
    int profile; /* weir_tls_profile */
    weir_str client_ca;
};

/* Towards a service. */
struct config_service_tls {
    weir_str ca, certificate, key, name; /* absent: not given */
};

struct config_breaker {
    uint32_t failures, cooldown_ms;
};

struct config_service {
    weir_str url;
    uint32_t timeout_ms;
    uint32_t max_connections;
    struct config_breaker breaker;
    int http2; /* weir_http2 */
    struct config_service_tls *tls;
};

struct config_service_entry {
    weir_str key;
    struct config_service value;
};

struct config_part {
    weir_str service, path;
    weir_str fallback; /* JSON; absent: null */
    bool required;
};

struct config_part_entry {
    weir_str key;
    struct config_part value;
};

struct config_proxy {
    weir_str service;
};

/* Either aggregate or proxy. */
struct config_route {
    weir_str path;
    uint32_t timeout_ms; /* 0: not given */
    struct config_part_entry *aggregate;
    size_t aggregate_count;
    struct config_proxy *proxy;
};

struct config {
    weir_str listen;
    weir_str admin; /* absent: none */
    struct config_tls *tls;
    struct config_service_entry *services;
    size_t services_count;
    struct config_route *routes;
    size_t routes_count;

    weir_document *document; /* owns all of it */
};

/* Read a configuration; name is the file's, for faults. 0, WEIR_ECONFIG, or
 * -ENOMEM. In every case the caller ends it with config_done(), and finds the
 * faults in ret_config->document (NULL without memory). */
int config_read(const char *name, weir_str text, struct config *ret_config);
void config_done(struct config *config);

/* Read the file into memory that the caller frees with base_free(). 0 or -errno. */
int config_load(const char *path, weir_str *ret_text);

/* Print every fault to standard error, a line each. */
void config_print_faults(const struct config *config);

/* The index of a service by its name; it is there. */
size_t config_service_index(const struct config *config, weir_str name);

/* config_check.c: what only the whole can tell (services and parameters that are
 * not there, routes twice …), whatever else is wrong. 0 or -ENOMEM; faults go to
 * the document. */
int config_check(weir_document *document, weir_str text);

#endif
