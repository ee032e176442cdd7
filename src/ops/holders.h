/* Who holds the process's budget of bytes. */
#ifndef OPS_HOLDERS_H
#define OPS_HOLDERS_H

#include "base/strbuf.h"

/* As a JSON object: what is used of it, by kind, and what the tasks of each route hold.
 * Asks the loops: not on a loop's thread. */
void holders_print(struct strbuf *out);

#endif
