/* `weir demo`: ten sample services and the gateway in front of them. */
#include "cli.h"

static int run(const struct cli_command *command, int argc, char **argv)
{
    return cli_read(command, argc, argv, NULL, NULL);
}

const struct cli_command cmd_demo = { .name = "demo", .summary = "ten sample services behind one gateway", .text = "\n", .run = run };
