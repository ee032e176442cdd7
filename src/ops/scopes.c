/* The scopes of all loops, for the control socket: each with its parent, so that who
 * shows them can make the tree.
 *
 * A walk is one of tasks.c's kind: a block at a time, and again from where it stopped. */
#include <errno.h>

#include <weir/error.h>

#include "base/alloc.h"
#include "ops/ask.h"
#include "ops/control.h"
#include "ops/tasks.h"
#include "rt/inspect_scope.h"
#include "rt/loop.h"

#define BLOCK_SCOPES 128
#define STEP_SCOPES 32

struct block {
    uint32_t cursor, count;
    bool end;
    struct inspect_scope scopes[BLOCK_SCOPES];
};

static bool block_step(struct loop *loop, void *state)
{
    struct block *block = state;

    for (int i = 0; i < STEP_SCOPES && block->count < BLOCK_SCOPES; i++) {
        if (!inspect_scope_next(loop, &block->cursor, &block->scopes[block->count])) {
            block->end = true;
            return true;
        }
        block->count++;
    }
    return block->count == BLOCK_SCOPES;
}

static void add_scope(struct strbuf *out, const struct inspect_scope *scope)
{
    strbuf_addf(out, "{\"scope\":\"%u.%u.%u\"", scope->loop, scope->slot, scope->generation);
    if (scope->parent_slot)
        strbuf_addf(out, ",\"parent\":\"%u.%u.%u\"", scope->loop, scope->parent_slot,
                    scope->parent_generation);
    tasks_add_member(out, "name", scope->name);
    tasks_add_member(out, "site", scope->site);
    strbuf_addf(out, ",\"live\":%u,\"limit\":%u,\"failed\":%u,\"joining\":%s,\"age_ms\":%lld",
                scope->live, scope->limit, scope->failed, scope->joining ? "true" : "false",
                (long long)(scope->age_ns / 1000000));
    if (scope->left_ns != INT64_MAX)
        strbuf_addf(out, ",\"left_ms\":%lld", (long long)(scope->left_ns / 1000000));
    if (scope->opener.slot)
        strbuf_addf(out, ",\"opened_by\":\"%u.%u.%u\"", scope->loop, scope->opener.slot,
                    scope->opener.generation);
    if (scope->cancel_code) {
        tasks_add_member(out, "cancelled", weir_error_name(scope->cancel_code));
        tasks_add_member(out, "cancelled_by", scope->origin);
    }
    strbuf_add_char(out, '}');
}

struct listing {
    struct strbuf *out;
    uint64_t count, left_out, sent_bytes;
};

/* False: nobody reads it. */
static bool list_scope(struct listing *list, const struct inspect_scope *scope)
{
    list->sent_bytes += control_send_piece(list->out);
    if (list->sent_bytes + list->out->len > CONTROL_ANSWER_BYTES) {
        list->left_out++;
    } else {
        if (list->count++ > 0)
            strbuf_add_char(list->out, ',');
        add_scope(list->out, scope);
    }
    return !list->out->bad;
}

static int add_loop(struct listing *list, uint32_t loop)
{
    uint32_t cursor = 0;
    bool end = false;

    while (!end) {
        struct block *block = base_calloc(1, sizeof(*block));
        int rc;

        if (!block)
            return -ENOMEM;
        block->cursor = cursor;
        rc = ask_loop(loop, block_step, block, NULL, TASKS_ANSWER_MS);
        if (rc < 0)
            return rc; /* the block is gone with the question */
        for (uint32_t i = 0; i < block->count && !end; i++)
            end = !list_scope(list, &block->scopes[i]);
        end |= block->end;
        cursor = block->cursor;
        base_free(block);
    }
    return 0;
}

int control_scopes(struct strbuf *out, const char *args)
{
    struct listing list = { .out = out };
    struct strbuf tail = STRBUF_INIT;
    uint32_t loops = loop_count();

    (void)args;
    strbuf_add_c(out, "{\"scopes\":[");
    for (uint32_t i = 0; i < loops; i++) {
        if (i > 0)
            strbuf_add_char(&tail, ',');
        tasks_add_loop(&tail, i, add_loop(&list, i));
    }
    strbuf_addf(out, "],\"left_out\":%llu,\"loops\":[", (unsigned long long)list.left_out);
    strbuf_add(out, strbuf_str(&tail));
    strbuf_add_c(out, "]}");
    strbuf_done(&tail);
    return 0;
}
