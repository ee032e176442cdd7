/* The byte budget's holders: by kind, as the budget counts them, and by route.
 *
 * By route nothing is counted while requests are served: when somebody asks, each loop
 * walks its tasks, a few a step, and adds up the stacks and arenas of those that work for a
 * route. An arena that an exchange lends to its tasks is counted with the one that the
 * exchange was begun with. */
#include "ops/holders.h"

#include <string.h>

#include "base/alloc.h"
#include "base/budget.h"
#include "ops/ask.h"
#include "ops/control.h"
#include "ops/tasks.h"
#include "rt/inspect.h"
#include "rt/loop.h"
#include "rt/stack.h"

#define HOLDERS_ROUTES 64 /* those beyond are one: "other" */
#define HOLDERS_STEP 256

struct holder {
    char route[INSPECT_ROUTE_BYTES];
    uint64_t requests, tasks, stack_bytes, arena_bytes;
};

struct walk {
    uint32_t cursor, count;
    struct holder holders[HOLDERS_ROUTES];
};

static struct holder *holder_of(struct walk *walk, const char *route)
{
    struct holder *holder = walk->holders;

    for (; holder < walk->holders + walk->count; holder++)
        if (strcmp(holder->route, route) == 0)
            return holder;
    if (walk->count == HOLDERS_ROUTES)
        return &walk->holders[HOLDERS_ROUTES - 1];
    if (++walk->count == HOLDERS_ROUTES)
        route = "other";
    memcpy(holder->route, route, strlen(route) + 1);
    return holder;
}

static void add_task(struct walk *walk, const struct task *task)
{
    const struct scope *scope = task->scope;
    const weir_context *context = scope->context;
    bool first = scope->flags & SCOPE_SPAWNED;
    char route[INSPECT_ROUTE_BYTES];
    struct holder *holder;
    size_t len;

    if (!context || context->route.len == 0)
        return;
    len = context->route.len < sizeof(route) ? context->route.len : sizeof(route) - 1;
    memcpy(route, context->route.ptr, len);
    route[len] = '\0';
    holder = holder_of(walk, route);
    holder->tasks++;
    holder->requests += first;
    if (first && scope->arena)
        holder->arena_bytes += arena_bytes(scope->arena);
    if (task->state == TASK_RUNNING || task->state == TASK_READY || task->state == TASK_PARKED) {
        holder->stack_bytes += STACK_ACCOUNTED_BYTES;
        holder->arena_bytes += arena_bytes(&task->fiber->own);
    }
}

static bool walk_step(struct loop *loop, void *state)
{
    struct walk *walk = state;
    uint32_t until = walk->cursor + INSPECT_SLOTS;

    for (int i = 0; i < HOLDERS_STEP; i++) {
        const struct task *task = inspect_next_until(loop, &walk->cursor, until);

        if (!task)
            return inspect_at_end(loop, walk->cursor);
        add_task(walk, task);
    }
    return false;
}

static void merge(struct walk *all, const struct walk *one)
{
    for (uint32_t i = 0; i < one->count; i++) {
        const struct holder *from = &one->holders[i];
        struct holder *to = holder_of(all, from->route);

        to->requests += from->requests;
        to->tasks += from->tasks;
        to->stack_bytes += from->stack_bytes;
        to->arena_bytes += from->arena_bytes;
    }
}

static void print_routes(struct strbuf *out, const struct walk *all)
{
    strbuf_add_c(out, ",\"routes\":[");
    for (uint32_t i = 0; i < all->count; i++) {
        const struct holder *h = &all->holders[i];

        strbuf_addf(out, "%s{\"route\":", i ? "," : "");
        strbuf_add_json(out, weir_str_c(h->route));
        strbuf_addf(out, ",\"requests\":%llu,\"tasks\":%llu", (unsigned long long)h->requests,
                    (unsigned long long)h->tasks);
        strbuf_addf(out, ",\"stack_bytes\":%llu,\"arena_bytes\":%llu}",
                    (unsigned long long)h->stack_bytes, (unsigned long long)h->arena_bytes);
    }
    strbuf_add_char(out, ']');
}

static uint32_t ask_all(struct walk *all)
{
    uint32_t silent = 0;

    for (uint32_t i = 0; i < loop_count(); i++) {
        struct walk *one = base_calloc(1, sizeof(*one));

        if (!one || ask_loop(i, walk_step, one, NULL, TASKS_ANSWER_MS) < 0) {
            silent++; /* who asked has freed it */
            continue;
        }
        merge(all, one);
        base_free(one);
    }
    return silent;
}

void holders_print(struct strbuf *out)
{
    struct walk *all = base_calloc(1, sizeof(*all));
    uint32_t silent = all ? ask_all(all) : 0;

    strbuf_addf(out, "{\"limit_bytes\":%llu,\"used_bytes\":%llu,\"kinds\":{",
                (unsigned long long)budget_limit(), (unsigned long long)budget_used());
    for (int i = 0; i < BUDGET_KINDS; i++)
        strbuf_addf(out, "%s\"%s\":%llu", i ? "," : "", budget_kind_name((enum budget_kind)i),
                    (unsigned long long)budget_used_by((enum budget_kind)i));
    strbuf_add_char(out, '}');
    if (all)
        print_routes(out, all);
    else
        out->bad = true;
    if (silent > 0)
        strbuf_addf(out, ",\"silent_loops\":%u", silent);
    strbuf_add_char(out, '}');
    base_free(all);
}

int control_budget(struct strbuf *out, const char *args)
{
    (void)args;
    holders_print(out);
    return 0;
}
