/* Failures that nobody joins, on their way to whoever should know: the scope's handler,
 * the application's, the log. */
#ifndef RT_UNSEEN_H
#define RT_UNSEEN_H

#include <stdint.h>

#include <weir/scope.h>

#include "base/chain.h"
#include "rt/inspect.h"

/* As it is found, on the thread of its scope's loop; the texts are made on demand. */
struct unseen {
    int code;
    const char *task, *site;
    const struct scope *scope; /* that the task ran in */
    const struct chain *chain; /* NULL: none */
};

struct unseen_text {
    char scopes[INSPECT_PATH_BYTES];
    char error[CHAIN_TEXT_BYTES + 1];
    char links[2 * CHAIN_TEXT_BYTES];
};

enum unseen_kind {
    UNSEEN_FAILURE, /* of a task, that neither a scope's handler nor the application's took */
    UNSEEN_CHAIN,   /* a task has succeeded with an error chain: it went on after a failure */
    UNSEEN_KINDS
};

/* Tell the handlers, then the log. */
void unseen_failure(const struct unseen *failure);
/* One that is of interest to a scope's handler alone. */
void unseen_told(const struct unseen *failure);
/* A task has succeeded and left this chain. */
void unseen_chain(const struct scope *scope, const struct task *task, const struct chain *chain);
/* The first failure in a scope that is left; true: its handler has dealt with it. */
bool unseen_left(const struct unseen *failure);

/* What a handler, or the log, is given. */
weir_failure unseen_describe(const struct unseen *failure, struct unseen_text *text);
/* Where those go that no handler took; without it failures are written to standard error,
 * and chains are only counted. Set before the runtime runs. */
void unseen_report_to(void (*report)(enum unseen_kind kind, const struct unseen *failure));
/* How many there were. */
uint64_t unseen_count(enum unseen_kind kind);

#endif
