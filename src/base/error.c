/* Names, texts and categories of codes: weir's own from the table in
 * weir/error.h, errno's from the C library (the two functions used are
 * untranslated, static and safe in threads and signal handlers). */
#include <weir/error.h>

#include <limits.h>
#include <stdbool.h>
#include <string.h>

struct own_error {
    const char *name, *text;
    weir_category category;
};

#define OWN_FIRST 4096

static const struct own_error own_errors[] = {
#define OWN_ROW(name, number, category, text)                                  \
    [(number) - OWN_FIRST] = { "WEIR_" #name, text, WEIR_CATEGORY_##category },
    WEIR_ERRORS(OWN_ROW)
#undef OWN_ROW
};

static const struct own_error *own_error(int code)
{
    size_t at;

    if (code > -OWN_FIRST || code == INT_MIN)
        return NULL;
    at = (size_t)(-code - OWN_FIRST);
    if (at >= sizeof own_errors / sizeof own_errors[0] || !own_errors[at].name)
        return NULL;
    return &own_errors[at];
}

static bool is_errno(int code)
{
    return code < 0 && code > -OWN_FIRST;
}

const char *weir_error_name(int code)
{
    const struct own_error *own = own_error(code);
    const char *name;

    if (code >= 0)
        return "0";
    if (own)
        return own->name;
    name = is_errno(code) ? strerrorname_np(-code) : NULL;
    return name ? name : "unknown error";
}

const char *weir_error_text(int code)
{
    const struct own_error *own = own_error(code);
    const char *text;

    if (code >= 0)
        return "success";
    if (own)
        return own->text;
    /* These two are always a scope's: see weir/scope.h. */
    if (code == -ETIMEDOUT)
        return "the deadline has passed";
    if (code == -ECANCELED)
        return "the scope was cancelled";
    text = is_errno(code) ? strerrordesc_np(-code) : NULL;
    return text ? text : "unknown error";
}

static weir_category errno_category(int number)
{
    switch (number) {
    case ETIMEDOUT: return WEIR_CATEGORY_TIMEOUT;
    case ECANCELED: return WEIR_CATEGORY_CANCEL;
    case ECONNRESET:
    case ECONNREFUSED:
    case ECONNABORTED:
    case EPIPE:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case ENETRESET: return WEIR_CATEGORY_PEER;
    case EPROTO:
    case EBADMSG: return WEIR_CATEGORY_PROTOCOL;
    case EBUSY:
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOSPC:
    case EDQUOT: return WEIR_CATEGORY_LIMIT;
    default: return WEIR_CATEGORY_OS;
    }
}

weir_category weir_error_category(int code)
{
    const struct own_error *own = own_error(code);

    if (own)
        return own->category;
    return is_errno(code) ? errno_category(-code) : WEIR_CATEGORY_OS;
}
