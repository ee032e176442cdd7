/* The gateway's configuration by description: names, types and ranges stand in
 * the tables below, the rest in config_check.c. Both see every text, so that all
 * faults are told at once, in the file's order. */
#include "gateway/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir/client.h>
#include <weir/error.h>
#include <weir/tls.h>

#include "base/alloc.h"

static WEIR_TYPE(breaker_type, struct config_breaker,
                 WEIR_U32(failures, WEIR_RANGE(1, 1000000), WEIR_DEFAULT(5),
                          .help = "how many failures in a row open the breaker: 5"),
                 WEIR_DURATION_MS(cooldown_ms, .key = "cooldown", WEIR_RANGE(1, CONFIG_TIME_MAX_MS),
                                  WEIR_DEFAULT(5000), .help = "how long it stays open: 5s"));

static WEIR_NAMES(http2_names, { "auto", WEIR_HTTP2_AUTO },
                  { "always", WEIR_HTTP2_PRIOR_KNOWLEDGE }, { "never", WEIR_HTTP2_OFF });

static WEIR_TYPE(
    service_tls_type, struct config_service_tls,
    WEIR_STR(ca, .optional = true, .help = "file of the CAs to trust, in place of the system's"),
    WEIR_STR(certificate, .optional = true,
             .help = "file of the certificate to show to the service"),
    WEIR_STR(key, .optional = true, .help = "file of its private key"),
    WEIR_STR(name, .optional = true,
             .help = "the name in the service's certificate, when it is not the url's"));

static WEIR_TYPE(service_type, struct config_service,
                 WEIR_STR(url, .help = "where the service is: \"http://127.0.0.1:9001\""),
                 WEIR_DURATION_MS(timeout_ms, .key = "timeout", WEIR_RANGE(1, CONFIG_TIME_MAX_MS),
                                  WEIR_DEFAULT(CONFIG_TIMEOUT_MS), .help = "for one call: 300ms"),
                 WEIR_U32(max_connections, WEIR_RANGE(1, 65535), WEIR_DEFAULT(256),
                          .help = "calls at once: 256"),
                 WEIR_OBJECT(breaker, &breaker_type, .optional = true),
                 WEIR_ENUM(http2, &http2_names, WEIR_DEFAULT(WEIR_HTTP2_AUTO),
                           .help = "auto: with https, if the service chooses it"),
                 WEIR_OBJECT_PTR(tls, &service_tls_type));

static WEIR_TYPE(part_type, struct config_part,
                 WEIR_STR(service, .help = "the name of one of `services`"),
                 WEIR_STR(path, .help = "what to ask the service for: \"/users/{id}\""),
                 WEIR_BOOL(required, WEIR_DEFAULT(false)), WEIR_JSON(fallback, .optional = true));

static WEIR_TYPE(proxy_type, struct config_proxy,
                 WEIR_STR(service, .help = "the name of one of `services`"));

static WEIR_TYPE(route_type, struct config_route,
                 WEIR_STR(path, .help = "what clients ask for: /api/profile/{id}"),
                 WEIR_DURATION_MS(timeout_ms, .key = "timeout", WEIR_RANGE(1, CONFIG_TIME_MAX_MS),
                                  .optional = true, .help = "for the whole answer: 1s"),
                 WEIR_MAP(aggregate, &part_type, WEIR_LENGTH(1, CONFIG_PARTS_MAX),
                          .optional = true),
                 WEIR_OBJECT_PTR(proxy, &proxy_type));

static WEIR_NAMES(profile_names, { "intermediate", WEIR_TLS_INTERMEDIATE },
                  { "modern", WEIR_TLS_MODERN });

static WEIR_TYPE(certificate_type, struct config_certificate,
                 WEIR_STR(certificate, .help = "file: the certificate and its chain"),
                 WEIR_STR(key, .help = "file of its private key"),
                 WEIR_STR(ocsp, .optional = true, .help = "file of an OCSP response for it"));

