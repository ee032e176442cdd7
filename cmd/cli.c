/* Flags as a table, so that --help, the reading and the hints can't differ. A
 * mistake is one line that says what was given and what would be right, before
 * anything is opened. */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "type/hint.h"

#define CLI_FLAGS_MAX 32

int cli_mistake(const struct cli_command *command, const char *fmt, ...)
{
    va_list args;

    fprintf(stderr, "weir %s: ", command->name);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\nTry `weir %s --help`.\n", command->name);
    return CLI_USAGE;
}

const char *cli_near(struct cli_near *near, const char *word, const char *const *names,
                     size_t count)
{
    struct nearest nearest;
    struct arena arena;
    weir_str hint;

    near->text[0] = '\0';
    arena_init(&arena, NULL);
    nearest_init(&nearest, weir_str_c(word));
    for (size_t i = 0; i < count; i++)
        nearest_try(&nearest, weir_str_c(names[i]));
    hint = nearest_hint(&nearest, &arena);
    if (hint.len > 0)
        snprintf(near->text, sizeof(near->text), "; %.*s", WEIR_ARG(hint));
    arena_reset(&arena);
    return near->text;
}

bool cli_number(const char *value, long least, long most, long *ret_number)
{
    char *end;
    long number;

    errno = 0;
    number = strtol(value, &end, 10);
    if (errno || end == value || *end || number < least || number > most)
        return false;
    *ret_number = number;
    return true;
}

static void print_help(const struct cli_command *command)
{
    printf("Usage: weir %s%s%s%s\n\n%s", command->name, command->flags ? " [FLAG...]" : "",
           command->operand ? " " : "", command->operand ? command->operand : "", command->text);
    for (const struct cli_flag *flag = command->flags; flag && flag->name; flag++) {
        char left[48];

        snprintf(left, sizeof(left), "%s%s%s", flag->name, flag->argument ? " " : "",
                 flag->argument ? flag->argument : "");
        printf("%s  %-19s  %s\n", flag == command->flags ? "\n" : "", left, flag->help);
    }
}

static const struct cli_flag *find_flag(const struct cli_command *command, const char *text,
                                        size_t len)
{
    for (const struct cli_flag *flag = command->flags; flag && flag->name; flag++) {
        if (strlen(flag->name) == len && memcmp(flag->name, text, len) == 0)
            return flag;
    }
    return NULL;
}

static int unknown_flag(const struct cli_command *command, const char *text, size_t len)
{
    const char *names[CLI_FLAGS_MAX] = { "--help" };
    char word[64];
    struct cli_near near;
    size_t count = 1;

    snprintf(word, sizeof(word), "%.*s", (int)len, text);
    for (const struct cli_flag *flag = command->flags; flag && flag->name && count < CLI_FLAGS_MAX;
         flag++)
        names[count++] = flag->name;
    return cli_mistake(command, "there is no flag `%s`%s", word,
                       cli_near(&near, word, names, count));
}

/* The flag at argv[*at], and its value, which may be the next argument. */
static int read_flag(const struct cli_command *command, int argc, char **argv, int *at, void *to)
{
    const char *text = argv[*at], *value = strchr(text, '=');
    size_t len = value ? (size_t)(value - text) : strlen(text);
    const struct cli_flag *flag = find_flag(command, text, len);

    if (!flag)
        return unknown_flag(command, text, len);
    if (value && !flag->argument)
        return cli_mistake(command, "%s takes no value", flag->name);
    if (value)
        value++;
    else if (flag->argument && *at + 1 < argc)
        value = argv[++*at];
    if (flag->argument && !value)
        return cli_mistake(command, "%s needs a value: %s", flag->name, flag->expects);
    if (!flag->read(to, value))
        return cli_mistake(command, "%s `%s`: it must be %s", flag->name, value, flag->expects);
    return CLI_GO_ON;
}

int cli_read(const struct cli_command *command, int argc, char **argv, void *to,
             const char **ret_operand)
{
    const char *operand = NULL;

    for (int i = 1; i < argc; i++) {
        int rc;

        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(command);
            return 0;
        }
        if (argv[i][0] != '-') {
            if (!command->operand)
                return cli_mistake(command, "`%s` is no flag, and nothing else is taken", argv[i]);
            if (operand)
                return cli_mistake(command, "one %s is taken, not `%s` and `%s`", command->operand,
                                   operand, argv[i]);
            operand = argv[i];
            continue;
        }
        rc = read_flag(command, argc, argv, &i, to);
        if (rc != CLI_GO_ON)
            return rc;
    }
    if (command->operand && !operand)
        return cli_mistake(command, "%s is missing", command->operand);
    if (ret_operand)
        *ret_operand = operand;
    return CLI_GO_ON;
}
