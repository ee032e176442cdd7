/* The lines of failures that nobody joins, and their metrics. */
#include "obs/log_state.h"

#include <weir/error.h>

#include "obs/metrics.h"
#include "rt/rt.h"
#include "rt/unseen.h"

static void report(enum unseen_kind kind, const struct unseen *found)
{
    bool failed = kind == UNSEEN_FAILURE;
    weir_log_level level = failed ? WEIR_LOG_ERROR : WEIR_LOG_DEBUG;
    struct unseen_text text;
    weir_failure told;

    if (!weir_log_enabled(level))
        return;
    told = unseen_describe(found, &text);
    weir_log(level,
             failed ? "a task failed that nobody joins"
                    : "a task has succeeded with an error that it did not weir_recover()",
             WEIR_FIELD("failed_task", told.task), WEIR_FIELD("site", told.site),
             WEIR_FIELD("scopes", told.scopes), WEIR_FIELD("error", weir_error_name(told.code)),
             WEIR_FIELD("meaning", weir_error_text(told.code)), WEIR_FIELD("chain", told.error),
             WEIR_FIELD("links", told.links));
}

static double read_unseen(void *arg)
{
    return (double)unseen_count((enum unseen_kind)(intptr_t)arg);
}

static double read_wrong_uses(void *arg)
{
    (void)arg;
    return rt_wrong_uses();
}

void log_failures(void)
{
    unseen_report_to(report);
}

void log_failures_count(void)
{
    weir_counter_new("weir_failures_unjoined_total",
                     "Failures of tasks that no join reported and no handler took.",
                     .read = read_unseen, .arg = (void *)(intptr_t)UNSEEN_FAILURE);
    weir_counter_new("weir_errors_dropped_total",
                     "Tasks that succeeded with an error chain that they did not recover from.",
                     .read = read_unseen, .arg = (void *)(intptr_t)UNSEEN_CHAIN);
    weir_counter_new("weir_wrong_uses_total", "Mistakes of the program that it survived.",
                     .read = read_wrong_uses);
}
