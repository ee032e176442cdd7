/* Response heads: cutting the input at any points gives the same outcome as
 * giving it whole. The first byte chooses the request's method and the limits. */
#include "h1_seed.h"
#include "support/h1_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum http_method methods[] = { HTTP_GET, HTTP_HEAD, HTTP_CONNECT, HTTP_OTHER };
    struct h1_run run = { .what = H1_RUN_RESPONSE };

    if (size == 0)
        return 0;
    run.method = methods[data[0] >> 1 & 3];
    if (data[0] & 1)
        run.limits = (struct http_limits){ .head_bytes = 64, .fields = 3 };
    h1_run_random(&run, weir_str_from((const char *)data + 1, size - 1), h1_seed(data, size));
    return 0;
}
