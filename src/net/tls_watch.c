/* Reloading a TLS context when its files change.
 *
 * Folders are watched, not files: certificates are replaced by renaming a new file, or a link, into
 * place, and a watch on the old file would see nothing more. Some replace a link to a folder above
 * (Kubernetes); so any event in a folder is a reason to look at the files themselves, and only
 * what has changed there leads to a reload. Certificate and key are two files: a reload between
 * the two fails, keeps what was there, and is done again at the next event.
 *
 * A folder that is gone is waited for. */
#include <errno.h>
#include <string.h>

#include <weir/chan.h>
#include <weir/file.h>
#include <weir/log.h>
#include <weir/scope.h>

#include "base/alloc.h"
#include "net/file.h"
#include "net/tls_context.h"

#define QUIET_MS 200 /* after an event: others come with it */
#define RETRY_MS 1000

typedef WEIR_CHAN(char) event_chan;

struct folder {
    char *path;
    event_chan events;
    bool missing; /* that has been told */
};

struct watcher {
    struct tls_context *context;
    event_chan events;
    struct folder *folders;
    size_t count;
};

/* ---- folders ------------------------------------------------------------------------------ */

static int add_folder(struct watcher *watcher, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t len = !slash ? 1 : slash == path ? 1 : (size_t)(slash - path);
    char *copy = base_malloc(len + 1);

    if (!copy)
        return -ENOMEM;
    memcpy(copy, slash ? path : ".", len);
    copy[len] = '\0';
    for (size_t i = 0; i < watcher->count; i++) {
        if (strcmp(watcher->folders[i].path, copy) == 0) {
            base_free(copy);
            return 0;
        }
    }
    watcher->folders[watcher->count++] = (struct folder){ .path = copy, .events = watcher->events };
    return 0;
}

static int list_folders(struct watcher *watcher)
{
    size_t paths = 0;
    int rc = 0;

    while (tls_context_path(watcher->context, paths))
        paths++;
    watcher->folders = base_calloc(paths + 1, sizeof(*watcher->folders));
    if (!watcher->folders)
        return -ENOMEM;
    for (size_t i = 0; rc == 0 && i < paths; i++)
        rc = add_folder(watcher, tls_context_path(watcher->context, i));
    return rc;
}

static void tell(const struct folder *folder)
{
    WEIR_IGNORE(weir_try_send(folder->events, &(char){ 0 }), "one that lies there is enough");
}

/* Until it is gone, or the task is asked to drain: 0. */
static int watch_once(const struct folder *folder, weir_file_watch *watch)
{
    weir_file_watch_event event;
    int rc;

    tell(folder); /* for what came before the watch */
    while ((rc = weir_file_watch_next(watch, &event)) > 0)
        tell(folder);
    return rc;
}

static int watch_folder(void *arg)
{
    struct folder *folder = arg;
    weir_file_watch *watch;
    int rc = 0;

    while (rc == 0 && !weir_stopping()) {
        rc = weir_file_watch_open(folder->path, &watch);
        if (rc == 0) {
            folder->missing = false;
            rc = watch_once(folder, watch);
            weir_file_watch_close(watch);
        } else if (rc != -ECANCELED && rc != -ETIMEDOUT && rc != -ENOMEM) {
            if (!folder->missing)
                weir_log(WEIR_LOG_WARN, "a folder of TLS certificates can't be watched",
                         WEIR_FIELD("folder", folder->path), WEIR_FAILURE(rc));
            folder->missing = true;
            weir_recover();
            rc = 0;
        }
        if (rc == 0 && !weir_stopping())
            rc = weir_sleep_ms(RETRY_MS);
    }
    return rc;
}

/* ---- reloads ------------------------------------------------------------------------------------ */

static int look(void *context)
{
    return tls_context_is_stale(context);
}

static int reload(struct tls_context *context)
{
    int rc = file_call(look, context);

    if (rc <= 0)
        return rc;
    rc = tls_context_reload(context);
    if (rc == -ECANCELED || rc == -ETIMEDOUT)
        return rc;
    if (rc < 0)
        weir_log(WEIR_LOG_ERROR, "TLS: the new files are not used; what was there stays in use",
                 WEIR_FAILURE(rc));
    else
        weir_info("TLS: the files were read again: new connections use them");
    weir_recover();
    return 0;
}

static int follow(struct watcher *watcher)
{
    char event;
    int rc;

    while ((rc = weir_recv(watcher->events, &event)) > 0) {
        rc = weir_sleep_ms(QUIET_MS);
        if (rc < 0)
            break;
        WEIR_IGNORE(weir_try_recv(watcher->events, &event), "what came meanwhile is looked at now");
        rc = reload(watcher->context);
        if (rc < 0)
            break;
    }
    return rc;
}

static int watch_all(struct watcher *watcher)
{
    int rc = list_folders(watcher);

    if (rc < 0)
        return rc;
    WEIR_SCOPE(s, .name = "TLS files") {
        for (size_t i = 0; i < watcher->count; i++)
            weir_go(s, watch_folder, &watcher->folders[i]);
        rc = follow(watcher);
        if (rc < 0)
            break;
        rc = weir_join(s);
    }
    return rc;
}

int tls_context_watch(void *context)
{
    struct watcher watcher = { .context = context };
    int rc = weir_chan_open(&watcher.events, .capacity = 1, .source = true, .name = "TLS files");

    if (rc < 0)
        return rc;
    rc = watch_all(&watcher);
    for (size_t i = 0; i < watcher.count; i++)
        base_free(watcher.folders[i].path);
    base_free(watcher.folders);
    weir_chan_free(watcher.events);
    return rc;
}

static int watch_own(void *context)
{
    int rc = tls_context_watch(context);

    tls_context_unref(context);
    return rc;
}

void tls_context_follow(struct tls_context *context)
{
    if (tls_context_is_watched(context))
        weir_go(loop_app_scope(loop_self()), watch_own, tls_context_ref(context),
                .name = "TLS files");
}
