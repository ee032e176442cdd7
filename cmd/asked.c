/* Asking a running program, for its commands; see asked.h.
 *
 * What comes from the program is not trusted to be of this version, nor its names to be
 * harmless on a terminal: a member that is not there reads as nothing, and a text is cleaned
 * where it is printed. */
#include "asked.h"

#include <stdio.h>
#include <string.h>

#include <weir/error.h>

int asked_fail(const struct cli_command *command)
{
    char text[1100];

    weir_error_print(text, sizeof(text));
    fprintf(stderr, "weir %s: %s\n", command->name, text);
    return 1;
}

int asked_open(const struct cli_command *command, const char *process,
               struct control_client *client)
{
    long pid;
    int rc;

    if (strchr(process, '/'))
        rc = control_client_open_path(client, process);
    else if (cli_number(process, 1, INT32_MAX, &pid))
        rc = control_client_open(client, (pid_t)pid);
    else
        return cli_mistake(command,
                           "`%s` is no process: it must be its number, or the path of "
                           "its control socket",
                           process);
    return rc < 0 ? asked_fail(command) : CLI_GO_ON;
}

bool asked_task_request(const char *task, char *request, size_t size)
{
    unsigned loop, slot, generation;

    if (sscanf(task, "%u.%u.%u", &loop, &slot, &generation) != 3)
        return false;
    snprintf(request, size, "task %u %u %u", loop, slot, generation);
    return true;
}

/* ---- answers --------------------------------------------------------------------------------- */

const char *asked_text(yyjson_val *object, const char *key)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, key));

    return text ? text : "";
}

double asked_number(yyjson_val *object, const char *key)
{
    return yyjson_get_num(yyjson_obj_get(object, key));
}

uint64_t asked_count(yyjson_val *object, const char *key)
{
    return yyjson_get_uint(yyjson_obj_get(object, key));
}

/* ---- as text ----------------------------------------------------------------------------------- */

/* Control characters of C1 are two bytes in UTF-8, and steer terminals too. */
unsigned asked_add_clean(struct strbuf *out, weir_str text, unsigned columns)
{
    unsigned taken = 0;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool begins = (c & 0xc0) != 0x80;

        if (begins && taken == columns)
            break;
        taken += begins;
        if (c == 0xc2 && i + 1 < text.len && (unsigned char)text.ptr[i + 1] < 0xa0) {
            strbuf_add_char(out, '?');
            i++;
        } else {
            strbuf_add_char(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
        }
    }
    return taken;
}

void asked_add_time(struct strbuf *out, double ms)
{
    if (ms < 1000)
        strbuf_addf(out, "%7.0f ms", ms);
    else if (ms < 600000)
        strbuf_addf(out, "%8.1f s", ms / 1000);
    else
        strbuf_addf(out, "%6.0f min", ms / 60000);
}

void asked_add_value(struct strbuf *out, yyjson_val *value)
{
    if (yyjson_is_str(value))
        strbuf_add_c(out, yyjson_get_str(value));
    else if (yyjson_is_bool(value))
        strbuf_add_c(out, yyjson_get_bool(value) ? "yes" : "no");
    else
        strbuf_addf(out, "%.15g", yyjson_get_num(value));
}
