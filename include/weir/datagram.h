/* Datagrams from tasks: UDP, and unix sockets of that kind.
 *
 *     weir_datagram *d;
 *     char data[2048];
 *     weir_packet p = { .data = data, .room = sizeof(data) };
 *     int rc = weir_datagram_open(":5353", &d);
 *
 *     while (rc == 0 && (rc = weir_datagram_recv(d, &p)) > 0)
 *         rc = weir_datagram_send(d, weir_str_from(p.data, p.len), &p.peer);
 *
 * A datagram comes whole, cut, or not at all, and in any order: what was sent may be
 * lost without a word. One that is larger than the room given is cut, and said to be.
 * One task may receive while another sends. */
#ifndef WEIR_DATAGRAM_H
#define WEIR_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/error.h>
#include <weir/str.h>

WEIR_BEGIN

typedef struct weir_datagram weir_datagram;

/* A socket address; all zero: none. Equal addresses have equal texts. */
typedef struct weir_address {
    uint64_t private_[17];
} weir_address;

/* Read an address: "192.0.2.1:53", "[::1]:53", "unix:/run/x.sock".
 *
 * Checkpoint: never.
 * Returns:    0, or with a sentence
 *   -EINVAL        it is none
 *   WEIR_ENAME     it is a host name: weir_resolve() looks those up
 *   -ENAMETOOLONG  the path of a unix socket has more than 107 bytes
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_address_parse(const char *text, weir_address *ret_address);

/* Write an address, as weir_address_parse() reads it.
 *
 * Checkpoint: never.
 * Returns:    the text, terminated; "" for none; a NULL pointer without memory.
 * Ownership:  the current arena's.
 * Thread:     a task.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) weir_str weir_address_text(const weir_address *address);

typedef struct weir_datagram_opts {
    size_t size;                /* set by the macro */
    bool reuse_port;            /* several sockets may be bound there: SO_REUSEPORT */
    bool broadcast;             /* may be sent to broadcast addresses */
    uint32_t recv_buffer_bytes; /* the kernel's, for what was not received yet; unset: its
                                   own choice */
    uint32_t unix_mode;         /* who may send to a unix socket: 0660; unset: as umask
                                   says */
} weir_datagram_opts;

#define weir_datagram_open(address, ret, ...)                                               \
    weir_datagram_open_opt(address, ret,                                                    \
                           &(weir_datagram_opts){ .size = sizeof(weir_datagram_opts),       \
                                                  __VA_ARGS__ })

/* Open a socket for datagrams, bound to an address; port 0 lets the kernel choose
 * one.
 *
 * Checkpoint: never.
 * Returns:    0 with the socket in *ret_datagram, or with a sentence
 *   what weir_address_parse() returns
 *   -EADDRINUSE  the address is taken; other errno values as bind(2)
 *   -EMFILE      no descriptor is free (or -ENFILE)
 *   -ENOMEM      no memory
 * Ownership:  the caller closes *ret_datagram with weir_datagram_close().
 * Thread:     a task; the socket belongs to its loop.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2, 3)
int weir_datagram_open_opt(const char *address, weir_datagram **ret_datagram,
                           const weir_datagram_opts *opts);

/* Have one peer: only its datagrams are received, and errors that it reports are told:
 * -ECONNREFUSED, by the next call, when nobody is there.
 *
 * Checkpoint: always, for a name is looked up.
 * Returns:    0, or what weir_resolve() returns for a name, or errno values as
 *   connect(2): -EAFNOSUPPORT when the socket is of another family
 * Ownership:  takes nothing.
 * Thread:     a task of the loop that owns d.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_datagram_connect(weir_datagram *d, const char *address);

/* The address that a socket is bound to.
 *
 * Checkpoint: never.
 * Returns:    the address.
 * Ownership:  takes nothing.
 * Thread:     a task of the loop that owns d.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) weir_address weir_datagram_address(const weir_datagram *d);

/* A datagram that was received, or is to be sent. */
typedef struct weir_packet {
    void *data;
    size_t room;       /* to receive: how much data holds */
    size_t len;        /* received, or to send */
    bool truncated;    /* received: it was longer than room */
    weir_address peer; /* received: who sent it. To send: to whom; none: the peer that
                          the socket is connected to */
} weir_packet;

/* Wait for a datagram.
 *
 * Checkpoint: always.
 * Returns:    1 with len, truncated and peer set (len may be 0: empty ones exist); 0
 *   when the task is asked to drain (weir_stopping()) and none was there; or
 *   -ETIMEDOUT     the scope's deadline passed; nothing is lost
 *   -ECANCELED     the scope was cancelled; nothing is lost
 *   -ECONNREFUSED  the peer that it is connected to says that nobody is there
 *   -EBUSY         another task is receiving
 * Ownership:  fills the caller's data.
 * Thread:     a task of the loop that owns d.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_datagram_recv(weir_datagram *d, weir_packet *packet);

/* Wait for a datagram, and take those that are there with it, by one call of the
 * kernel: up to count, at most 64.
 *
 * Checkpoint: always.
 * Returns:    how many were received; else as weir_datagram_recv()
 * Ownership:  fills the caller's data.
 * Thread:     a task of the loop that owns d.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_datagram_recv_many(weir_datagram *d, weir_packet *packets, size_t count);

/* Send a datagram; waits while the kernel's buffer is full.
 *
 * Checkpoint: always.
 * Returns:    0 (it was given to the network, which may lose it), or
 *   -EMSGSIZE      it is too large to be sent in one piece
 *   -EDESTADDRREQ  no peer is given, and the socket has none
 *   -ECONNREFUSED  the peer has said that nobody is there
 *   other errno values as send(2)
 *   -ETIMEDOUT     the scope's deadline passed; it was not sent
 *   -ECANCELED     the scope was cancelled; it was not sent
 *   -EBUSY         another task is sending
 * Ownership:  data is the caller's again when the call returns.
 * Thread:     a task of the loop that owns d.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1)
int weir_datagram_send(weir_datagram *d, weir_str data, const weir_address *peer);

/* Send several, at most 64 by one call of the kernel.
 *
 * Checkpoint: always.
 * Returns:    how many were sent, from the first on (at least 1); or, when the first
 *   can't be, as weir_datagram_send()
 * Ownership:  the packets are the caller's again when the call returns.
 * Thread:     a task of the loop that owns d.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2)
int weir_datagram_send_many(weir_datagram *d, const weir_packet *packets, size_t count);

/* Close a socket; the file of a unix socket goes with it.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  ends d; NULL is fine. No other task may be inside a call on d.
 * Thread:     a task of the loop that owns d.
 * Since:      0.1 */
WEIR_API void weir_datagram_close(weir_datagram *d);

WEIR_END

#endif
