/* What the kernel says of a thread of this process: proc(5). */
#ifndef OPS_THREAD_STATE_H
#define OPS_THREAD_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct thread_state {
    int tid;              /* 0: none is open */
    int schedstat, state; /* descriptors; below 0: not open */
};

/* Be about this thread from now on. */
void thread_state_open(struct thread_state *thread, int tid);
void thread_state_close(struct thread_state *thread);
/* Close the files until they are needed again. */
void thread_state_rest(struct thread_state *thread);

/* How long it was on a processor, and ready to run but on none. False: not known. */
bool thread_state_times(struct thread_state *thread, int64_t *ret_run_ns, int64_t *ret_delay_ns);
/* R, S, D, T, t …; 0: not known. */
char thread_state_now(struct thread_state *thread);
/* What it is doing, as in "on the CPU" or "in the system call nanosleep". */
void thread_state_text(struct thread_state *thread, char *text, size_t size);

#endif
