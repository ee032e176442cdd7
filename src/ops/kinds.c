/* The tasks of all loops folded into kinds, for who looks every second.
 *
 * A kind is what tasks have in common that were started at the same place under the same
 * name, are in the same state and wait for the same. Folding here, and not where the answer
 * is read, keeps the answer as short as the program has kinds, however many tasks there are.
 *
 * A kind's id is the hash of what makes it up: it is the same at the next look, and in
 * another process. The tasks of one kind are asked for with it. Both tables are bounded:
 * kinds beyond KINDS_MAX are counted together, and of one kind the oldest are told. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weir/error.h>

#include "base/alloc.h"
#include "ops/control.h"
#include "ops/tasks.h"
#include "rt/loop.h"

#define KINDS_MAX 1000
#define TABLE_PLACES 4096 /* a power of two well above it, so that a search ends soon */
#define MEMBERS_MAX 256

struct kind {
    uint64_t id, count, suspects;
    int64_t oldest_ns, longest_ns;
    const char *site, *what, *suspect;
    enum inspect_state state;
    weir_task handle; /* of the oldest */
    uint32_t loop;
    char name[INSPECT_NAME_BYTES], path[INSPECT_PATH_BYTES];
};

struct folding {
    struct kind *kinds;
    uint32_t count;
    uint16_t table[TABLE_PLACES]; /* index in kinds, from 1; 0: none */
    uint64_t tasks, others;
};

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3); /* FNV-1a */
    return (hash ^ 0xff) * UINT64_C(0x100000001b3); /* no text holds it: an end */
}

static uint64_t kind_id(const struct inspect_task *task)
{
    uint64_t hash = hash_text(UINT64_C(0xcbf29ce484222325), task->site);

    hash = hash_text(hash_text(hash, task->name), task->what ? task->what : "");
    return hash_text(hash, inspect_state_name(task->state));
}

static struct kind *find_kind(struct folding *f, const struct inspect_task *task)
{
    uint64_t id = kind_id(task);
    struct kind *kind;
    uint16_t *place;

    for (uint64_t at = id;; at++) {
        place = &f->table[at & (TABLE_PLACES - 1)];
        if (!*place)
            break;
        if (f->kinds[*place - 1].id == id)
            return &f->kinds[*place - 1];
    }
    if (f->count == KINDS_MAX)
        return NULL;
    kind = &f->kinds[f->count];
    *place = (uint16_t)++f->count;
    kind->id = id;
    kind->site = task->site;
    kind->what = task->what;
    kind->state = task->state;
    kind->oldest_ns = -1;
    memcpy(kind->name, task->name, sizeof(kind->name));
    return kind;
}

static bool fold_task(void *arg, const struct inspect_task *task)
{
    struct folding *f = arg;
    struct kind *kind = find_kind(f, task);

    f->tasks++;
    if (!kind) {
        f->others++;
        return true;
    }
    kind->count++;
    if (task->suspect) {
        kind->suspects++;
        kind->suspect = task->suspect;
    }
    if (task->waited_ns > kind->longest_ns)
        kind->longest_ns = task->waited_ns;
    if (task->age_ns > kind->oldest_ns) {
        kind->oldest_ns = task->age_ns;
        kind->handle = task->handle;
        kind->loop = task->loop;
        memcpy(kind->path, task->path, sizeof(kind->path));
    }
    return true;
}

/* ---- the process ----------------------------------------------------------------------- */

static size_t read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, text, size - 1);

    if (fd >= 0)
        close(fd);
    text[len > 0 ? len : 0] = '\0';
    return len > 0 ? (size_t)len : 0;
}

/* proc(5): "pid (name) state ..."; a name may hold anything. The start is the field 22, in
 * ticks since the machine began. */
static void add_process(struct strbuf *out)
{
    char text[1024], *name, *end, *at;
    unsigned long long started = 0, pages = 0;
    struct timespec now;

    strbuf_addf(out, "{\"pid\":%d", (int)getpid());
    if (read_file("/proc/self/statm", text, sizeof(text)) > 0 &&
        sscanf(text, "%*u %llu", &pages) == 1)
        strbuf_addf(out, ",\"memory_bytes\":%llu",
                    pages * (unsigned long long)sysconf(_SC_PAGESIZE));
    read_file("/proc/self/stat", text, sizeof(text));
    name = strchr(text, '(');
    end = strrchr(text, ')');
    if (!name || !end)
        return;
    *end = '\0';
    tasks_add_member(out, "program", name + 1);
    at = end + 1;
    for (int i = 3; i < 22 && at; i++)
        at = strchr(at + 1, ' ');
    clock_gettime(CLOCK_BOOTTIME, &now);
    if (at && sscanf(at, " %llu", &started) == 1)
        strbuf_addf(out, ",\"uptime_ms\":%lld",
                    (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000 -
                        (long long)(started * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK)));
}

/* ---- as JSON ----------------------------------------------------------------------------- */

