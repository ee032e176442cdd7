/* `weir ps`: what the tasks of a running program do. */
#ifndef PS_PS_H
#define PS_PS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ps_settings {
    bool json, raw, stack, by_wait;
    long loop;         /* -1: all */
    const char *state; /* NULL: all */
};

struct strbuf;

/* Without the program's help, by reading its memory: what the request `tasks` answers, with
 * each task's stack when that is wanted. 0 or a failure. */
int ps_raw_read(pid_t pid, const struct ps_settings *settings, struct strbuf *ret_json);

#endif
