/* The program `weir`: finds the subcommand, and hands it the rest. What each one
 * does stands in a folder of its own. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct cli_command *const commands[] = {
    &cmd_gateway, &cmd_demo, &cmd_check, &cmd_cert, &cmd_ps, &cmd_top, &cmd_trace, &cmd_version,
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out)
{
    fprintf(out, "Usage: weir COMMAND [FLAG...]      weir COMMAND --help says more\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(out, "  %-9s %s\n\n", "help", "print this, or a command's help");
    fprintf(out, "To see something at once: weir demo\n");
}

static const struct cli_command *find(const char *name)
{
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

static int unknown(const char *name)
{
    const char *names[COMMANDS + 1] = { "help" };
    struct cli_near near;

    for (size_t i = 0; i < COMMANDS; i++)
        names[i + 1] = commands[i]->name;
    fprintf(stderr, "weir: there is no command `%s`%s\nTry `weir help`.\n", name,
            cli_near(&near, name, names, COMMANDS + 1));
    return CLI_USAGE;
}

static int help(int argc, char **argv)
{
    static char flag[] = "--help";
    const struct cli_command *command;
    char *args[] = { argv[0], flag };

    if (argc < 2) {
        print_help(stdout);
        return 0;
    }
    command = find(argv[1]);
    return command ? command->run(command, 2, args) : unknown(argv[1]);
}

int main(int argc, char **argv)
{
    const struct cli_command *command;

    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0)
        return help(argc - 1, argv + 1);
    command = find(argv[1]);
    return command ? command->run(command, argc - 1, argv + 1) : unknown(argv[1]);
}
