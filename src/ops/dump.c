/* The task tree as text: weir_dump(), and SIGQUIT.
 *
 * Tasks that are alike (started at the same place, in scopes of the same names, waiting for
 * the same) are one line with how many there are; that line's oldest shows its stack. So a
 * dump of a hundred thousand tasks is as long as the program has kinds of them. What is
 * beyond the bounds is counted, not shown.
 *
 * The handler of SIGQUIT only posts a semaphore; a thread of its own writes. However often
 * the signal comes meanwhile, it writes once more: what is asked for is how things stand. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/error.h>

#include "base/alloc.h"
#include "ops/parts.h"
#include "ops/running.h"
#include "ops/tasks.h"
#include "rt/loop.h"

#define GROUPS_MAX 512
#define TABLE_PLACES 1024 /* a power of two above it, so that a search ends soon */
#define STACKS_MAX 128
#define WRITE_MS 2000     /* a reader that does not read is not waited for longer */

struct group {
    struct inspect_task oldest;
    uint64_t count;
};

struct dump {
    struct strbuf *out;
    struct group *groups;
    uint16_t table[TABLE_PLACES]; /* index in groups, from 1; 0: none */
    uint32_t count;
    uint64_t tasks, left_out;
};

/* ---- folding -------------------------------------------------------------------------- */

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3; /* FNV-1a */
    return hash;
}

static const char *what_of(const struct inspect_task *task)
{
    return task->what ? task->what : "";
}

static bool is_same(const struct inspect_task *a, const struct inspect_task *b)
{
    return a->state == b->state && a->cancelled == b->cancelled && strcmp(a->site, b->site) == 0 &&
           strcmp(what_of(a), what_of(b)) == 0 && strcmp(a->path, b->path) == 0 &&
           strcmp(a->name, b->name) == 0;
}

static int64_t standing_ns(const struct inspect_task *task)
{
    return task->what ? task->waited_ns : task->age_ns;
}

static bool add_task(void *arg, const struct inspect_task *task)
{
    struct dump *d = arg;
    uint64_t hash = hash_text(0xcbf29ce484222325, task->site);
    uint16_t *place;

    hash = hash_text(hash_text(hash, what_of(task)), task->path);
    d->tasks++;
    for (;; hash++) {
        struct group *group;

        place = &d->table[hash & (TABLE_PLACES - 1)];
        if (!*place)
            break;
        group = &d->groups[*place - 1];
        if (!is_same(&group->oldest, task))
            continue;
        group->count++;
        if (standing_ns(task) > standing_ns(&group->oldest))
            group->oldest = *task;
        return true;
    }
    if (d->count == GROUPS_MAX) {
        d->left_out++;
        return true;
    }
    d->groups[d->count].oldest = *task;
    d->groups[d->count].count = 1;
    *place = (uint16_t)++d->count;
    return true;
}

static int compare_groups(const void *pa, const void *pb)
{
    const struct group *a = pa, *b = pb;
    int64_t left = standing_ns(&a->oldest), right = standing_ns(&b->oldest);
    int rc = strcmp(a->oldest.path, b->oldest.path);

    return rc ? rc : left < right ? 1 : left > right ? -1 : 0;
}

/* ---- printing --------------------------------------------------------------------------- */

