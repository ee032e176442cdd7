/* The error chain behind weir_fail() and weir_wrap(); see weir/error.h.
 *
 * base knows nothing of tasks: error_slot points to where the running task keeps
 * its chain. The runtime sets it at each switch; while it is NULL, the thread
 * has a chain of its own. A slot holds NULL until the first failure. */
#ifndef BASE_CHAIN_H
#define BASE_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include <weir/str.h>

#define CHAIN_LINKS 8
#define CHAIN_TEXT_BYTES 1024
#define CHAIN_LINK_BYTES (CHAIN_TEXT_BYTES / 2) /* so that two links always fit */

struct chain_link {
    const char *site;
    int code;
    uint16_t at, len; /* in text */
    uint16_t missing; /* links dropped between this one and the one before it */
};

struct chain {
    uint16_t count, dropped, used; /* used: bytes of text */
    const char *unjoined; /* the failure of a task that was started there, which no join
                             has reported; NULL: it is the current task's own */
    const char *left;     /* then: where the scope that was left without a join was opened */
    struct chain_link links[CHAIN_LINKS]; /* innermost first */
    char text[CHAIN_TEXT_BYTES];
};

extern _Thread_local struct chain **error_slot;

/* The current chain, or NULL. */
const struct chain *chain_current(void);
weir_str chain_text(const struct chain *chain, unsigned link);
/* Make a chain the current one; the one that stood there is freed. */
void chain_set(struct chain *chain);
/* Take the current chain, or NULL, out of its slot. */
struct chain *chain_take(void);
/* Free a chain that was taken out of its slot; NULL is fine. */
void chain_free(struct chain *chain);
/* Write a chain as weir_error_print() does. */
size_t chain_print(const struct chain *chain, char *text, size_t size);
/* Write it a link a line, outermost first, each behind the place that it came from. */
size_t chain_print_links(const struct chain *chain, char *text, size_t size);
/* Free what the calling thread keeps: its own chain, and those kept for reuse.
 * Happens by itself at the end of a thread other than the first. */
void chain_thread_done(void);

#endif
