/* The common form of weir's subcommands: flags, operands, --help, and mistakes
 * that are told in one line with a hint. */
#ifndef CMD_CLI_H
#define CMD_CLI_H

#include <stdbool.h>
#include <stddef.h>

#define CLI_GO_ON (-1) /* not an exit code: run the command */
#define CLI_USAGE 2

struct cli_flag {
    const char *name, *argument; /* argument NULL: it takes none */
    bool (*read)(void *to, const char *value);
    const char *expects;         /* for the message when read() says no */
    const char *help;
};

struct cli_command {
    const char *name;    /* "gateway" */
    const char *operand; /* "FILE"; NULL: takes none */
    const char *summary; /* for the list of commands */
    const char *text;    /* for --help, under the usage; ends with a newline */
    const struct cli_flag *flags; /* ends with a NULL name; may be NULL */
    int (*run)(const struct cli_command *command, int argc, char **argv);
};

/* Read flags into to, and the operand into *ret_operand. CLI_GO_ON, or the exit
 * code: 0 after --help, CLI_USAGE after a mistake, which has been told. */
int cli_read(const struct cli_command *command, int argc, char **argv, void *to,
             const char **ret_operand);

/* Tell a mistake in the use of a command: CLI_USAGE. */
__attribute__((format(printf, 2, 3))) int cli_mistake(const struct cli_command *command,
                                                      const char *fmt, ...);

/* "; did you mean `name`?", or "", in the caller's text. */
struct cli_near {
    char text[96];
};
const char *cli_near(struct cli_near *near, const char *word, const char *const *names,
                     size_t count);

/* The value of a flag as a number from least to most. */
bool cli_number(const char *value, long least, long most, long *ret_number);

extern const struct cli_command cmd_cert;
extern const struct cli_command cmd_check;
extern const struct cli_command cmd_demo;
extern const struct cli_command cmd_gateway;
extern const struct cli_command cmd_ps;
extern const struct cli_command cmd_top;
extern const struct cli_command cmd_trace;
extern const struct cli_command cmd_version;

#endif
