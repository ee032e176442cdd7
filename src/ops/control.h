/* The control socket: who looks into a running program asks here.
 *
 * A unix stream socket that only the process's own user and root may connect to. A
 * request is one line, a name and its arguments, as in "task 0 12 3"; its answer is one
 * line too, a JSON document, {"error":{"code":"...","message":"..."}} after a failure.
 * A connection may ask as often as it likes. */
#ifndef OPS_CONTROL_H
#define OPS_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

#define CONTROL_REQUEST_BYTES 256       /* a line, with its end */
#define CONTROL_ANSWER_BYTES (64 << 20) /* what lists stop at, and say how much is left out */
#define CONTROL_WATCHERS 8

/* Answer a request: args is what stands behind its name, "" for nothing. 0 with a JSON
 * document in out, which must have no line break; or a code, with its reason in the error
 * chain. On a thread of the watcher's own, never a loop's: it may wait, and several may be
 * in it at once. */
typedef int control_request(struct strbuf *out, const char *args);

/* The requests; the table is in control_table.c. */
control_request control_budget, control_log;
control_request control_connections, control_recorder;
control_request control_tasks, control_task, control_scopes, control_loops, control_pools,
    control_trace, control_queues, control_kinds, control_kind;

struct control_entry {
    const char *name;
    control_request *run;
};
/* Ends with a NULL name. */
extern const struct control_entry control_table[];

/* Answer a line, without its end. Puts one JSON document and a line break into out. */
void control_answer(struct strbuf *out, const char *line);

/* For a request that takes a while, in its thread: wait so long. False: the asker is gone,
 * or the program ends; it should return. */
bool control_wait_ms(uint32_t ms);

/* For a request that answers in several lines, each a document: send those that are whole
 * in out, and empty it. False: as above, or it does not read. The last line is sent as
 * ever. */
bool control_flush(struct strbuf *out);

/* For a request whose answer, one document, may be long: send what there is of it, once it
 * is worth it. Returns how many bytes are gone from out. When nobody reads them, out is bad,
 * and the request should end. */
size_t control_send_piece(struct strbuf *out);

/* A whole number from args, and what stands behind it; false when there is none. */
bool control_number(const char **args, uint64_t most, uint64_t *ret_number);

#endif
