/* `weir ps --raw`: the tasks of a program that can't tell them, read out of its memory.
 *
 * Nothing is asked of the program and nothing in it is changed: it may be stopped, or its
 * loops may be stuck. What is read while it runs may change meanwhile; every number is
 * taken for one that may be wrong, and a list ends where it stops making sense. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <weir/error.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "ops/stack.h"
#include "ps/ps.h"
#include "rt/raw.h"

#define LOOPS_MAX 256
#define TASKS_MAX 1000000
#define CHUNK_BYTES (1u << 20)
#define TEXT_BYTES 200
#define SCOPES_MAX 16
#define STACK_BYTES 8192

struct reader {
    pid_t pid;
    struct raw_layout layout;
    bool stack;
    uint64_t tasks;
};

/* ---- reading ---------------------------------------------------------------------------- */

static bool read_at(const struct reader *r, uint64_t address, void *to, size_t len)
{
    struct iovec local = { to, len }, remote = { (void *)(uintptr_t)address, len };

    return process_vm_readv(r->pid, &local, 1, &remote, 1, 0) == (ssize_t)len;
}

static uint64_t word_at(const struct reader *r, uint64_t address)
{
    uint64_t word = 0;

    return read_at(r, address, &word, sizeof(word)) ? word : 0;
}

static uint32_t half_at(const struct reader *r, uint64_t address)
{
    uint32_t half = 0;

    return read_at(r, address, &half, sizeof(half)) ? half : 0;
}

/* A text, up to its end or that of what can be read. */
static const char *text_at(const struct reader *r, uint64_t address, char *text, size_t size)
{
    size_t len = 0;

    text[0] = '\0';
    while (address && len < size - 1 && read_at(r, address + len, &text[len], 1) && text[len])
        len++;
    text[len] = '\0';
    return text;
}

/* ---- finding the layout ------------------------------------------------------------------- */

static bool is_layout(const struct reader *r, const struct raw_layout *layout, uint64_t address)
{
    return memcmp(layout->magic, RAW_MAGIC, sizeof(layout->magic)) == 0 &&
           (uint64_t)(uintptr_t)layout->self == address && layout->version == RAW_VERSION &&
           layout->bytes == sizeof(*layout) && r->pid > 0;
}

/* Within one mapping; what lies across two pieces of reading is seen in the second. */
static bool find_in(struct reader *r, uint64_t from, uint64_t to)
{
    char *piece = base_malloc(CHUNK_BYTES);
    bool found = false;

    for (uint64_t at = from; piece && !found && at < to; at += CHUNK_BYTES / 2) {
        size_t len = to - at < CHUNK_BYTES ? (size_t)(to - at) : CHUNK_BYTES;
        char *place = piece;

        if (!read_at(r, at, piece, len))
            break;
        while (!found && (place = memmem(place, len - (size_t)(place - piece), RAW_MAGIC,
                                         sizeof(RAW_MAGIC))) != NULL) {
            uint64_t address = at + (uint64_t)(place - piece);

            found = read_at(r, address, &r->layout, sizeof(r->layout)) &&
                    is_layout(r, &r->layout, address);
            place++;
        }
    }
    base_free(piece);
    return found;
}

/* In the program's own file and in libraries of this name. */
static bool may_hold(const char *path, const char *program)
{
    const char *slash = strrchr(path, '/');

    return strcmp(path, program) == 0 || (slash && strncmp(slash, "/libweir", 8) == 0);
}

