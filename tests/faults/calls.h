/* System calls that fail when a test says so.
 *
 * Linked with --wrap for each call, so that those of the library come here first; which
 * one of a kind fails, with what, is set for one run in one process. */
#ifndef FAULTS_CALLS_H
#define FAULTS_CALLS_H

#include <stdbool.h>

enum call_kind {
    CALL_ACCEPT4,
    CALL_BIND,
    CALL_CONNECT,
    CALL_EPOLL_CREATE1,
    CALL_EPOLL_CTL,
    CALL_EPOLL_WAIT,
    CALL_EVENTFD,
    CALL_GETSOCKNAME,
    CALL_GETSOCKOPT,
    CALL_LISTEN,
    CALL_MADVISE,
    CALL_MMAP,
    CALL_MPROTECT,
    CALL_RECV,
    CALL_SEND,
    CALL_SENDMSG,
    CALL_SETSOCKOPT,
    CALL_SHUTDOWN,
    CALL_SOCKET,
    CALL_KINDS
};

const char *call_name(enum call_kind kind);
/* From now on the nth call of this kind, from 1, fails with this errno, and all after
 * it when told so; 0: none does. */
void call_fail(enum call_kind kind, int nth, int code, bool for_ever);
/* How many have failed since. */
int call_failed(void);

#endif
