/* SIGTERM and SIGINT, as something that a task can wait for. */
#ifndef OPS_END_SIGNALS_H
#define OPS_END_SIGNALS_H

/* Take the signals, from handlers too, and ignore SIGPIPE. Once at a time, before the
 * runtime runs. 0 or a code. */
int end_signals_open(void);

/* Put back what was there before. */
void end_signals_close(void);

/* Wait for the first signal: its number, 0 when the task is asked to drain, or a
 * negative code. A second signal ends
 * the process at once, with 128 + its number. One task; always a checkpoint. */
int end_signals_wait(void);

#endif