static int find_layout(struct reader *r)
{
    char path[64], line[4400], program[4096];
    bool found = false;
    ssize_t len;
    FILE *maps;

    snprintf(path, sizeof(path), "/proc/%ld/maps", (long)r->pid);
    maps = fopen(path, "re");
    if (!maps && errno == ENOENT)
        return weir_fail(-ESRCH, "there is no process %ld", (long)r->pid);
    if (!maps)
        return weir_fail(-errno, "process %ld: what is mapped into it can't be read", (long)r->pid);
    snprintf(path, sizeof(path), "/proc/%ld/exe", (long)r->pid);
    len = readlink(path, program, sizeof(program) - 1);
    program[len > 0 ? len : 0] = '\0';
    while (!found && fgets(line, sizeof(line), maps)) {
        unsigned long from, to;
        char access[8] = "", *file = strchr(line, '/');

        if (sscanf(line, "%lx-%lx %7s", &from, &to, access) != 3 || !file || access[0] != 'r')
            continue;
        file[strcspn(file, "\n")] = '\0';
        found = may_hold(file, program) && find_in(r, from, to);
    }
    fclose(maps);
    if (found)
        return 0;
    return weir_fail(
        -ENOENT,
        "process %ld: no runtime of this version of weir is in its memory, or this "
        "user may not read it (the same user, and kernel.yama.ptrace_scope 0, or root)",
        (long)r->pid);
}

/* ---- one task ------------------------------------------------------------------------------- */

static void add_text(struct strbuf *out, const char *name, const char *text)
{
    strbuf_addf(out, ",\"%s\":", name);
    strbuf_add_json(out, weir_str_c(text));
}

static void add_path(const struct reader *r, uint64_t scope, struct strbuf *out)
{
    char names[SCOPES_MAX][64], path[SCOPES_MAX * 68] = "";
    int count = 0;
    size_t len = 0;

    for (; scope && count < SCOPES_MAX; count++) {
        uint64_t name = word_at(r, scope + r->layout.scope_name);

        if (!name)
            name = word_at(r, scope + r->layout.scope_site);
        text_at(r, name, names[count], sizeof(names[count]));
        scope = word_at(r, scope + r->layout.scope_parent);
    }
    while (count-- > 0)
        len += (size_t)snprintf(path + len, sizeof(path) - len, "%s%s", len ? " > " : "",
                                names[count]);
    add_text(out, "path", path);
}

static const char *state_name(const struct raw_layout *l, uint8_t state)
{
    return state == l->state_queued    ? "queued"
           : state == l->state_ready   ? "ready"
           : state == l->state_running ? "running"
           : state == l->state_parked  ? "parked"
           : state == l->state_away    ? "away"
                                       : "ended";
}

static void add_stack(const struct reader *r, uint64_t fiber, struct strbuf *out)
{
    static struct stack_copy copy;
    uint64_t words[STACK_BYTES / sizeof(uint64_t)], sp = word_at(r, fiber + r->layout.fiber_sp);
    uint64_t room = fiber > sp ? fiber - sp : 0;
    size_t count = (room < STACK_BYTES ? room : STACK_BYTES) / sizeof(uint64_t);
    char text[4096];

    if (!sp || !count || !read_at(r, sp, words, count * sizeof(uint64_t)))
        return;
    stack_copy_words(&copy, words, count, sp);
    copy.cut = room > STACK_BYTES;
    stack_print(&copy, text, sizeof(text));
    add_text(out, "stack", text);
}

static void add_wait(const struct reader *r, uint64_t fiber, int64_t now_ns, struct strbuf *out)
{
    uint64_t wait = word_at(r, fiber + r->layout.fiber_wait);
    char what[64];

    if (!wait)
        return;
    text_at(r, word_at(r, wait + r->layout.wait_what), what, sizeof(what));
    add_text(out, "waits_for", what);
    strbuf_addf(out, ",\"waited_ms\":%.3f",
                (double)(now_ns - (int64_t)word_at(r, wait + r->layout.wait_since_ns)) / 1e6);
}

static void add_task(struct reader *r, uint32_t loop, uint64_t task, uint32_t generation,
                     struct strbuf *out)
{
    const struct raw_layout *l = &r->layout;
    uint64_t fiber = word_at(r, task + l->task_fiber), extra = word_at(r, task + l->task_extra);
    uint8_t state = (uint8_t)half_at(r, task + l->task_state);
    char site[TEXT_BYTES], name[TEXT_BYTES] = "", *space;
    int64_t now_ns = clock_monotonic_ns();
    bool begun = state == l->state_running || state == l->state_ready || state == l->state_parked;

