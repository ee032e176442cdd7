/* Serving the control socket; see control.h.
 *
 * One thread accepts; each watcher has one of its own, so that neither a request that
 * takes seconds nor a watcher that stops reading holds up the others. There are at most
 * CONTROL_WATCHERS; a watcher that neither asks nor reads is dropped, soon when another one
 * wants its place. A long answer is sent while it is made, so that what one costs does not
 * grow with the program.
 *
 * Nothing of it runs on a loop: what a request wants of one, it asks as ask.h says. A
 * socket that can't be made is no reason for a program not to run: it is a warning.
 *
 * A slot's life: FREE -> BUSY (its thread runs) -> OVER (to be joined) -> FREE. The
 * accepting thread makes all moves but the one to OVER. */
#include "ops/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/log.h>

#include "base/clock.h"
#include "ops/control_path.h"
#include "ops/parts.h"

#define IDLE_MS 60000      /* a watcher that asks nothing */
#define YIELD_MS 5000      /* and when there is no other place left */
#define STALL_MS 3000      /* one that reads nothing of its answer */
#define ANSWER_MS 30000    /* one that reads, but slowly */
#define PIECE_BYTES 65536  /* of a long answer */
#define STACK_BYTES (1 << 20)
#define NICE 10 /* where the processors are busy, the program comes first */

enum { SLOT_FREE, SLOT_BUSY, SLOT_OVER };

struct watcher {
    pthread_t thread;
    atomic_int state;
    int fd;
    _Atomic int64_t idle_ns; /* since when it asks nothing; 0: it is answered */
    int64_t until_ns;        /* it must have read its answer by; 0: none of it is sent yet */
    bool gone;               /* it has not */
};

static struct {
    pthread_t thread;
    bool open;
    int listen_fd, wake_fd;
    pid_t owner; /* a child of fork() is not */
    ino_t file;
    struct watcher watchers[CONTROL_WATCHERS];
    struct sockaddr_un addr;
} control;

static _Thread_local struct watcher *watcher_current;

/* ---- a watcher --------------------------------------------------------------------- */

bool control_wait_ms(uint32_t ms)
{
    const struct watcher *w = watcher_current;
    struct pollfd pfd = { .fd = w ? w->fd : -1, .events = POLLRDHUP };

    return poll(&pfd, 1, (int)ms) == 0;
}

static int64_t after_ms(int64_t ms)
{
    return clock_monotonic_ns() + ms * 1000000;
}

/* False: it is to be dropped. */
static bool send_all(struct watcher *w, weir_str text)
{
    if (w->until_ns == 0)
        w->until_ns = after_ms(ANSWER_MS);
    while (text.len > 0 && !w->gone) {
        struct pollfd pfd = { .fd = w->fd, .events = POLLOUT };
        ssize_t sent = send(w->fd, text.ptr, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent > 0)
            text = weir_str_skip(text, (size_t)sent);
        else if ((errno != EAGAIN && errno != EINTR) || poll(&pfd, 1, STALL_MS) == 0)
            w->gone = true;
        if (text.len > 0 && clock_monotonic_ns() > w->until_ns)
            w->gone = true;
    }
    return !w->gone;
}

bool control_flush(struct strbuf *out)
{
    struct watcher *w = watcher_current;
    bool sent = false;

    if (w && !out->bad) {
        w->until_ns = 0; /* a line is an answer */
        sent = send_all(w, strbuf_str(out));
    }
    strbuf_clear(out);
    return sent;
}

size_t control_send_piece(struct strbuf *out)
{
    struct watcher *w = watcher_current;
    size_t len = out->len;
    bool sent;

    if (!w || out->bad || len < PIECE_BYTES)
        return 0;
    sent = send_all(w, strbuf_str(out));
    strbuf_clear(out);
    out->bad = !sent;
    return sent ? len : 0;
}

static void refuse(int fd, const char *code, const char *message)
{
    struct strbuf out = STRBUF_INIT;

    strbuf_addf(&out, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}\n", code, message);
    if (!out.bad) /* into an empty buffer: it fits, or the peer is gone */
        WEIR_IGNORE((int)send(fd, out.ptr, out.len, MSG_NOSIGNAL | MSG_DONTWAIT), "it is dropped");
    strbuf_done(&out);
}

