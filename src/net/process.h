/* Child processes: what their parts share. */
#ifndef NET_PROCESS_H
#define NET_PROCESS_H

#include <weir/process.h>

/* One program to be started; the descriptors are the child's, and none is below 3. */
struct spawn {
    const char *const *argv, *const *env;
    const char *cwd;
    int fds[3];
    int pid, pidfd; /* what came of it */
};

/* Start it; 0 or a failure. Blocks until the program runs, or could not. */
int process_spawn(struct spawn *spawn);

/* End what is left of the child's group, once the child has ended. */
void process_end_group(weir_process *process);

#endif
