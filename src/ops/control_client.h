/* Asking a running program at its control socket; for commands. */
#ifndef OPS_CONTROL_CLIENT_H
#define OPS_CONTROL_CLIENT_H

#include <stdint.h>
#include <sys/types.h>

#include "base/strbuf.h"

struct control_client {
    int fd; /* -1: not connected */
    pid_t pid;
};

/* Connect to a process: 0, or a code with a sentence for the user in the chain
 * (weir_error_print()):
 *   -ESRCH   no such process
 *   -ENOENT  it is not a weir program, or has no control socket
 *   -EACCES  it belongs to another user
 *   -ETIMEDOUT  it takes no connection, as when it is stopped */
int control_client_open(struct control_client *client, pid_t pid);
/* The same by the socket's path. */
int control_client_open_path(struct control_client *client, const char *path);
void control_client_close(struct control_client *client);
/* Send one request, and add its answer, a JSON document, to ret_json. 0, or a code with a
 * sentence in the chain: -EREMOTEIO when the program answered with an error (the sentence is
 * its own), -ETIMEDOUT, -ECONNRESET. */
int control_client_ask(struct control_client *client, const char *request, uint32_t timeout_ms,
                       struct strbuf *ret_json);

/* The same in two steps, for who has more to wait for than the answer: send, and when
 * client.fd is readable add to json what is there of the answer. 1: it is whole; 0: not yet;
 * a failure as above. One request at a time. */
int control_client_send(struct control_client *client, const char *request);
int control_client_take(struct control_client *client, struct strbuf *json);

/* All of it, once. */
int control_ask(pid_t pid, const char *request, struct strbuf *ret_json);

#endif
