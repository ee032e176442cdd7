/* Copying what is known of a scope; see inspect_scope.h. */
#include "rt/inspect_scope.h"

#include <stdio.h>
#include <string.h>

#include "rt/loop.h"

static void copy(const struct loop *loop, const struct scope *scope, struct inspect_scope *to)
{
    memset(to, 0, sizeof(*to));
    to->slot = scope->head.slot;
    to->generation = scope->head.generation;
    if (scope->parent) {
        to->parent_slot = scope->parent->head.slot;
        to->parent_generation = scope->parent->head.generation;
    }
    to->loop = loop->index;
    snprintf(to->name, sizeof(to->name), "%s", scope->name ? scope->name : "");
    snprintf(to->site, sizeof(to->site), "%s", scope->site ? scope->site : "");
    if (scope->cancel_code) {
        to->cancel_code = scope->cancel_code;
        snprintf(to->origin, sizeof(to->origin), "%s", scope->origin ? scope->origin : "");
    }
    if (scope->opener && scope->opener->task)
        to->opener = task_handle(scope->opener->task);
    to->live = scope->live;
    to->limit = scope->limit;
    to->failed = scope->failed;
    to->joining = scope->opener_wait != NULL;
    to->age_ns = scope->opened_ns ? loop->now_ns - scope->opened_ns : 0;
    to->left_ns = scope->deadline_ns == WEIR_NEVER_NS ? INT64_MAX
                                                      : scope->deadline_ns - loop->now_ns;
}

bool inspect_scope_next(const struct loop *loop, uint32_t *cursor, struct inspect_scope *ret_scope)
{
    const struct slab *slab = &loop->scopes;
    uint32_t per_chunk = UINT32_C(1) << slab->per_chunk_log2;

    for (; *cursor / per_chunk < slab->chunk_count; (*cursor)++) {
        const char *chunk = slab->chunks[*cursor / per_chunk];
        const void *object = chunk + *cursor % per_chunk * slab->object_bytes;

        if (((const struct slab_head *)object)->generation & 1) {
            copy(loop, object, ret_scope);
            (*cursor)++;
            return true;
        }
    }
    return false;
}
