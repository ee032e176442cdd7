/* A configuration of the gateway, from any bytes: no crash, and every fault has a
 * place; what is accepted can be made into routes that the application takes. */
#include <stdint.h>
#include <stdlib.h>

#include <weir/error.h>

#include "gateway/gateway.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void build(const struct config *config)
{
    char text[4096];
    weir_app *app = weir_app_new(.title = "fuzz");
    struct gateway *gateway;

    if (gateway_new(config, app, &gateway) == 0) {
        if (weir_app_check(app, text, sizeof(text)) != 0)
            abort();
        gateway_free(gateway);
    }
    weir_app_free(app);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    int rc = config_read("fuzz.yaml", weir_str_from((const char *)data, size), &config);
    weir_faults faults = { 0 };

    if (config.document)
        faults = weir_document_faults(config.document);
    if (rc == 0)
        build(&config);
    else if (rc == WEIR_ECONFIG && faults.count == 0)
        abort();
    for (size_t i = 0; i < faults.count; i++) {
        if (faults.list[i].line == 0 || faults.list[i].message.len == 0)
            abort();
    }
    config_done(&config);
    weir_recover();
    return 0;
}
