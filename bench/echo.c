/* A TCP echo server: one task a connection, on one loop. What a program that speaks a
 * protocol of its own costs is held against raw epoll by bench/echo.py. */
#include <stdio.h>

#include <weir/run.h>
#include <weir/stream.h>

static int echo(void *arg)
{
    weir_stream *s = arg;
    weir_str data;
    ssize_t n;

    while ((n = weir_stream_read(s, &data)) > 0)
        if ((n = weir_stream_write(s, data)) < 0)
            break;
    weir_stream_close(s);
    return 0;
}

static int serve(void *arg)
{
    weir_listener *listener;
    weir_stream *s;
    int rc = weir_listen(arg, &listener);

    if (rc < 0)
        return rc;
    WEIR_SCOPE(scope) {
        while ((rc = weir_accept(listener, &s)) > 0)
            weir_go(scope, echo, s, .optional = true);
        if (weir_join(scope) < 0)
            rc = -ECANCELED;
    }
    weir_listener_close(listener);
    return rc;
}

int main(int argc, char **argv)
{
    int rc;

    if (argc != 2) {
        fprintf(stderr, "usage: echo ADDRESS\n");
        return 2;
    }
    rc = weir_run(serve, argv[1], .loops = 1);
    if (rc < 0)
        fprintf(stderr, "echo: %s\n", weir_error_name(rc));
    return rc < 0;
}
