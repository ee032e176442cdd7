/* What the backends are compared with: a short answer, and one of a mebibyte. */
#include <string.h>

#include <weir/weir.h>

static char large[1 << 20];

static int plaintext(weir_exchange *x)
{
    return weir_reply_text(x, 200, "Hello, World!");
}

static int download(weir_exchange *x)
{
    int rc = weir_reply_begin(x, 200, "application/octet-stream", sizeof(large));

    if (rc == 0)
        rc = weir_write(x, weir_str_from(large, sizeof(large)));
    return rc < 0 ? rc : weir_end(x);
}

int main(int argc, char **argv)
{
    weir_app *app = weir_app_new(.title = "Backends");

    memset(large, 'x', sizeof(large));
    weir_get(app, "/plaintext", plaintext);
    weir_get(app, "/download", download);
    return weir_main(app, argc, argv);
}
