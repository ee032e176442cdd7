/* What a program logs while its tasks are looked after, kept for the test. */
#ifndef OPS_SAID_H
#define OPS_SAID_H

#include <pthread.h>

#include <weir/inspect.h>
#include <weir/log.h>

#include "support/in_task.h"

#define SAID_BYTES 65536
#define LIMIT_MS 20000

static struct {
    pthread_mutex_t lock;
    char text[SAID_BYTES];
    size_t len;
} said = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline ssize_t keep(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    pthread_mutex_lock(&said.lock);
    if (said.len + len < SAID_BYTES) {
        memcpy(said.text + said.len, bytes, len);
        said.len += len;
        said.text[said.len] = '\0';
    }
    pthread_mutex_unlock(&said.lock);
    return (ssize_t)len;
}

static inline int times(const char *part)
{
    int n = 0;

    pthread_mutex_lock(&said.lock);
    for (const char *at = said.text; (at = strstr(at, part)) != NULL; at++)
        n++;
    pthread_mutex_unlock(&said.lock);
    return n;
}

static inline void run(weir_fn *fn, uint32_t loops)
{
    said.len = 0;
    said.text[0] = '\0';
    assert_int_equal(weir_log_open(.sink = keep, .sync = true, .form = WEIR_LOG_JSON), 0);
    assert_int_equal(weir_inspect_open(.no_handlers = true, .no_socket = true), 0);
    assert_int_equal(weir_run(fn, NULL, .loops = loops, .grace_ms = 200), 0);
    weir_inspect_close();
    weir_log_close();
}

/* Until it has been said, or (false) far too long. */
static inline bool wait_for(const char *part)
{
    for (int waited_ms = 0; waited_ms < LIMIT_MS; waited_ms += 10) {
        if (times(part) > 0)
            return true;
        CHECK_INT(weir_sleep_ms(10), 0);
    }
    return false;
}

#endif