static void add_ms(struct strbuf *out, const char *name, int64_t ns)
{
    strbuf_addf(out, ",\"%s\":%.3f", name, (double)(ns > 0 ? ns : 0) / 1e6);
}

static void add_kind(struct strbuf *out, const struct kind *kind)
{
    strbuf_addf(out, "{\"id\":\"%" PRIu64 "\",\"count\":%" PRIu64, kind->id, kind->count);
    strbuf_addf(out, ",\"task\":\"%u.%u.%u\"", kind->loop, kind->handle.slot,
                kind->handle.generation);
    tasks_add_member(out, "name", kind->name);
    tasks_add_member(out, "site", kind->site);
    tasks_add_member(out, "path", kind->path);
    tasks_add_member(out, "state", inspect_state_name(kind->state));
    if (kind->what)
        tasks_add_member(out, "waits_for", kind->what);
    add_ms(out, "age_ms", kind->oldest_ns);
    add_ms(out, "waited_ms", kind->longest_ns);
    if (kind->suspects) {
        strbuf_addf(out, ",\"suspects\":%" PRIu64, kind->suspects);
        tasks_add_member(out, "suspect", kind->suspect);
    }
    strbuf_add_char(out, '}');
}

/* Walk over all loops, and tell which have answered. */
static void add_walks(struct strbuf *out, bool (*visit)(void *arg, const struct inspect_task *task),
                      void *arg)
{
    uint32_t loops = loop_count();

    strbuf_add_c(out, ",\"loops\":[");
    for (uint32_t i = 0; i < loops; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        tasks_add_loop(out, i, tasks_walk(i, visit, arg));
    }
    strbuf_add_char(out, ']');
}

int control_kinds(struct strbuf *out, const char *args)
{
    struct folding *f = base_calloc(1, sizeof(*f));

    (void)args;
    if (f)
        f->kinds = base_calloc(KINDS_MAX, sizeof(*f->kinds));
    if (!f || !f->kinds) {
        base_free(f);
        return weir_fail(-ENOMEM, "there is no memory to sort the tasks in");
    }
    add_process(out);
    add_walks(out, fold_task, f);
    strbuf_addf(out, ",\"tasks\":%" PRIu64 ",\"others\":%" PRIu64 ",\"kinds\":[", f->tasks,
                f->others);
    for (uint32_t i = 0; i < f->count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        add_kind(out, &f->kinds[i]);
    }
    strbuf_add_c(out, "]}");
    base_free(f->kinds);
    base_free(f);
    return 0;
}

/* ---- the tasks of one kind ---------------------------------------------------------------- */

struct members {
    uint64_t id, total;
    uint32_t count, youngest;
    struct inspect_task tasks[MEMBERS_MAX];
};

static bool keep_member(void *arg, const struct inspect_task *task)
{
    struct members *m = arg;

    if (kind_id(task) != m->id)
        return true;
    m->total++;
    if (m->count < MEMBERS_MAX)
        m->tasks[m->count++] = *task;
    else if (task->age_ns > m->tasks[m->youngest].age_ns)
        m->tasks[m->youngest] = *task;
    else
        return true;
    for (uint32_t i = m->youngest = 0; m->count == MEMBERS_MAX && i < MEMBERS_MAX; i++) {
        if (m->tasks[i].age_ns < m->tasks[m->youngest].age_ns)
            m->youngest = i;
    }
    return true;
}

static void add_member_task(struct strbuf *out, const struct inspect_task *task)
{
    strbuf_addf(out, "{\"task\":\"%u.%u.%u\"", task->loop, task->handle.slot,
                task->handle.generation);
    tasks_add_member(out, "name", task->name);
    tasks_add_member(out, "site", task->site);
    tasks_add_member(out, "path", task->path);
    tasks_add_member(out, "state", inspect_state_name(task->state));
    if (task->what)
        tasks_add_member(out, "waits_for", task->what);
    add_ms(out, "age_ms", task->age_ns);
    add_ms(out, "waited_ms", task->waited_ns);
    if (*task->route)
        tasks_add_member(out, "route", task->route);
    if (task->suspect) {
        strbuf_add_c(out, ",\"suspects\":1");
        tasks_add_member(out, "suspect", task->suspect);
    }
    strbuf_add_char(out, '}');
}

int control_kind(struct strbuf *out, const char *args)
{
    struct members *m;
    uint64_t id;

    if (!control_number(&args, UINT64_MAX, &id))
        return weir_fail(-EINVAL, "kind takes a kind's id, as `kinds` tells it");
    m = base_calloc(1, sizeof(*m));
    if (!m)
        return weir_fail(-ENOMEM, "there is no memory to list the tasks in");
    m->id = id;
    add_process(out);
    add_walks(out, keep_member, m);
    strbuf_addf(out, ",\"count\":%" PRIu64 ",\"left_out\":%" PRIu64 ",\"tasks\":[", m->total,
                m->total - m->count);
    for (uint32_t i = 0; i < m->count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        add_member_task(out, &m->tasks[i]);
    }
    strbuf_add_c(out, "]}");
    base_free(m);
    return 0;
}
