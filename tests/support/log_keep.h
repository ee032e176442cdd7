/* The log's lines, kept for a test: what warnings were written? */
#ifndef SUPPORT_LOG_KEEP_H
#define SUPPORT_LOG_KEEP_H

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#include <weir/log.h>

static char log_kept[16384]; /* of one thread alone: else log_keep_has() */
static size_t log_kept_len;
static pthread_mutex_t log_kept_lock = PTHREAD_MUTEX_INITIALIZER;

static inline ssize_t log_keep_sink(void *arg, const char *bytes, size_t len)
{
    size_t n;

    (void)arg;
    pthread_mutex_lock(&log_kept_lock);
    n = sizeof(log_kept) - 1 - log_kept_len;
    n = len < n ? len : n;
    memcpy(log_kept + log_kept_len, bytes, n);
    log_kept_len += n;
    log_kept[log_kept_len] = '\0';
    pthread_mutex_unlock(&log_kept_lock);
    return (ssize_t)len;
}

/* Keep what is written from now on; 0. Ends with weir_log_close(). */
static inline int log_keep(void)
{
    return weir_log_open(.sync = true, .sink = log_keep_sink, .form = WEIR_LOG_TEXT);
}

static inline void log_keep_clear(void)
{
    pthread_mutex_lock(&log_kept_lock);
    log_kept_len = 0;
    log_kept[0] = '\0';
    pthread_mutex_unlock(&log_kept_lock);
}

static inline bool log_keep_has(const char *part)
{
    bool has;

    pthread_mutex_lock(&log_kept_lock);
    has = strstr(log_kept, part) != NULL;
    pthread_mutex_unlock(&log_kept_lock);
    return has;
}

#endif
