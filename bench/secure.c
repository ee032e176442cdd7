/* A small answer and a large one, for bench/http2.py and bench/tls.py: what TLS and HTTP/2 cost.
 * The flags are weir_main()'s. */
#include <string.h>

#include <weir/weir.h>

enum { BULK_BYTES = 10 << 20 };

static char bulk[BULK_BYTES];

static int plaintext(weir_exchange *x)
{
    return weir_reply_text(x, 200, "Hello, World!");
}

static int large(weir_exchange *x)
{
    return weir_reply(x, 200, "application/octet-stream", (weir_str){ bulk, sizeof bulk });
}

int main(int argc, char **argv)
{
    weir_app *app = weir_app_new(.title = "Secure");

    for (size_t i = 0; i < sizeof bulk; i++)
        bulk[i] = (char)('0' + i % 10);
    weir_get(app, "/plaintext", plaintext);
    weir_get(app, "/bulk", large);
    return weir_main(app, argc, argv);
}
