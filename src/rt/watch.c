/* Watch: see weir/watch.h.
 *
 * All is under one short lock; a set copies the value to every task that waits.
 * Invariant: a task waits only with the last version seen, at a watch that is open. */
#include <weir/watch.h>

#include "rt/parked.h"

struct weir_watch {
    struct loop *loop; /* NULL: shared */
    struct spin lock;
    bool closed;
    uint64_t version;
    struct node waiting; /* watch_place */
    size_t item_bytes;
    const char *name;
    char item[];
};

struct watch_place {
    struct node link;
    struct parked parked;
    void *item;
    uint64_t *seen;
};

static void watch_check_loop(const weir_watch *watch)
{
#ifdef WEIR_DEBUG
    if (watch->loop && watch->loop != loop_current)
        rt_wrong_use("watch \"%s\" belongs to loop %u: tasks of another loop can't use it, unless "
                     "it is opened with .shared",
                     watch->name ? watch->name : "", watch->loop->index);
#else
    (void)watch;
#endif
}

int weir_watch_new_opt(weir_watch **ret_watch, const void *first, size_t item_size,
                       const weir_watch_opts *opts)
{
    size_t bytes = sizeof(weir_watch) + item_size;
    weir_watch *watch;

    if (!budget_take(BUDGET_QUEUE, bytes))
        return weir_fail(WEIR_EBUDGET, "a watch of %zu bytes", item_size);
    watch = base_calloc(1, bytes);
    if (!watch) {
        budget_give(BUDGET_QUEUE, bytes);
        return -ENOMEM;
    }
    watch->loop = opts->shared ? NULL : loop_current;
    watch->version = 1;
    list_init(&watch->waiting);
    watch->item_bytes = item_size;
    watch->name = opts->name;
    memcpy(watch->item, first, item_size);
    *ret_watch = watch;
    return 0;
}

/* Claim and serve all who wait. */
static void watch_serve(weir_watch *watch, int rc, struct served *served)
{
    struct node *n;

    while ((n = list_pop(&watch->waiting)) != NULL) {
        struct watch_place *place = container_of(n, struct watch_place, link);

        if (!parked_claim(&place->parked))
            continue;
        if (rc > 0) {
            memcpy(place->item, watch->item, watch->item_bytes);
            *place->seen = watch->version;
        }
        served_add(served, &place->parked, rc);
    }
}

int weir_watch_set(weir_watch *watch, const void *item, size_t item_size)
{
    struct served served;
    int rc = 0;

    if (item_size != watch->item_bytes)
        return -EINVAL;
    watch_check_loop(watch);
    served_init(&served);
    spin_lock(&watch->lock);
    if (watch->closed) {
        rc = WEIR_ECLOSED;
    } else {
        memcpy(watch->item, item, item_size);
        watch->version++;
        watch_serve(watch, 1, &served);
    }
    spin_unlock(&watch->lock);
    served_wake(&served, NULL);
    return rc;
}

int weir_watch_get(weir_watch *watch, void *ret_item, size_t item_size)
{
    if (item_size != watch->item_bytes)
        return -EINVAL;
    watch_check_loop(watch);
    spin_lock(&watch->lock);
    memcpy(ret_item, watch->item, item_size);
    spin_unlock(&watch->lock);
    return 0;
}

uint64_t weir_watch_version(weir_watch *watch)
{
    uint64_t version;

    watch_check_loop(watch);
    spin_lock(&watch->lock);
    version = watch->version;
    spin_unlock(&watch->lock);
    return version;
}

/* Now, or in the line with -EAGAIN. */
static int watch_enter(weir_watch *watch, struct watch_place *place)
{
    int rc = -EAGAIN;

    spin_lock(&watch->lock);
    if (*place->seen < watch->version) {
        memcpy(place->item, watch->item, watch->item_bytes);
        *place->seen = watch->version;
        rc = 1;
    } else if (watch->closed) {
        rc = 0;
    } else {
        list_push(&watch->waiting, &place->link);
    }
    spin_unlock(&watch->lock);
    return rc;
}

int weir_watch_changed(weir_watch *watch, void *ret_item, size_t item_size, uint64_t *seen)
{
    struct watch_place place = { .item = ret_item, .seen = seen };
    int rc;

    if (item_size != watch->item_bytes)
        return -EINVAL;
    rc = rt_check();
    if (rc < 0)
        return rc;
    watch_check_loop(watch);
    parked_init(&place.parked, "change of a watch", watch);
    rc = watch_enter(watch, &place);
    if (rc != -EAGAIN) {
        rt_spend();
        return rc;
    }
    rc = rt_park(&place.parked.wait);
    if (place.parked.given_up) {
        spin_lock(&watch->lock);
        list_remove(&place.link);
        spin_unlock(&watch->lock);
    }
    return rc;
}

void weir_watch_end(weir_watch *watch)
{
    struct served served;

    watch_check_loop(watch);
    served_init(&served);
    spin_lock(&watch->lock);
    watch->closed = true;
    watch_serve(watch, 0, &served);
    spin_unlock(&watch->lock);
    served_wake(&served, NULL);
}

void weir_watch_destroy(weir_watch *watch)
{
    bool waited_at;

    if (!watch)
        return;
    spin_lock(&watch->lock);
    waited_at = !list_empty(&watch->waiting);
    spin_unlock(&watch->lock);
    if (waited_at) {
        rt_wrong_use("watch \"%s\" was freed while a task waits at it",
                     watch->name ? watch->name : "");
        weir_watch_end(watch);
    }
    budget_give(BUDGET_QUEUE, sizeof(*watch) + watch->item_bytes);
    base_free(watch);
}
