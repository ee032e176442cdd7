/* SIGTERM and SIGINT.
 *
 * A second signal means that someone is done waiting: the handler then ends the process
 * itself. SIGPIPE is ignored, for what the program itself writes.
 *
 * What it holds is process-wide, as the handlers are. */
#include "ops/end_signals.h"

#include <unistd.h>

#include <weir/log.h>

#include "rt/signals.h"

#define SIGNALS_FLUSH_MS 200

static struct {
    weir_signals *end;
    struct sigaction old_pipe;
} signals;

static void end_at_once(int number)
{
    weir_log_flush(SIGNALS_FLUSH_MS);
    _exit(128 + number);
}

int end_signals_open(void)
{
    static const int numbers[] = { SIGTERM, SIGINT };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    int rc = signals_take_last(&signals.end, numbers, 2, end_at_once);

    if (rc < 0)
        return rc;
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, &signals.old_pipe);
    return 0;
}

void end_signals_close(void)
{
    weir_signals_close(signals.end);
    sigaction(SIGPIPE, &signals.old_pipe, NULL);
}

int end_signals_wait(void)
{
    int number, rc = weir_signals_next(signals.end, &number);

    return rc > 0 ? number : rc;
}
