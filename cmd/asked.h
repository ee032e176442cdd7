/* A running program that is asked: what the commands that do it have in common. */
#ifndef CMD_ASKED_H
#define CMD_ASKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/strbuf.h"
#include "cli.h"
#include "ops/control_client.h"

#define ASKED_MS 30000

/* Connect to a process by its number, or by the path of its control socket. CLI_GO_ON, or the
 * exit code, with the reason told. */
int asked_open(const struct cli_command *command, const char *process,
               struct control_client *client);
/* Tell the failure in the error chain: the exit code. */
int asked_fail(const struct cli_command *command);
/* "task 0 1 2" of 0.1.2, as the tables have it; false: it is no task. */
bool asked_task_request(const char *task, char *request, size_t size);

/* A member of an answer; "" or 0 when it is not there. */
const char *asked_text(yyjson_val *object, const char *key);
double asked_number(yyjson_val *object, const char *key);
uint64_t asked_count(yyjson_val *object, const char *key);

/* Names are the program's own: what would steer a terminal is shown as a question mark. At
 * most so many columns; returns how many it took. */
unsigned asked_add_clean(struct strbuf *out, weir_str text, unsigned columns);
/* In ten columns, in the unit that suits it. */
void asked_add_time(struct strbuf *out, double ms);
/* A text, yes or no, or a number. */
void asked_add_value(struct strbuf *out, yyjson_val *value);

#endif
