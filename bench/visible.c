/* The plaintext service of examples/hello, with what is looked at as the first argument
 * says: "none" opens as little as can be, "idle" all but the recorder, "recorded" all.
 *
 *     visible none|idle|recorded ADDRESS */
#include <stdio.h>
#include <string.h>

#include <weir/weir.h>

static int plaintext(weir_exchange *x)
{
    return weir_reply_text(x, 200, "Hello, World!");
}

int main(int argc, char **argv)
{
    weir_app *app = weir_app_new(.title = "Hello");
    bool none = argc == 3 && strcmp(argv[1], "none") == 0;
    bool idle = argc == 3 && strcmp(argv[1], "idle") == 0;

    if (argc != 3) {
        fprintf(stderr, "usage: visible none|idle|recorded ADDRESS\n");
        return 2;
    }
    weir_get(app, "/plaintext", plaintext);
    return weir_serve(app, .listen = { argv[2] }, .loops = 1,
                      .inspect = { .no_recorder = none || idle,
                                   .no_handlers = none,
                                   .no_socket = none,
                                   .blocked_ms = none ? WEIR_OFF : 0 }) < 0;
}
