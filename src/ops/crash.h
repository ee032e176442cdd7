/* What a crash's report is made of; see crash.c. */
#ifndef OPS_CRASH_H
#define OPS_CRASH_H

#include <signal.h>
#include <stdbool.h>

#include "ops/plain.h"
#include "ops/running.h"
#include "ops/stack.h"

#define CRASH_STACK_BYTES 8192

/* All of it is memory that stands ready: nothing is allocated then. */
struct crash_report {
    struct plain text;
    struct running running;        /* where it has crashed */
    struct running other;          /* a loop that has not */
    struct stack_copy copy;
    char stack[CRASH_STACK_BYTES]; /* copy's, named */
    bool named;
    uint64_t code_low, code_high; /* of the program's own file */
};

/* Before a crash: what the handler may not ask for any more. */
void crash_note_code(struct crash_report *report);

/* The rest is async-signal-safe. The signal, the task, and whether its stack has overflowed.
 * loop: the one whose thread this is, or NULL. */
void crash_write_head(struct crash_report *report, const siginfo_t *info, const struct loop *loop);
void crash_write_stack(struct crash_report *report);
/* What the loop has done, and what the others do. */
void crash_write_loops(struct crash_report *report, const struct loop *loop);
/* Fill in report->copy. */
void crash_copy_stack(struct crash_report *report, const void *context);
const char *crash_signal_name(int number);

#endif
