/* Byte streams from tasks: for protocols of one's own.
 *
 *     static int echo(weir_stream *s)
 *     {
 *         weir_str data;
 *         ssize_t n;
 *
 *         while ((n = weir_stream_read(s, &data)) > 0)
 *             if ((n = weir_stream_write(s, data)) < 0)
 *                 break;
 *         return (int)n;
 *     }
 *
 * A stream belongs to the loop it was made on. One task may read while another
 * writes. A stream at which nothing is going on holds no buffer.
 *
 * Addresses are "host:port" with an IPv4 address, an IPv6 address in brackets,
 * localhost or, to connect to, a host name; to listen on every IPv4 address, ":port"; "unix:/run/x.sock" for
 * a unix socket, and "unix:@name" for one without a file. */
#ifndef WEIR_STREAM_H
#define WEIR_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <weir/export.h>
#include <weir/error.h>
#include <weir/str.h>

WEIR_BEGIN

typedef struct weir_stream weir_stream;
typedef struct weir_listener weir_listener;

/* A write of up to this many bytes is copied and may return at once; a larger
 * one stays in the call until the kernel has taken the bytes. */
#define WEIR_STREAM_COPY_BYTES 4096

/* Connect to an address, or to a host by its name: of its addresses, the first that
 * answers (RFC 8305).
 *
 * Checkpoint: always.
 * Returns:    0 with the stream in *ret_stream, or
 *   -EINVAL       not an address
 *   what weir_resolve() returns for a name
 *   -ECONNREFUSED nobody listens there; other errno values as connect(2)
 *   WEIR_EPEERTIMEOUT  the kernel gave up waiting for the peer
 *   -EMFILE       no descriptor is free (or -ENFILE)
 *   -ENOMEM       no memory
 *   -ETIMEDOUT    the deadline passed
 *   -ECANCELED    the scope was cancelled
 * Ownership:  the caller closes *ret_stream with weir_stream_close().
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_stream_connect(const char *address, weir_stream **ret_stream);

/* Make two streams that are connected to each other in memory: what is written
 * to one is read from the other. They hold at most 64 KiB in each direction.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -ENOMEM      no memory
 * Ownership:  the caller closes both; either may be closed first.
 * Thread:     a task; both belong to its loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_stream_pair(weir_stream **ret_one, weir_stream **ret_other);

/* Wait for bytes from the peer, and lend what has arrived.
 *
 * Checkpoint: always.
 * Returns:    bytes lent (> 0), 0 at the orderly end of the stream, or
 *   -ETIMEDOUT   the scope's deadline passed; the stream stays usable
 *   -ECANCELED   the scope was cancelled; the stream stays usable
 *   -ECONNRESET  the peer reset; later calls repeat it
 *   WEIR_EPEERTIMEOUT  the kernel gave up waiting for the peer; repeated
 *   WEIR_EBUDGET the process's byte budget is used up; the stream stays usable
 *   -EBUSY       another task is reading
 * Ownership:  *ret_data is borrowed until the next read of s, or its close.
 *             Errors do not close s.
 * Thread:     a task of the loop that owns s.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
ssize_t weir_stream_read(weir_stream *s, weir_str *ret_data);

/* Write bytes. Up to 4 KiB are copied and sent at the end of the loop's turn; a
 * failure of that is returned by the next call. More than that is sent from
 * where it lies, within the call.
 *
 * Checkpoint: always.
 * Returns:    data.len; less (but more than 0) when a cancel, the deadline or a
 *   failure came after that many bytes; or
 *   -ETIMEDOUT   the scope's deadline passed; nothing of data was taken
 *   -ECANCELED   the scope was cancelled; nothing of data was taken
 *   -EPIPE       the peer, or weir_stream_shutdown(), has closed this direction
 *   -ECONNRESET  the peer reset; later calls repeat it
 *   -ENOMEM      data's pointer is NULL, or there is no memory
 *   WEIR_EBUDGET the process's byte budget is used up
 *   -EBUSY       another task is writing
 * Ownership:  data is the caller's again when the call returns.
 * Thread:     a task of the loop that owns s.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1)
ssize_t weir_stream_write(weir_stream *s, weir_str data);

/* Write as much as the output chain takes now.
 *
 * Checkpoint: never.
 * Returns:    how many bytes were taken (0: none, it is full), or
 *   the failures of weir_stream_write() that are no cancel
 * Ownership:  what is taken is copied.
 * Thread:     a task of the loop that owns s.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1)
ssize_t weir_stream_try_write(weir_stream *s, weir_str data);

/* Wait until all that was written has been handed to the kernel (or, of a pair,
 * taken by the reader).
 *
 * Checkpoint: always.
 * Returns:    0, or
 *   -ETIMEDOUT   the scope's deadline passed; the sending goes on
 *   -ECANCELED   the scope was cancelled; the sending goes on
 *   -EBUSY       another task is writing
 *   the failure of the sending otherwise, as weir_stream_write()
 * Ownership:  takes nothing.
 * Thread:     a task of the loop that owns s.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_stream_flush(weir_stream *s);

/* Who is at the other end of a unix socket: as the kernel noted it when the peer
 * connected, or listened. */
