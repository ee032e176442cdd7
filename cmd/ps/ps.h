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

/* Without the program's help, by reading its memory: an exit code. */
int ps_raw(pid_t pid, const struct ps_settings *settings);

#endif