/* Answer the lines in text; what is left of it is the beginning of the next one. */
static bool answer_lines(struct watcher *w, char *text, size_t *len)
{
    char *end;

    while ((end = memchr(text, '\n', *len)) != NULL) {
        size_t line = (size_t)(end + 1 - text);
        struct strbuf out = STRBUF_INIT;
        bool sent;

        *end = '\0';
        if (line > 1 && end[-1] == '\r') /* typed into a telnet */
            end[-1] = '\0';
        atomic_store(&w->idle_ns, 0);
        w->until_ns = 0;
        control_answer(&out, text);
        sent = send_all(w, strbuf_str(&out));
        strbuf_done(&out);
        atomic_store(&w->idle_ns, clock_monotonic_ns());
        if (!sent)
            return false;
        *len -= line;
        memmove(text, text + line, *len);
    }
    return true;
}

static void watcher_serve(struct watcher *w)
{
    char text[CONTROL_REQUEST_BYTES];
    size_t len = 0;
    struct pollfd pfd = { .fd = w->fd, .events = POLLIN };
    int64_t left_ns;

    /* Half a line is no request, however it grows. */
    while ((left_ns = atomic_load(&w->idle_ns) + IDLE_MS * INT64_C(1000000) -
                      clock_monotonic_ns()) > 0 &&
           poll(&pfd, 1, (int)(left_ns / 1000000) + 1) > 0) {
        ssize_t got = recv(w->fd, text + len, sizeof(text) - len, MSG_DONTWAIT);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got <= 0)
            return;
        len += (size_t)got;
        if (!answer_lines(w, text, &len))
            return;
        if (len == sizeof(text)) {
            refuse(w->fd, "EMSGSIZE", "a request is one line of at most 255 bytes");
            return;
        }
    }
}

static void *watcher_run(void *arg)
{
    struct watcher *w = arg;

    watcher_current = w;
    /* Linux has a priority a thread (sched(7)); without it, it is as busy as it is. */
    WEIR_IGNORE(setpriority(PRIO_PROCESS, (id_t)gettid(), NICE), "as before");
    watcher_serve(w);
    shutdown(w->fd, SHUT_RDWR);
    atomic_store(&w->state, SLOT_OVER);
    return NULL;
}

/* ---- the thread that accepts -------------------------------------------------------- */

/* A thread that gets no signals: they are the program's own threads'. */
static int start_thread(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
    sigset_t blocked, old;
    pthread_attr_t attr;
    int rc;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &old);
    rc = -pthread_create(thread, &attr, run, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}

static void free_slot(struct watcher *w)
{
    pthread_join(w->thread, NULL);
    close(w->fd);
    atomic_store(&w->state, SLOT_FREE);
}

/* The place of the one that has asked nothing for the longest time. */
static struct watcher *take_slot(void)
{
    int64_t oldest_ns = clock_monotonic_ns() - YIELD_MS * INT64_C(1000000);
    struct watcher *oldest = NULL;

    for (int i = 0; i < CONTROL_WATCHERS; i++) {
        int64_t idle_ns = atomic_load(&control.watchers[i].idle_ns);

        if (idle_ns > 0 && idle_ns < oldest_ns) {
            oldest_ns = idle_ns;
            oldest = &control.watchers[i];
        }
    }
    if (oldest) {
        shutdown(oldest->fd, SHUT_RDWR);
        free_slot(oldest);
    }
    return oldest;
}

static struct watcher *find_slot(void)
{
    for (int i = 0; i < CONTROL_WATCHERS; i++) {
        struct watcher *w = &control.watchers[i];

        if (atomic_load(&w->state) == SLOT_OVER)
            free_slot(w);
        if (atomic_load(&w->state) == SLOT_FREE)
            return w;
    }
    return take_slot();
}

