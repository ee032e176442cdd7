/* Faults reported by rules over a whole struct; see weir/type.h.
 *
 * The place is looked up in the source, going down from the struct along the
 * pointer; where that ends before the pointer does, the last value found is the
 * place. */
#include "type/checker.h"

#include <stdlib.h>

static bool token_is(weir_str token, const struct member *member, size_t index, bool keyed)
{
    char number[24];

    if (keyed)
        return weir_str_eq(token, member->key);
    if (token.len == 0 || token.len >= sizeof number)
        return false;
    memcpy(number, token.ptr, token.len);
    number[token.len] = '\0';
    return strtoull(number, NULL, 10) == index;
}

/* The value that a token names inside a view. */
static bool step_down(const struct source *source, struct view *view, weir_str token)
{
    struct member member;
    struct walk walk;

    if (view->kind != VIEW_ARRAY && view->kind != VIEW_OBJECT)
        return false;
    source->ops->walk(source, view, &walk);
    for (size_t i = 0; source->ops->next(source, &walk, &member); i++) {
        if (!token_is(token, &member, i, view->kind == VIEW_OBJECT))
            continue;
        source->ops->view(source, member.at, view);
        return true;
    }
    return false;
}

void weir_check_fault(weir_checker *checker, const char *where, const char *hint, const char *fmt,
                      ...)
{
    struct decoder *d = checker->decoder;
    struct view view = *checker->view;
    weir_str rest = weir_str_c(where);
    va_list args;

    while (rest.len > 0) {
        const char *slash = memchr(rest.ptr, '/', rest.len);
        size_t len = slash ? (size_t)(slash - rest.ptr) : rest.len;

        if (!step_down(d->source, &view, weir_str_from(rest.ptr, len)))
            break;
        rest = weir_str_skip(rest, len + 1);
    }
    if (faults_full(d->faults))
        return;
    va_start(args, fmt);
    faults_addv(d->faults, frame_pointer(d->arena, checker->at, where),
                d->source->ops->place(d->source, view.at), hint, fmt, args);
    va_end(args);
}
