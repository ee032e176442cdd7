/* The io_uring backend: see backend.h and backend_uring.c. */
#ifndef RT_BACKEND_URING_H
#define RT_BACKEND_URING_H

#include "rt/backend.h"

extern const struct io_ops uring_ops;

/* Would a loop get a ring? 0 or -errno. */
int uring_probe(void);

#endif