    text_at(r, word_at(r, task + l->task_site), site, sizeof(site));
    if (extra)
        text_at(r, word_at(r, extra + l->extra_name), name, sizeof(name));
    space = strchr(site, ' ');
    if (r->tasks++)
        strbuf_add_char(out, ',');
    strbuf_addf(out, "{\"task\":\"%u.%u.%u\"", loop, half_at(r, task + l->task_slot), generation);
    add_text(out, "name", name[0] ? name : space ? space + 1 : site);
    add_text(out, "site", site);
    add_path(r, word_at(r, task + l->task_scope), out);
    add_text(out, "state", state_name(l, state));
    if (begun)
        strbuf_addf(out, ",\"age_ms\":%.3f",
                    (double)(now_ns - (int64_t)word_at(r, task + l->task_begun_ns)) / 1e6);
    if (state == l->state_parked)
        add_wait(r, fiber, now_ns, out);
    if (r->stack && begun && state != l->state_running)
        add_stack(r, fiber, out);
    strbuf_add_char(out, '}');
}

/* ---- all of them ------------------------------------------------------------------------------ */

static void add_loop(struct reader *r, uint64_t loop, struct strbuf *out)
{
    const struct raw_layout *l = &r->layout;
    uint64_t slab = loop + l->loop_tasks, chunks = word_at(r, slab + l->slab_chunks);
    uint32_t count = half_at(r, slab + l->slab_chunk_count);
    uint32_t per_chunk = half_at(r, slab + l->slab_per_chunk_log2);
    uint64_t object_bytes = word_at(r, slab + l->slab_object_bytes);
    uint32_t index = half_at(r, loop + l->loop_index);

    if (per_chunk > 24 || object_bytes > 65536)
        return;
    for (uint32_t c = 0; c < count; c++) {
        uint64_t chunk = word_at(r, chunks + c * sizeof(uint64_t));

        for (uint32_t i = 0; chunk && i < (1u << per_chunk) && r->tasks < TASKS_MAX; i++) {
            uint64_t task = chunk + i * object_bytes;
            uint32_t generation = half_at(r, task + l->task_generation);

            if (generation & 1)
                add_task(r, index, task, generation, out);
        }
    }
}

static int read_all(struct reader *r, const struct ps_settings *settings, struct strbuf *out)
{
    const struct raw_layout *l = &r->layout;
    uint64_t places[2], loops;
    uint32_t count;

    if (!read_at(r, (uint64_t)(uintptr_t)l->places, places, sizeof(places)))
        return weir_fail(-EFAULT, "process %ld: its runtime can't be read", (long)r->pid);
    loops = word_at(r, places[0]);
    count = half_at(r, places[1]);
    if (!loops || count == 0 || count > LOOPS_MAX)
        return weir_fail(-ENOENT, "process %ld: no runtime runs in it now", (long)r->pid);
    if (settings->loop >= (long)count)
        return weir_fail(-ENOENT, "process %ld: there are %u loops, from 0 on", (long)r->pid,
                         count);
    strbuf_addf(out, "{\"pid\":%ld,\"tasks\":[", (long)r->pid);
    for (uint32_t i = 0; i < count; i++)
        if (settings->loop < 0 || (uint32_t)settings->loop == i)
            add_loop(r, loops + (uint64_t)i * l->loop_bytes, out);
    strbuf_add_c(out, "]}");
    return out->bad ? weir_fail(-ENOMEM, "the answer") : 0;
}

int ps_raw_read(pid_t pid, const struct ps_settings *settings, struct strbuf *ret_json)
{
    struct reader r = { .pid = pid, .stack = settings->stack };
    int rc = find_layout(&r);

    stack_of_process(pid);
    if (rc == 0)
        rc = read_all(&r, settings, ret_json);
    stack_of_process(0);
    return rc;
}