static bool may_ask(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static void take_watcher(int fd)
{
    struct watcher *w;

    if (!may_ask(fd)) {
        refuse(fd, "EACCES", "only the program's own user and root may ask it");
        close(fd);
        return;
    }
    w = find_slot();
    if (!w) {
        refuse(fd, "EBUSY", "8 watchers are connected already: end one of them");
        close(fd);
        return;
    }
    w->fd = fd;
    w->gone = false;
    atomic_store(&w->idle_ns, clock_monotonic_ns());
    atomic_store(&w->state, SLOT_BUSY);
    if (start_thread(&w->thread, watcher_run, w) < 0) {
        refuse(fd, "EAGAIN", "no thread could be started to answer");
        close(fd);
        atomic_store(&w->state, SLOT_FREE);
    }
}

static void *control_run(void *arg)
{
    struct pollfd pfds[2] = { { .fd = control.listen_fd, .events = POLLIN },
                              { .fd = control.wake_fd, .events = POLLIN } };

    (void)arg;
    while (!pfds[1].revents) {
        int fd;

        if (poll(pfds, 2, -1) < 0)
            continue;
        if (!pfds[0].revents)
            continue;
        fd = accept4(control.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            take_watcher(fd);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            poll(&pfds[1], 1, 100); /* it stays in the queue: not to be tried without end */
    }
    return NULL;
}

/* ---- the socket ---------------------------------------------------------------------- */

static int choose_path(const char *given)
{
    char *path = control.addr.sun_path;

    memset(&control.addr, 0, sizeof(control.addr));
    control.addr.sun_family = AF_UNIX;
    if (given) {
        if (strlen(given) >= CONTROL_PATH_BYTES)
            return weir_fail(-ENAMETOOLONG, "the path %s is too long for a socket", given);
        memcpy(path, given, strlen(given));
        return 0;
    }
    return control_path_make(path, CONTROL_PATH_BYTES);
}

/* A socket that nobody listens at any more is what a program has left that was killed. */
static bool is_stale(void)
{
    struct stat st;
    int fd, rc;

    if (lstat(control.addr.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    rc = connect(fd, (struct sockaddr *)&control.addr, sizeof(control.addr)) < 0 ? errno : 0;
    close(fd);
    return rc == ECONNREFUSED;
}

/* fchmod() before bind(): the file never has another mode. */
static int bind_socket(int fd)
{
    const struct sockaddr *addr = (const struct sockaddr *)&control.addr;

    if (fchmod(fd, 0600) == 0 && bind(fd, addr, sizeof(control.addr)) == 0)
        return 0;
    if (errno != EADDRINUSE || !is_stale())
        return -errno;
    if (unlink(control.addr.sun_path) < 0 || bind(fd, addr, sizeof(control.addr)) < 0)
        return -errno;
    return 0;
}

/* Somebody may have removed the file, and another program have made one. */
static void remove_socket(void)
{
    struct stat st;

    if (lstat(control.addr.sun_path, &st) == 0 && st.st_ino == control.file)
        unlink(control.addr.sun_path);
}

static int listen_at(const char *given)
{
    int rc = choose_path(given), fd;
    struct stat st;

    if (rc < 0)
        return rc;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    rc = fd < 0 ? -errno : bind_socket(fd);
    if (rc == 0 && listen(fd, CONTROL_WATCHERS) < 0) {
        rc = -errno;
        unlink(control.addr.sun_path);
    }
    if (rc < 0) {
        if (fd >= 0)
            close(fd);
        return weir_fail(rc, "making the control socket %s: %s", control.addr.sun_path,
                         rc == -EADDRINUSE ? "another program, or another file, is there"
                                           : weir_error_text(rc));
    }
    control.listen_fd = fd;
    control.owner = getpid();
    control.file = lstat(control.addr.sun_path, &st) == 0 ? st.st_ino : 0;
    return 0;
}

static int start(const char *given)
{
    int rc = listen_at(given);

    if (rc < 0)
        return rc;
    control.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = control.wake_fd < 0 ? -errno : start_thread(&control.thread, control_run, NULL);
    if (rc == 0)
        return 0;
    if (control.wake_fd >= 0)
        close(control.wake_fd);
    remove_socket();
    close(control.listen_fd);
    return weir_fail(rc, "starting the thread of the control socket");
}

int control_open(const weir_inspect_opts *opts)
{
    int rc;

    if (opts->no_socket)
        return 0;
    rc = start(opts->socket);
    control.open = rc == 0;
    if (rc < 0)
        weir_log(WEIR_LOG_WARN,
                 "there is no control socket: weir ps, top and trace can't ask "
                 "this program",
                 WEIR_FAILURE(rc));
    weir_recover();
    return 0;
}

void control_close(void)
{
    if (!control.open)
        return;
    control.open = false;
    if (getpid() != control.owner) { /* a child of fork() has none of the threads */
        close(control.listen_fd);
        close(control.wake_fd);
        return;
    }
    WEIR_IGNORE(eventfd_write(control.wake_fd, 1), "a counter of 1 has room");
    pthread_join(control.thread, NULL);
    remove_socket();
    for (int i = 0; i < CONTROL_WATCHERS; i++) {
        struct watcher *w = &control.watchers[i];

        if (atomic_load(&w->state) == SLOT_FREE)
            continue;
        shutdown(w->fd, SHUT_RDWR);
        free_slot(w);
    }
    close(control.listen_fd);
    close(control.wake_fd);
}
