/* Sessions: a pool of one thread that stays. Its queue is first come, first
 * served, so calls run in the order in which they were made. In a simulation all
 * calls run on one thread anyway, and none is started. */
#include <string.h>

#include "base/alloc.h"
#include "rt/threads.h"

#define SESSION_QUEUE 64
#define SESSION_QUEUE_MAX 1000000

struct weir_session {
    weir_threads thread;
};

int weir_session_open_opt(weir_session **ret_session, const weir_session_opts *opts)
{
    const char *name = opts->name ? opts->name : "session";
    weir_session *session;
    int rc;

    if (strlen(name) >= THREADS_NAME_BYTES || opts->queue > SESSION_QUEUE_MAX)
        return weir_fail(-EINVAL,
                         "the session \"%s\" with a queue of %u: a name has at most %d "
                         "bytes, a queue %d calls",
                         name, opts->queue, THREADS_NAME_BYTES - 1, SESSION_QUEUE_MAX);
    session = base_malloc(sizeof(*session));
    if (!session)
        return -ENOMEM;
    threads_init(&session->thread, name, 1, opts->queue ? opts->queue : SESSION_QUEUE,
                 WEIR_NEVER_NS);
    rc = loop_current->ops->block ? 0 : threads_start_one(&session->thread);
    if (rc < 0) {
        threads_done(&session->thread);
        base_free(session);
        return weir_fail(rc, "the system starts no thread for the session \"%s\"", name);
    }
    *ret_session = session;
    return 0;
}

int weir_session_call_opt(weir_session *session, weir_fn *fn, void *arg,
                          const weir_block_opts *opts)
{
    return block_call_on(&session->thread, fn, arg, opts);
}

void weir_session_close(weir_session *session)
{
    if (!session)
        return;
    threads_close(&session->thread);
    base_free(session);
}
