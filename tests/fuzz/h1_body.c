/* Bodies: cutting the input at any points gives the same content, end or fault as
 * giving it whole. The first byte chooses the framing and the limits. */
#include "h1_seed.h"
#include "support/h1_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum http_body_kind kinds[] = { HTTP_BODY_CHUNKED, HTTP_BODY_CHUNKED,
                                                 HTTP_BODY_LENGTH, HTTP_BODY_UNTIL_CLOSE };
    struct h1_run run = { .what = H1_RUN_BODY };

    if (size == 0)
        return 0;
    run.body = kinds[data[0] >> 1 & 3];
    run.content_length = 1 + (data[0] >> 3);
    if (data[0] & 1) {
        run.limits = (struct http_limits){ .chunk_ext_bytes = 8, .trailer_bytes = 24 };
        run.max_bytes = 16;
    }
    h1_run_random(&run, weir_str_from((const char *)data + 1, size - 1), h1_seed(data, size));
    return 0;
}
