/* `weir gateway FILE` and `weir check FILE`: a configuration, read, and served or
 * told to be in order. */
#include <stdio.h>
#include <string.h>

#include <weir/error.h>
#include <weir/log.h>

#include "base/alloc.h"
#include "cli.h"
#include "gateway/gateway.h"
#include "gateway/serve.h"

static int read_file(const struct cli_command *command, const char *path, struct config *config)
{
    weir_str text = { NULL, 0 };
    int rc = config_load(path, &text);

    if (rc < 0) {
        fprintf(stderr, "weir %s: %s: %s\n", command->name, path, strerror(-rc));
        return CLI_USAGE;
    }
    rc = config_read(path, text, config);
    base_free((void *)(uintptr_t)text.ptr);
    weir_recover();
    if (rc == 0)
        return CLI_GO_ON;
    config_print_faults(config);
    config_done(config);
    return CLI_USAGE;
}

static int run_check(const struct cli_command *command, int argc, char **argv)
{
    struct config config;
    const char *path;
    int rc = cli_read(command, argc, argv, NULL, &path);

    if (rc != CLI_GO_ON)
        return rc;
    rc = read_file(command, path, &config);
    if (rc != CLI_GO_ON)
        return rc;
    printf("%s: ok, %zu service%s, %zu route%s\n", path, config.services_count,
           config.services_count == 1 ? "" : "s", config.routes_count,
           config.routes_count == 1 ? "" : "s");
    config_done(&config);
    return 0;
}

static int run_gateway(const struct cli_command *command, int argc, char **argv)
{
    struct serve serve = { .program = "weir gateway" };
    struct config config;
    const char *path;
    int rc = cli_read(command, argc, argv, &serve.flags, &path);

    if (rc != CLI_GO_ON)
        return rc;
    rc = read_file(command, path, &config);
    if (rc != CLI_GO_ON)
        return rc;
    serve.config = &config;
    serve.source = path;
    rc = serve_gateway(&serve);
    config_done(&config);
    return rc;
}

const struct cli_command cmd_check = {
    .name = "check",
    .operand = "FILE",
    .summary = "check a gateway's configuration",
    .text = "Reads a configuration of `weir gateway`, and tells all that is wrong with it: a line\n"
            "each with file, line, column and what to write instead. Ends with 0 when it is in\n"
            "order, with 2 when it is not.\n",
    .run = run_check,
};

const struct cli_command cmd_gateway = {
    .name = "gateway",
    .operand = "FILE",
    .summary = "serve one API in front of many services",
    .text = "Serves the routes of a YAML file: answers merged from several services, and requests\n"
            "passed on to one. `weir check FILE` reads the file and does nothing else; `weir demo\n"
            "--print-config` prints one to begin with.\n"
            "\n"
            "SIGTERM and SIGINT end it: requests in progress are finished first, then it exits\n"
            "with 0. A second one ends it at once.\n",
    .flags = serve_flags,
    .run = run_gateway,
};
