/* The smallest service: one text, and one object that is serialised for each
 * request.
 *
 *     build/release/examples/hello --listen 127.0.0.1:8000
 *     curl http://127.0.0.1:8000/json */
#include <weir/weir.h>

struct hello {
    weir_str message;
};

WEIR_TYPE(hello_type, struct hello, WEIR_STR(message));

static int plaintext(weir_exchange *x)
{
    return weir_reply_text(x, 200, "Hello, World!");
}

static int json(weir_exchange *x)
{
    struct hello hello = { .message = WEIR_S("Hello, World!") };

    return weir_reply_json(x, 200, &hello_type, &hello);
}

int main(int argc, char **argv)
{
    weir_app *app = weir_app_new(.title = "Hello");

    weir_get(app, "/plaintext", plaintext);
    weir_get(app, "/json", json);
    return weir_main(app, argc, argv);
}
