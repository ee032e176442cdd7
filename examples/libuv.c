/* Inside another loop: libuv has the thread, and a weir server lives in it.
 *
 * libuv's timer counts; each client is told the count, and then gets back what it
 * sends. Timer and tasks run on one thread, so that they share it without a lock.
 *
 *     build/release/examples/libuv 127.0.0.1:8000
 *     nc 127.0.0.1 8000 */
#include <stdio.h>
#include <uv.h>

#include <weir/weir.h>

static unsigned ticks;
static uv_loop_t loop;
static uv_poll_t watch;
static uv_timer_t timer;
static uv_signal_t interrupt;

/* ---- weir's side: tasks ------------------------------------------------------------ */

static int client(void *arg)
{
    weir_stream *stream = arg;
    weir_str data;
    ssize_t n = weir_stream_write(stream, weir_format("libuv has ticked %u times\n", ticks));

    while (n > 0) {
        n = weir_stream_read(stream, &data);
        if (n > 0)
            n = weir_stream_write(stream, data);
    }
    weir_stream_close(stream);
    return 0; /* one client's failure is not the others' */
}

static int serve(void *arg)
{
    weir_listener *listener;
    weir_stream *stream;
    int rc = weir_listen(arg, &listener);

    if (rc < 0)
        return rc;
    printf("listening at port %u\n", weir_listener_port(listener));
    fflush(stdout);
    WEIR_SCOPE(s, .limit = 1000) {
        while ((rc = weir_accept(listener, &stream)) > 0)
            weir_go(s, client, stream);
        weir_cancel(s); /* those who are still there */
        WEIR_IGNORE(weir_join(s), "they were cancelled");
    }
    weir_listener_close(listener);
    return rc;
}

/* ---- libuv's side: callbacks -------------------------------------------------------- */

static void tick(uv_timer_t *self)
{
    (void)self;
    ticks++;
}

static void let_go(void)
{
    uv_close((uv_handle_t *)&watch, NULL);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_close((uv_handle_t *)&interrupt, NULL);
}

/* The one place where the two meet. */
static void readable(uv_poll_t *self, int status, int events)
{
    (void)self;
    (void)status;
    (void)events;
    if (weir_loop_step() == 0)
        let_go();
}

static void interrupted(uv_signal_t *self, int number)
{
    (void)self;
    (void)number;
    let_go(); /* weir_embed_end() stops the server */
}

static int live_in_uv(void)
{
    int rc = uv_loop_init(&loop);

    if (rc == 0)
        rc = uv_poll_init(&loop, &watch, weir_loop_fd());
    if (rc == 0)
        rc = uv_timer_init(&loop, &timer);
    if (rc == 0)
        rc = uv_signal_init(&loop, &interrupt);
    if (rc < 0)
        return rc;
    uv_poll_start(&watch, UV_READABLE, readable);
    uv_timer_start(&timer, tick, 0, 100);
    uv_signal_start(&interrupt, interrupted, SIGINT);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

int main(int argc, char **argv)
{
    char text[400];
    int rc = weir_embed_start(serve, argc > 1 ? argv[1] : "127.0.0.1:8000", .loops = 1);

    if (rc == 0 && live_in_uv() < 0)
        fprintf(stderr, "libuv can't start\n");
    if (rc == 0)
        rc = weir_embed_end();
    if (rc < 0) {
        weir_error_print(text, sizeof(text));
        fprintf(stderr, "libuv: %s\n", *text ? text : weir_error_text(rc));
    }
    return rc < 0;
}
