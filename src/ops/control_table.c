/* The requests that the control socket answers, and how one is read.
 *
 * A request is words, no more: a name, and arguments that are its own. */
#include <errno.h>
#include <string.h>

#include <weir/error.h>

#include "base/chain.h"
#include "ops/control.h"

const struct control_entry control_table[] = {
    { "tasks", control_tasks },
    { "task", control_task },
    { "kinds", control_kinds },
    { "kind", control_kind },
    { "scopes", control_scopes },
    { "loops", control_loops },
    { "pools", control_pools },
    { "queues", control_queues },
    { "connections", control_connections },
    { "recorder", control_recorder },
    { "budget", control_budget },
    { "log", control_log },
    { "trace", control_trace },
    { NULL, NULL },
};

bool control_number(const char **args, uint64_t most, uint64_t *ret_number)
{
    const char *at = *args;
    uint64_t number = 0;

    while (*at == ' ')
        at++;
    if (*at < '0' || *at > '9')
        return false;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (number > (most - (uint64_t)(*at - '0')) / 10)
            return false;
        number = number * 10 + (uint64_t)(*at - '0');
    }
    if (*at != '\0' && *at != ' ')
        return false;
    *args = at;
    *ret_number = number;
    return true;
}

static int unknown(const char *line, size_t len)
{
    struct strbuf names = STRBUF_INIT;
    int rc;

    for (const struct control_entry *entry = control_table; entry->name; entry++)
        strbuf_addf(&names, "%s%s", names.len ? ", " : "", entry->name);
    rc = weir_fail(-EINVAL, "there is no request \"%.*s\": there are %s", (int)len, line,
                   names.bad ? "others" : strbuf_str(&names).ptr);
    strbuf_done(&names);
    return rc;
}

static int run(struct strbuf *out, const char *line)
{
    size_t len = strcspn(line, " ");

    for (const struct control_entry *entry = control_table; entry->name; entry++) {
        if (strlen(entry->name) == len && memcmp(entry->name, line, len) == 0)
            return entry->run(out, line + len + (line[len] == ' '));
    }
    return unknown(line, len);
}

static void add_failure(struct strbuf *out, int rc)
{
    char text[CHAIN_TEXT_BYTES + 1];

    weir_error_print(text, sizeof(text));
    strbuf_addf(out, "{\"error\":{\"code\":\"%s\",\"message\":", weir_error_name(rc));
    strbuf_add_json(out, weir_str_c(*text ? text : weir_error_text(rc)));
    strbuf_add_c(out, "}}\n");
}

void control_answer(struct strbuf *out, const char *line)
{
    size_t began = out->len;
    int rc = run(out, line);

    if (rc == 0 && out->bad)
        rc = weir_fail(-ENOMEM, "there is no memory for the answer");
    if (out->bad) {
        strbuf_clear(out);
        began = 0;
    }
    if (rc < 0) {
        if (out->len > began)
            out->len = began;
        add_failure(out, rc);
    } else {
        strbuf_add_char(out, '\n');
    }
    weir_recover();
}
