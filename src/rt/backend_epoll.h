/* The epoll backend: see backend.h and backend_epoll.c. */
#ifndef RT_BACKEND_EPOLL_H
#define RT_BACKEND_EPOLL_H

#include "rt/backend.h"

extern const struct io_ops epoll_ops;

#endif
