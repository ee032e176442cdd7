/* `weir version`: which version, and what it was built with, for reports of
 * faults and for scripts. */
#include <stdio.h>

#include <yaml.h>
#include <yyjson.h>

#include "cli.h"
#include "rt/backend_choice.h"

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

static int run(const struct cli_command *command, int argc, char **argv)
{
    int rc = cli_read(command, argc, argv, NULL, NULL);

    if (rc != CLI_GO_ON)
        return rc;
    printf("weir %s\n", WEIR_VERSION);
    printf("  built with  %s\n", COMPILER);
    printf("  backends    %s\n", backend_names());
    printf("  libraries   yyjson %s, libyaml %s\n", YYJSON_VERSION_STRING,
           yaml_get_version_string());
    return 0;
}

const struct cli_command cmd_version = {
    .name = "version",
    .summary = "print the version, and what it was built with",
    .text = "Prints the version, the compiler, and the libraries that are in.\n",
    .run = run,
};