typedef struct weir_peer_cred {
    int64_t pid;
    uint32_t uid, gid;
} weir_peer_cred;

/* Ask who the peer of a unix socket is.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   -EOPNOTSUPP  it is no unix socket of the kernel's (a pair in memory, the
 *                simulator)
 *   other errno values as getsockopt(2)
 * Ownership:  takes nothing.
 * Thread:     a task of the loop that owns s.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_stream_peer_cred(const weir_stream *s, weir_peer_cred *ret_cred);

/* Flush, then tell the peer that no more will be written. Reading goes on.
 *
 * Checkpoint: always.
 * Returns:    0, or what weir_stream_flush() returns; this direction is then
 *   still open unless the connection failed.
 * Ownership:  takes nothing.
 * Thread:     a task of the loop that owns s.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1) int weir_stream_shutdown(weir_stream *s);

/* Close a stream. What was written and not flushed is still sent for up to one
 * second, by the loop; call weir_stream_flush() to know what became of it.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  ends s and the slice it lent; NULL is fine. No other task may be
 *   inside a call on s.
 * Thread:     a task of the loop that owns s.
 * Since:      0.1 */
WEIR_API void weir_stream_close(weir_stream *s);

typedef struct weir_listen_opts {
    size_t size;      /* set by the macro */
    uint32_t backlog; /* connections the kernel keeps for us; unset: 1,024 */
    bool reuse_port;  /* several sockets may listen there: SO_REUSEPORT */
    uint32_t unix_mode; /* who may connect to a unix socket: 0660; unset: as umask says */
} weir_listen_opts;

#define weir_listen(address, ret, ...)                                                  \
    weir_listen_opt(address, ret,                                                       \
                    &(weir_listen_opts){ .size = sizeof(weir_listen_opts), __VA_ARGS__ })

/* Listen on an address, for weir_accept(); port 0 lets the kernel choose one. The
 * file of a unix socket that a process has left behind is replaced when nobody
 * answers there any more; weir_listener_close() takes the file away.
 *
 * Checkpoint: never.
 * Returns:    0 with the listener in *ret_listener, or
 *   -EINVAL      not an address
 *   WEIR_ENAME   a host name: only addresses and localhost can be listened on
 *   -ENAMETOOLONG  the path of a unix socket has more than 107 bytes
 *   -EADDRINUSE  the address is taken; other errno values as bind(2)
 *   -EMFILE      no descriptor is free (or -ENFILE)
 *   -ENOMEM      no memory
 * Ownership:  the caller closes *ret_listener with weir_listener_close().
 * Thread:     a task; the listener belongs to its loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2, 3)
int weir_listen_opt(const char *address, weir_listener **ret_listener,
                    const weir_listen_opts *opts);

/* Wait for a connection. While no descriptor is free, it waits and tries again
 * every 100 ms.
 *
 * Checkpoint: always.
 * Returns:    1 with a stream in *ret_stream; 0 when the task is asked to drain
 *   (weir_stopping()): nothing more will come; or
 *   -ETIMEDOUT   the scope's deadline passed
 *   -ECANCELED   the scope was cancelled
 *   -EBUSY       another task is accepting
 *   -ENOMEM      no memory for the stream: the connection was refused
 * Ownership:  the caller closes *ret_stream with weir_stream_close().
 * Thread:     a task of the loop that owns the listener.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_accept(weir_listener *listener, weir_stream **ret_stream);

/* The port that a listener listens on.
 *
 * Checkpoint: never.
 * Returns:    the port; 0 for a unix socket.
 * Ownership:  takes nothing.
 * Thread:     a task of the loop that owns the listener.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) uint16_t weir_listener_port(const weir_listener *listener);

/* Stop listening.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  ends the listener; NULL is fine. No task may be in weir_accept().
 * Thread:     a task of the loop that owns the listener.
 * Since:      0.1 */
WEIR_API void weir_listener_close(weir_listener *listener);

WEIR_END

#endif
