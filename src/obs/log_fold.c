/* Folding lines that repeat; see log_fold.h. */
#include "obs/log_fold.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#define HASH_START UINT64_C(0xcbf29ce484222325) /* FNV-1a, 64 bits */
#define HASH_PRIME UINT64_C(0x100000001b3)

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * HASH_PRIME;
    return hash;
}

static uint64_t hash_event(const struct log_event *e)
{
    uint64_t hash = hash_bytes(HASH_START, e->message.ptr, e->message.len);

    hash = hash_bytes(hash, &e->level, sizeof(e->level));
    hash = hash_bytes(hash, &e->code, sizeof(e->code));
    for (size_t i = 0; i < e->field_count; i++) {
        const weir_log_field *field = &e->fields[i];

        hash = hash_bytes(hash, field->name, strlen(field->name));
        if (field->kind == WEIR_FIELD_STR)
            hash = hash_bytes(hash, field->value.str.ptr, field->value.str.len);
        else
            hash = hash_bytes(hash, &field->value.u64, sizeof(field->value.u64));
    }
    return hash;
}

static void fold_lock(struct log_fold *fold)
{
    while (atomic_exchange_explicit(&fold->lock, true, memory_order_acquire))
        sched_yield();
}

static void fold_unlock(struct log_fold *fold)
{
    atomic_store_explicit(&fold->lock, false, memory_order_release);
}

/* Locked: the words for what was left out, which is none from here on. */
static void say(struct log_fold *fold, char *text, size_t size)
{
    uint64_t count = atomic_exchange(&fold->count, 0);

    text[0] = '\0';
    if (count > 0)
        snprintf(text, size, "repeated %llu \xc3\x97 in %.1f s: %s", (unsigned long long)count,
                 (double)(fold->last_ns - fold->began_ns) / 1e9, fold->message);
}

bool log_fold(struct log_fold *fold, const struct log_event *e, char *ret_text, size_t size)
{
    uint64_t hash = hash_event(e);
    bool left_out = false;

    fold_lock(fold);
    if (fold->hash == hash && e->wall_ns - fold->began_ns < LOG_FOLD_NS &&
        e->wall_ns >= fold->began_ns) {
        left_out = ++fold->same > LOG_FOLD_LINES;
        ret_text[0] = '\0';
    } else {
        say(fold, ret_text, size);
        fold->hash = hash;
        fold->same = 1;
        fold->began_ns = e->wall_ns;
        snprintf(fold->message, sizeof(fold->message), "%.*s", WEIR_ARG(e->message));
    }
    fold->last_ns = e->wall_ns;
    if (left_out)
        atomic_fetch_add(&fold->count, 1);
    fold_unlock(fold);
    return left_out;
}

bool log_fold_take(struct log_fold *fold, int64_t wall_ns, bool all, char *ret_text, size_t size)
{
    bool due;

    if (atomic_load(&fold->count) == 0)
        return false;
    /* Its thread may have died in the middle of a line: another time, then. */
    if (atomic_exchange_explicit(&fold->lock, true, memory_order_acquire))
        return false;
    due = all || wall_ns - fold->last_ns >= LOG_FOLD_QUIET_NS ||
          wall_ns - fold->began_ns >= LOG_FOLD_NS || wall_ns < fold->last_ns;
    if (due) {
        say(fold, ret_text, size);
        fold->same = 0; /* what comes next is written again */
        fold->hash = 0;
    }
    fold_unlock(fold);
    return due && ret_text[0];
}
