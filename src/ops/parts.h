/* What weir_inspect_open() opens, each with a file of its own. */
#ifndef OPS_PARTS_H
#define OPS_PARTS_H

#include <weir/inspect.h>

#define CHECKS_MS 250 /* between two rounds of checks */

/* checks.c: what is looked for a few times a second, on a thread of its own. */
int checks_open(const weir_inspect_opts *opts);
void checks_close(void);

/* watchdog.c: loops that are held up. */
int watchdog_open(const weir_inspect_opts *opts);
void watchdog_close(void);

/* crash.c: what a crash is told with. */
int crash_open(const weir_inspect_opts *opts);
void crash_close(void);

/* control.c: the socket at which it can be asked. */
int control_open(const weir_inspect_opts *opts);
void control_close(void);

/* dump.c: SIGQUIT. */
int dump_open(const weir_inspect_opts *opts);
void dump_close(void);

#endif
