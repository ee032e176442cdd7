/* Which backend the loops get: see backend_choice.c. */
#ifndef RT_BACKEND_CHOICE_H
#define RT_BACKEND_CHOICE_H

#include <weir/run.h>

#include "rt/backend.h"

/* 0, or the failure with its reason in the error chain. */
int backend_choose(weir_backend asked, const struct io_ops **ret_ops);
/* The backends that are built in: "epoll, io_uring". */
const char *backend_names(void);

#endif