static WEIR_TYPE(tls_type, struct config_tls,
                 WEIR_STR(certificate, .help = "file: the certificate and its chain"),
                 WEIR_STR(key, .help = "file of its private key"),
                 WEIR_STR(ocsp, .optional = true, .help = "file of an OCSP response for it"),
                 WEIR_ARRAY(others, WEIR_OBJECT_ITEM(&certificate_type),
                            WEIR_LENGTH(1, CONFIG_CERTIFICATES_MAX), .optional = true,
                            .help = "certificates for other names"),
                 WEIR_ENUM(profile, &profile_names, WEIR_DEFAULT(WEIR_TLS_INTERMEDIATE),
                           .help = "modern: TLS 1.3 alone; intermediate: 1.2 too"),
                 WEIR_STR(client_ca, .optional = true,
                          .help = "file: who signs the certificates that clients must have"));

static WEIR_TYPE(
    config_type, struct config,
    WEIR_STR(listen, .format = WEIR_HOST_PORT, .help = "where clients connect: 127.0.0.1:8080"),
    WEIR_STR(admin, .format = WEIR_HOST_PORT, .optional = true,
             .help = "where /healthz, /readyz, /status and /metrics are: 127.0.0.1:8081"),
    WEIR_OBJECT_PTR(tls, &tls_type),
    WEIR_MAP(services, &service_type, WEIR_LENGTH(1, CONFIG_SERVICES_MAX),
             .help = "name the services, each with its `url`"),
    WEIR_ARRAY(routes, WEIR_OBJECT_ITEM(&route_type), WEIR_LENGTH(1, CONFIG_ROUTES_MAX),
               .help = "list the routes, each with its `path`"));

int config_read(const char *name, weir_str text, struct config *ret_config)
{
    weir_document *document = weir_document_new(name, .max_bytes = CONFIG_BYTES_MAX);
    int rc, checked;

    /* YAML 1.2, section 5.2: a byte order mark may come first; libyaml takes none. */
    if (weir_str_starts(text, WEIR_S("\xef\xbb\xbf")))
        text = weir_str_skip(text, 3);
    *ret_config = (struct config){ .document = document };
    if (!document)
        return -ENOMEM;
    rc = weir_document_yaml(document, text, &config_type, ret_config);
    ret_config->document = document;
    if (rc < 0 && rc != WEIR_ECONFIG)
        return rc;
    checked = text.len <= CONFIG_BYTES_MAX ? config_check(document, text) : 0;
    if (checked < 0)
        return checked;
    return weir_document_faults(document).count > 0 ? WEIR_ECONFIG : 0;
}

void config_done(struct config *config)
{
    weir_document_free(config->document);
    *config = (struct config){ 0 };
}

void config_print_faults(const struct config *config)
{
    char one, *text;
    size_t size;

    if (!config->document) {
        fputs("out of memory\n", stderr);
        return;
    }
    size = weir_document_print(config->document, &one, sizeof(one)) + 1;
    text = base_malloc(size);
    if (!text) {
        fputs("out of memory\n", stderr);
        return;
    }
    weir_document_print(config->document, text, size);
    fputs(text, stderr);
    base_free(text);
}

size_t config_service_index(const struct config *config, weir_str name)
{
    size_t i = 0;

    while (i < config->services_count && !weir_str_eq(config->services[i].key, name))
        i++;
    return i;
}

/* One byte over the limit is read, so that a file that is too large is seen. */
static int read_all(FILE *file, weir_str *ret_text)
{
    char *text = base_malloc(CONFIG_BYTES_MAX + 1);
    size_t len;

    if (!text)
        return -ENOMEM;
    errno = 0;
    len = fread(text, 1, CONFIG_BYTES_MAX + 1, file);
    if (ferror(file)) {
        base_free(text);
        return errno ? -errno : -EIO;
    }
    *ret_text = weir_str_from(text, len);
    return 0;
}

int config_load(const char *path, weir_str *ret_text)
{
    FILE *file = fopen(path, "rbe");
    int rc;

    if (!file)
        return -errno;
    rc = read_all(file, ret_text);
    fclose(file);
    return rc;
}
