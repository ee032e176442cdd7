/* Which certificate for which name: SNI (RFC 6066, section 3).
 *
 * The names come from the certificates themselves: the DNS names of their subjectAltName, or, where
 * there are none, the common name (RFC 6125, section 6.4). They are ASCII: a name with other letters
 * stands there in its A-label form ("xn--..."), and clients ask for that form, so that bytes are
 * compared, in lower case and without a dot at the end.
 *
 * A wildcard is a whole label, the first, and stands for one label that is not empty (section
 * 6.4.3); an exact name goes before it. Certificates with different kinds of keys for a name make
 * a group: they lie in one SSL_CTX, and the library takes the one that the client can check. */
#include "net/tls_state.h"

#include <errno.h>
#include <string.h>

#include <openssl/x509v3.h>

#include <weir/error.h>
#include <weir/log.h>

#include "net/tls_file.h"

#define NAME_MAX_BYTES 253

/* ---- the names of certificates --------------------------------------------------------------- */

/* In lower case, without a dot at the end; 0: it is none. */
static size_t name_fold(weir_str name, char folded[static NAME_MAX_BYTES])
{
    size_t len = name.len > 0 && name.ptr[name.len - 1] == '.' ? name.len - 1 : name.len;

    if (len == 0 || len > NAME_MAX_BYTES)
        return 0;
    for (size_t i = 0; i < len; i++) {
        char c = name.ptr[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c + ('a' - 'A'));
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
              (c == '.' && i > 0 && folded[i - 1] != '.')))
            return 0;
        folded[i] = c;
    }
    return len;
}

/* The same for one that may begin with "*.". */
static size_t pattern_fold(weir_str name, char folded[static NAME_MAX_BYTES])
{
    size_t len;

    if (!weir_str_starts(name, WEIR_S("*.")) || name.len - 2 > NAME_MAX_BYTES - 2)
        return name_fold(name, folded);
    len = name_fold(weir_str_skip(name, 2), folded);
    if (len == 0 || len > NAME_MAX_BYTES - 2)
        return 0;
    memmove(folded + 2, folded, len);
    folded[0] = '*';
    folded[1] = '.';
    return len + 2;
}

struct collect {
    struct tls_state *state;
    const weir_tls_certificate *from;
    int at; /* of the certificate in state->own */
    unsigned names;
};

/* What a name stands for while groups are made. */
struct named {
    struct tls_group slots;
};

/* The place for one more certificate of that kind is taken: which one is shown? */
static void settle(struct collect *c, struct named *named, weir_str name, enum tls_key_kind kind)
{
    int *slot = &named->slots.own[kind];
    bool take = *slot < 0 ||
                (c->state->own[*slot].out_of_time && !c->state->own[c->at].out_of_time);

    if (*slot >= 0 && *slot != c->at)
        weir_warn("both %s and %s are for %.*s: %s is shown", c->from[*slot].certificate,
                  c->from[c->at].certificate, WEIR_ARG(name),
                  c->from[take ? c->at : *slot].certificate);
    if (take)
        *slot = c->at;
}

static int collect_name(struct collect *c, weir_str text)
{
    char folded[NAME_MAX_BYTES];
    weir_str name = { folded, pattern_fold(text, folded) };
    struct named *named;

    if (name.len == 0) {
        weir_warn("a name in the certificate %s is none of a host and is passed over",
                  c->from[c->at].certificate);
        return 0;
    }
    c->names++;
    named = map_get(&c->state->names, name);
    if (!named) {
        named = arena_zalloc(&c->state->arena, sizeof(*named));
        name = arena_dup(&c->state->arena, name);
        if (!named || !name.ptr)
            return -ENOMEM;
        for (int k = 0; k < TLS_KEY_KINDS; k++)
            named->slots.own[k] = -1;
        if (map_put(&c->state->names, name, named) < 0)
            return -ENOMEM;
    }
    settle(c, named, name, c->state->own[c->at].kind);
    return 0;
}

static weir_str asn1_text(const ASN1_STRING *string)
{
    return weir_str_from((const char *)ASN1_STRING_get0_data(string),
                         (size_t)ASN1_STRING_length(string));
}