/* Names may hold anything; what would steer a terminal is shown as a question mark. */
static void add_clean(struct strbuf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        strbuf_add_char(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
}

static void add_indent(struct strbuf *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        strbuf_add_c(out, "  ");
}

static void add_time(struct strbuf *out, int64_t ns)
{
    if (ns < 1000000000)
        strbuf_addf(out, "%lld ms", (long long)ns / 1000000);
    else
        strbuf_addf(out, "%lld.%lld s", (long long)(ns / 1000000000),
                    (long long)(ns / 100000000 % 10));
}

/* The scopes of a path, those that it has in common with the one before left out. Returns
 * how deep it is. */
static unsigned add_scopes(struct strbuf *out, const char *path, const char *before)
{
    unsigned depth = 0;
    bool same = true;

    for (;;) {
        const char *end = strstr(path, " > "), *before_end = strstr(before, " > ");
        size_t len = end ? (size_t)(end - path) : strlen(path);
        size_t before_len = before_end ? (size_t)(before_end - before) : strlen(before);

        same = same && len == before_len && memcmp(path, before, len) == 0;
        depth++;
        if (!same) {
            add_indent(out, depth);
            add_clean(out, path, len);
            strbuf_add_char(out, '\n');
        }
        if (!end)
            return depth;
        path = end + 3;
        before = before_end ? before_end + 3 : "";
    }
}

static void add_stack(struct strbuf *out, const struct inspect_task *task, unsigned depth)
{
    struct task_view *view;
    char text[4096], *line, *next;

    if (!task->stack_pointer || tasks_view(task->loop, task->handle, &view) < 0)
        return;
    if (view->stack.len > 0) {
        stack_print(&view->stack, text, sizeof(text));
        for (line = text; *line; line = next) {
            next = line + strcspn(line, "\n");
            add_indent(out, depth);
            strbuf_add(out, weir_str_from(line, (size_t)(next - line)));
            strbuf_add_char(out, '\n');
            next += *next == '\n';
        }
    }
    base_free(view);
}

static void add_group(struct strbuf *out, const struct group *group, unsigned depth)
{
    const struct inspect_task *task = &group->oldest;
    char suspect[160];

    add_indent(out, depth);
    if (group->count > 1)
        strbuf_addf(out, "%llu tasks \"", (unsigned long long)group->count);
    else
        strbuf_add_c(out, "task \"");
    add_clean(out, task->name, strlen(task->name));
    strbuf_addf(out, "\" %s", inspect_state_name(task->state));
    if (task->what)
        strbuf_addf(out, ": %s", task->what);
    if (task->object)
        strbuf_addf(out, " on %p", task->object);
    strbuf_add_c(out, group->count > 1 ? ", the oldest for " : ", for ");
    add_time(out, standing_ns(task));
    strbuf_addf(out, "%s (%u.%u.%u), started at %s\n", task->cancelled ? ", cancelled" : "",
                task->loop, task->handle.slot, task->handle.generation, task->site);
    if (!task->suspect)
        return;
    add_indent(out, depth + 1);
    strbuf_addf(out, "! suspect: %s\n", inspect_suspect(task, suspect, sizeof(suspect)));
}

static void add_groups(struct dump *d)
{
    const char *before = "";

    qsort(d->groups, d->count, sizeof(*d->groups), compare_groups);
    for (uint32_t i = 0; i < d->count; i++) {
        const struct group *group = &d->groups[i];
        unsigned depth = add_scopes(d->out, group->oldest.path, before) + 1;

        before = group->oldest.path;
        add_group(d->out, group, depth);
        if (i < STACKS_MAX)
            add_stack(d->out, &group->oldest, depth);
    }
    if (d->left_out)
        strbuf_addf(d->out, "  and %llu tasks of other kinds, left out\n",
                    (unsigned long long)d->left_out);
}

static void add_silent_loop(struct strbuf *out, uint32_t index, int rc)
{
    struct running running;
    struct loop *loop = runtime_enter(index, 0, &(int){ 0 });

    strbuf_addf(out, "loop %u has not answered (%s)", index, weir_error_name(rc));
    if (loop) {
        running_read(loop, &running);
        runtime_leave();
        if (running.handle.slot) {
            strbuf_addf(out, ": it is held up by the task \"");
            add_clean(out, running.name, strlen(running.name));
            strbuf_addf(out, "\" (%u.%u.%u), started at %s", index, running.handle.slot,
                        running.handle.generation, running.site);
        }
    }
    strbuf_add_char(out, '\n');
}

static int print_all(struct strbuf *out)
{
    struct dump d = { .out = out };
    struct strbuf silent = STRBUF_INIT;
    uint32_t loops = loop_count();

    d.groups = base_calloc(GROUPS_MAX, sizeof(*d.groups));
    if (!d.groups)
        return -ENOMEM;
    for (uint32_t i = 0; i < loops; i++) {
        int rc = tasks_walk(i, add_task, &d);

        if (rc < 0)
            add_silent_loop(&silent, i, rc);
    }
    strbuf_addf(out, "process %d: %llu task%s on %u loop%s\n", (int)getpid(),
                (unsigned long long)d.tasks, d.tasks == 1 ? "" : "s", loops, loops == 1 ? "" : "s");
    strbuf_add(out, strbuf_str(&silent));
    add_groups(&d);
    strbuf_done(&silent);
    base_free(d.groups);
    return out->bad ? -ENOMEM : 0;
}

/* A pipe that can be written to takes PIPE_BUF bytes without a wait, whatever its flags
 * (pipe(7)); a socket takes what it can. */
static ssize_t write_some(int fd, weir_str text)
{
    ssize_t wrote = send(fd, text.ptr, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (wrote < 0 && errno == ENOTSOCK)
        wrote = write(fd, text.ptr, text.len < PIPE_BUF ? text.len : PIPE_BUF);
    return wrote < 0 ? -errno : wrote;
}

static int write_all(int fd, weir_str text)
{
    if (fd < 0) /* poll() would wait */
        return -EBADF;
    while (text.len > 0) {
        struct pollfd pfd = { .fd = fd, .events = POLLOUT };
        ssize_t wrote;

        if (poll(&pfd, 1, WRITE_MS) == 0)
            return -ETIMEDOUT;
        wrote = write_some(fd, text);
        if (wrote >= 0)
            text = weir_str_skip(text, (size_t)wrote);
        else if (wrote != -EAGAIN && wrote != -EINTR)
            return (int)wrote;
    }
    return 0;
}

int weir_dump(int fd)
{
    struct strbuf out = STRBUF_INIT;
    int rc = print_all(&out);

    if (rc == 0)
        rc = write_all(fd, strbuf_str(&out));
    strbuf_done(&out);
    return rc;
}

/* ---- SIGQUIT ------------------------------------------------------------------------------ */

static struct {
    pthread_t thread;
    sem_t asked;
    struct sigaction old;
    atomic_bool wanted; /* a dump that has not begun */
    atomic_bool over;
    bool open;
} quit;

static void on_quit(int number)
{
    int saved = errno;

    (void)number;
    if (!atomic_exchange(&quit.wanted, true))
        sem_post(&quit.asked);
    errno = saved;
}

static void *quit_run(void *arg)
{
    (void)arg;
    for (;;) {
        while (sem_wait(&quit.asked) < 0)
            ;
        if (atomic_load(&quit.over))
            return NULL;
        atomic_store(&quit.wanted, false);
        WEIR_IGNORE(weir_dump(STDERR_FILENO), "there is no other place to say so");
    }
}

int dump_open(const weir_inspect_opts *opts)
{
    struct sigaction action = { .sa_handler = on_quit, .sa_flags = SA_RESTART | SA_ONSTACK };
    sigset_t blocked, old;
    int rc;

    if (opts->no_handlers)
        return 0;
    atomic_store(&quit.over, false);
    atomic_store(&quit.wanted, false);
    sem_init(&quit.asked, 0, 0);
    sigfillset(&blocked); /* signals are the program's own threads' */
    pthread_sigmask(SIG_SETMASK, &blocked, &old);
    rc = -pthread_create(&quit.thread, NULL, quit_run, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc < 0) {
        sem_destroy(&quit.asked);
        return weir_fail(rc, "starting the thread that SIGQUIT wakes");
    }
    pthread_setname_np(quit.thread, "weir-dump");
    sigemptyset(&action.sa_mask);
    sigaction(SIGQUIT, &action, &quit.old);
    quit.open = true;
    return 0;
}

void dump_close(void)
{
    if (!quit.open)
        return;
    quit.open = false;
    sigaction(SIGQUIT, &quit.old, NULL);
    atomic_store(&quit.over, true);
    sem_post(&quit.asked);
    pthread_join(quit.thread, NULL);
    sem_destroy(&quit.asked);
}
