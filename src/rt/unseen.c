/* Failures that nobody joins; see unseen.h and weir_on_failure().
 *
 * Where they are found: at the end of a child (scope.c), where all of this is off the way
 * of a task that succeeds and has left no chain. A failure in a scope that was left without
 * a join goes to the opener's chain, marked as one that nobody has seen: if the opener then
 * fails, that chain is what it fails with; if it succeeds, the failure is reported at its
 * end. */
#include "rt/unseen.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "rt/loop.h"

static struct {
    weir_failure_fn *fn;
    void *arg;
    void (*report)(enum unseen_kind kind, const struct unseen *failure);
    _Atomic uint64_t count[UNSEEN_KINDS];
} unseen;

void weir_on_failure(weir_failure_fn *fn, void *arg)
{
    unseen.fn = fn;
    unseen.arg = arg;
}

void unseen_report_to(void (*report)(enum unseen_kind kind, const struct unseen *failure))
{
    unseen.report = report;
}

uint64_t unseen_count(enum unseen_kind kind)
{
    return atomic_load_explicit(&unseen.count[kind], memory_order_relaxed);
}

static void count(enum unseen_kind kind)
{
    atomic_fetch_add_explicit(&unseen.count[kind], 1, memory_order_relaxed);
}

weir_failure unseen_describe(const struct unseen *failure, struct unseen_text *text)
{
    size_t len;

    inspect_path(failure->scope, text->scopes, sizeof(text->scopes));
    len = strlen(text->scopes);
    if (failure->chain && failure->chain->unjoined)
        snprintf(text->scopes + len, sizeof(text->scopes) - len, " > %s", failure->chain->left);
    chain_print(failure->chain, text->error, sizeof(text->error));
    chain_print_links(failure->chain, text->links, sizeof(text->links));
    return (weir_failure){ .code = failure->code,
                           .task = failure->task,
                           .site = failure->site,
                           .scopes = text->scopes,
                           .error = text->error,
                           .links = text->links };
}

/* The chain that stands here is the running task's; a handler's own is nobody's. */
static bool ask(weir_failure_fn *fn, void *arg, const struct unseen *failure)
{
    struct chain *own = chain_take();
    struct unseen_text text;
    const weir_failure told = unseen_describe(failure, &text);
    bool done = fn(arg, &told);

    weir_recover();
    chain_set(own);
    return done;
}

static bool ask_scopes(const struct unseen *failure)
{
    for (const struct scope *scope = failure->scope; scope; scope = scope->parent)
        if (scope->on_failure)
            return ask(scope->on_failure, scope->failure_arg, failure);
    return false;
}

void unseen_told(const struct unseen *failure)
{
    ask_scopes(failure);
}

bool unseen_left(const struct unseen *failure)
{
    return failure->scope->on_failure &&
           ask(failure->scope->on_failure, failure->scope->failure_arg, failure);
}

void unseen_failure(const struct unseen *failure)
{
    struct unseen_text text;
    weir_failure told;

    if (ask_scopes(failure) || (unseen.fn && ask(unseen.fn, unseen.arg, failure)))
        return;
    count(UNSEEN_FAILURE);
    if (unseen.report) {
        unseen.report(UNSEEN_FAILURE, failure);
        return;
    }
    told = unseen_describe(failure, &text);
    fprintf(stderr, "weir: task \"%s\" (%s) failed: %s%s%s\n", told.task, told.site, told.error,
            *told.error ? ": " : "", weir_error_text(told.code));
}

/* The name of a task that was not given one: its function's. */
static const char *name_in(const char *site)
{
    const char *space = strchr(site, ' ');

    return space ? space + 1 : site;
}

void unseen_chain(const struct scope *scope, const struct task *task, const struct chain *chain)
{
    struct unseen found = { .code = chain->links[chain->count - 1].code,
                            .task = task_name(task),
                            .site = task && task->site ? task->site : "",
                            .scope = scope,
                            .chain = chain };

    if (chain->unjoined) {
        found.site = chain->unjoined;
        found.task = name_in(chain->unjoined);
        unseen_failure(&found);
        return;
    }
    count(UNSEEN_CHAIN);
    if (unseen.report)
        unseen.report(UNSEEN_CHAIN, &found);
}
