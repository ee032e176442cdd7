/* Copies of the options of TLS contexts: a reload reads the files that they name again, long after
 * the caller's texts are gone. */
#include "net/tls_copy.h"

#include <weir/str.h>

#include "base/arena.h"

const char *tls_copy_text(struct tls_copy *copy, const char *text)
{
    weir_str own;

    if (!text)
        return NULL;
    own = arena_dup(copy->arena, weir_str_c(text));
    copy->failed |= !own.ptr;
    return own.ptr;
}

size_t tls_count_certificates(const weir_tls_certificate *list)
{
    size_t count = 0;

    while (list && list[count].certificate)
        count++;
    return count;
}

const weir_tls_certificate *tls_copy_certificates(struct tls_copy *copy,
                                                  const weir_tls_certificate *list, size_t count)
{
    weir_tls_certificate *own = arena_zalloc(copy->arena, (count + 1) * sizeof(*own));

    copy->failed |= !own;
    for (size_t i = 0; own && i < count; i++) {
        own[i].certificate = tls_copy_text(copy, list[i].certificate);
        own[i].key = tls_copy_text(copy, list[i].key);
        own[i].ocsp = tls_copy_text(copy, list[i].ocsp);
    }
    return own;
}

void tls_copy_list(struct tls_copy *copy, const char *to[WEIR_TLS_ALPN_MAX],
                   const char *const from[WEIR_TLS_ALPN_MAX])
{
    size_t i = 0;

    for (; i < WEIR_TLS_ALPN_MAX && from[i]; i++)
        to[i] = tls_copy_text(copy, from[i]);
    for (; i < WEIR_TLS_ALPN_MAX; i++)
        to[i] = NULL;
}
