/* libuv as the foreign loop: one handle watches weir's descriptor. */
#include "embed_foreign.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include <weir/embed.h>

struct host {
    uv_loop_t loop;
    uv_poll_t watch;
    uv_timer_t timer;
    struct embed_stats *stats;
};

static void must(int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "libuv: %s\n", uv_strerror(rc));
    abort();
}

static void readable(uv_poll_t *watch, int status, int events)
{
    struct host *host = watch->data;

    (void)events;
    must(status);
    host->stats->steps++;
    if (weir_loop_step() != 0)
        return;
    uv_close((uv_handle_t *)&host->watch, NULL);
    uv_close((uv_handle_t *)&host->timer, NULL);
}

static void tick(uv_timer_t *timer)
{
    struct host *host = timer->data;

    host->stats->ticks++;
}

void turn_in_uv(struct embed_stats *ret_stats)
{
    struct host host = { .stats = ret_stats };

    *ret_stats = (struct embed_stats){ 0 };
    must(uv_loop_init(&host.loop));
    host.watch.data = host.timer.data = &host;
    must(uv_poll_init(&host.loop, &host.watch, weir_loop_fd()));
    must(uv_poll_start(&host.watch, UV_READABLE, readable));
    must(uv_timer_init(&host.loop, &host.timer));
    must(uv_timer_start(&host.timer, tick, 5, 5));
    must(uv_run(&host.loop, UV_RUN_DEFAULT));
    must(uv_loop_close(&host.loop));
}
