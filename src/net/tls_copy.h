/* Copies of what stands in options. */
#ifndef NET_TLS_COPY_H
#define NET_TLS_COPY_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/tls.h>

struct arena;

struct tls_copy {
    struct arena *arena;
    bool failed; /* without memory */
};

/* NULL of NULL. */
const char *tls_copy_text(struct tls_copy *copy, const char *text);
const weir_tls_certificate *tls_copy_certificates(struct tls_copy *copy,
                                                  const weir_tls_certificate *list, size_t count);
/* Up to the first NULL. */
void tls_copy_list(struct tls_copy *copy, const char *to[WEIR_TLS_ALPN_MAX],
                   const char *const from[WEIR_TLS_ALPN_MAX]);
/* Up to the first without .certificate; 0 of NULL. */
size_t tls_count_certificates(const weir_tls_certificate *list);

#endif