static int collect_common_name(struct collect *c, const X509 *cert)
{
    const X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    if (at < 0)
        return 0;
    weir_warn("the certificate %s has no subjectAltName: clients of today refuse it",
              c->from[c->at].certificate);
    return collect_name(c, asn1_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
}

/* All names of a certificate; the first goes to ret_first. */
static int collect_names(struct collect *c, const X509 *cert)
{
    GENERAL_NAMES *list = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int rc = 0;

    for (int i = 0; rc == 0 && i < sk_GENERAL_NAME_num(list); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(list, i);

        if (name->type == GEN_DNS)
            rc = collect_name(c, asn1_text(name->d.dNSName));
    }
    if (rc == 0 && !list)
        rc = collect_common_name(c, cert);
    GENERAL_NAMES_free(list);
    return rc;
}

/* ---- groups -------------------------------------------------------------------------------------- */

static struct tls_group *group_of(struct tls_state *state, const struct tls_group *slots)
{
    struct tls_group **place = &state->groups;

    while (*place && memcmp((*place)->own, slots->own, sizeof(slots->own)) != 0)
        place = &(*place)->next;
    if (!*place) {
        *place = arena_zalloc(&state->arena, sizeof(**place));
        if (*place)
            memcpy((*place)->own, slots->own, sizeof(slots->own));
    }
    return *place;
}

/* The default goes first: the certificate that was named first, and those of other kinds of keys
 * that share a name with it. */
static struct tls_group *default_group(struct tls_state *state)
{
    struct tls_group slots = { .own = { -1, -1, -1 } };
    enum tls_key_kind kind = state->own[0].kind;
    struct map_entry *entry;
    size_t at = 0;

    slots.own[kind] = 0;
    while (map_next(&state->names, &at, &entry)) {
        const struct named *named = entry->value;

        for (int k = 0; k < TLS_KEY_KINDS && named->slots.own[kind] == 0; k++) {
            if (named->slots.own[k] >= 0 &&
                (slots.own[k] < 0 || named->slots.own[k] < slots.own[k]))
                slots.own[k] = named->slots.own[k];
        }
    }
    return group_of(state, &slots);
}

int tls_names_group(struct tls_state *state, const weir_tls_certificate *from)
{
    struct map_entry *entry;
    size_t at = 0;

    for (size_t i = 0; i < state->own_count; i++) {
        struct collect c = { .state = state, .from = from, .at = (int)i };
        int rc = collect_names(&c, state->own[i].leaf);

        if (rc < 0)
            return rc;
        if (c.names == 0 && i > 0)
            weir_warn("the certificate %s names no host, and is not the first: it is never shown",
                      from[i].certificate);
    }
    if (!default_group(state))
        return -ENOMEM;
    while (map_next(&state->names, &at, &entry)) {
        struct named *named = entry->value;

        entry->value = group_of(state, &named->slots);
        if (!entry->value)
            return -ENOMEM;
    }
    return 0;
}

/* ---- in a handshake -------------------------------------------------------------------------------- */

struct tls_group *tls_names_find(const struct tls_state *state, weir_str name)
{
    char folded[NAME_MAX_BYTES];
    size_t len = name_fold(name, folded);
    char *dot = len ? memchr(folded, '.', len) : NULL;
    struct tls_group *group = len ? map_get(&state->names, weir_str_from(folded, len)) : NULL;

    if (group || !dot)
        return group;
    dot[-1] = '*'; /* no label is empty */
    return map_get(&state->names, weir_str_from(dot - 1, len - (size_t)(dot - 1 - folded)));
}

static int choose_by_name(SSL *ssl, int *alert, void *arg)
{
    const struct tls_state *state = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct tls_group *group = name ? tls_names_find(state, weir_str_c(name)) : NULL;

    if (group)
        return SSL_set_SSL_CTX(ssl, group->ctx) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
    if (name && state->known_names_only) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

void tls_names_use(struct tls_state *state, SSL_CTX *ctx)
{
    SSL_CTX_set_tlsext_servername_callback(ctx, choose_by_name);
    SSL_CTX_set_tlsext_servername_arg(ctx, state);
}
