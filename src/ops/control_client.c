/* Asking at a control socket; see control_client.h.
 *
 * Who can't be asked is told apart from who is not there: a command's user wants to know
 * which it is. The server's user is looked at too, as a socket in a folder that everybody may
 * write to could be anybody's, and its process: where two namespaces of processes share such
 * a folder, one number is two programs. */
#include "ops/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/error.h>
#include <yyjson.h>

#include "base/clock.h"
#include "ops/control.h"
#include "ops/control_path.h"

#define ASK_MS 30000
#define CONNECT_MS 2000

/* A program that is stopped accepts nobody, and those that wait for it already may be as many
 * as there can be: then connect() would wait for it (unix(7): the limit is that of sending). */
static int connect_to(const char *path, int *ret_fd)
{
    struct timeval limit = { .tv_sec = CONNECT_MS / 1000, .tv_usec = CONNECT_MS % 1000 * 1000 };
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd, rc;

    if (strlen(path) >= sizeof(addr.sun_path))
        return -ENAMETOOLONG;
    memcpy(addr.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
        connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
        *ret_fd = fd;
        return 0;
    }
    rc = errno == EAGAIN ? -ETIMEDOUT : -errno;
    close(fd);
    return rc;
}

/* Is the one that listens who we think it is? */
static bool is_served_by(int fd, pid_t pid, uid_t uid)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == uid || peer.uid == 0) && peer.pid == pid;
}

/* The best of what was found out: a permission that is missing says more than an absence. */
static int try_folders(pid_t pid, uid_t uid, int *ret_fd)
{
    int best = -ENOENT;

    for (unsigned i = 0;; i++) {
        char folder[CONTROL_PATH_BYTES], path[CONTROL_PATH_BYTES];
        int rc = control_folder_of(uid, i, folder, sizeof(folder));

        if (rc == -ENOENT)
            return best;
        if (rc == 0)
            rc = control_socket_path(folder, pid, path, sizeof(path));
        if (rc == 0)
            rc = connect_to(path, ret_fd);
        if (rc == 0 && is_served_by(*ret_fd, pid, uid))
            return 0;
        if (rc == 0)
            close(*ret_fd);
        if (rc == -EACCES || rc == -ETIMEDOUT)
            best = rc;
    }
}

int control_client_open(struct control_client *client, pid_t pid)
{
    char proc[32];
    struct stat st;
    int rc;

    client->fd = -1;
    client->pid = pid;
    snprintf(proc, sizeof(proc), "/proc/%d", (int)pid);
    if (stat(proc, &st) < 0)
        return weir_fail(-ESRCH, "there is no process %d", (int)pid);
    rc = try_folders(pid, st.st_uid, &client->fd);
    if (rc == 0)
        return 0;
    if (rc == -ETIMEDOUT)
        return weir_fail(rc,
                         "process %d takes no connection: is it stopped? `weir ps --raw %d` "
                         "asks it for nothing",
                         (int)pid, (int)pid);
    if (rc == -EACCES || (st.st_uid != geteuid() && geteuid() != 0))
        return weir_fail(-EACCES, "process %d belongs to the user %u: ask as that user, or as root",
                         (int)pid, st.st_uid);
    return weir_fail(-ENOENT,
                     "process %d has no control socket: it is not a weir program, it was started "
                     "with --control off, or it has its socket elsewhere (then give the path)",
                     (int)pid);
}

int control_client_open_path(struct control_client *client, const char *path)
{
    int rc;

    client->pid = 0;
    client->fd = -1;
    rc = connect_to(path, &client->fd);
    return rc < 0 ? weir_fail(rc, "connecting to %s", path) : 0;
}

void control_client_close(struct control_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

/* ---- a request ---------------------------------------------------------------------- */

/* What is there by now: 1 when the line has come to its end, 0 when not yet. */
static int receive_some(int fd, int flags, struct strbuf *to)
{
    char piece[16384];
    ssize_t got;

    if (fd < 0)
        return -ENOTCONN;
    got = recv(fd, piece, sizeof(piece), flags);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (got <= 0)
        return got < 0 ? -errno : -ECONNRESET;
    strbuf_add(to, weir_str_from(piece, (size_t)got));
    if (to->bad || to->len > 2 * (size_t)CONTROL_ANSWER_BYTES)
        return -ENOMEM;
    return piece[got - 1] == '\n';
}

static int receive_line(int fd, int64_t until_ns, struct strbuf *to)
{
    int rc = 0;

    while (rc == 0) {
        struct pollfd pfd = { .fd = fd, .events = POLLIN };
        int64_t left_ns = until_ns - clock_monotonic_ns();

        if (left_ns <= 0 || poll(&pfd, 1, (int)(left_ns / 1000000) + 1) == 0)
            return -ETIMEDOUT;
        rc = receive_some(fd, 0, to);
    }
    return rc < 0 ? rc : 0;
}

/* The answer may be a refusal. */
static int check_answer(weir_str text)
{
    yyjson_doc *doc;
    const char *message;
    int rc;

    if (!weir_str_starts(text, WEIR_S("{\"error\":{")))
        return 0;
    doc = yyjson_read(text.ptr, text.len, 0);
    message = yyjson_get_str(yyjson_ptr_get(yyjson_doc_get_root(doc), "/error/message"));
    rc = weir_fail(-EREMOTEIO, "%s", message ? message : "the answer is no JSON");
    yyjson_doc_free(doc);
    return rc;
}

int control_client_send(struct control_client *client, const char *request)
{
    char line[CONTROL_REQUEST_BYTES];
    int len = snprintf(line, sizeof(line), "%s\n", request);

    if (len >= (int)sizeof(line))
        return weir_fail(-EINVAL, "the request is longer than %d bytes", CONTROL_REQUEST_BYTES);
    if (client->fd < 0)
        return weir_fail(-ENOTCONN, "the connection has been closed");
    /* A refusal may be there before the request: it is read all the same. */
    WEIR_IGNORE((int)send(client->fd, line, (size_t)len, MSG_NOSIGNAL), "the answer tells");
    return 0;
}

int control_client_take(struct control_client *client, struct strbuf *json)
{
    int rc = receive_some(client->fd, MSG_DONTWAIT, json);

    if (rc < 0)
        return weir_fail(rc, "waiting for an answer");
    if (rc == 0)
        return 0;
    rc = check_answer(strbuf_str(json));
    return rc < 0 ? rc : 1;
}

int control_client_ask(struct control_client *client, const char *request, uint32_t timeout_ms,
                       struct strbuf *ret_json)
{
    int64_t until_ns = clock_monotonic_ns() + timeout_ms * INT64_C(1000000);
    size_t began = ret_json->len;
    int rc = control_client_send(client, request);

    if (rc < 0)
        return rc;
    rc = receive_line(client->fd, until_ns, ret_json);
    if (rc == -ETIMEDOUT)
        return weir_fail(rc, "the program has not answered \"%s\" in %u ms", request, timeout_ms);
    if (rc < 0)
        return weir_fail(rc, "asking for \"%s\"", request);
    return check_answer(weir_str_skip(strbuf_str(ret_json), began));
}

int control_ask(pid_t pid, const char *request, struct strbuf *ret_json)
{
    struct control_client client;
    int rc = control_client_open(&client, pid);

    if (rc == 0)
        rc = control_client_ask(&client, request, ASK_MS, ret_json);
    control_client_close(&client);
    return rc;
}
