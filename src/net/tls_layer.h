/* TLS on a file: between the operations of its owner, which are of plain text, and the
 * backend.
 *
 * The file is attached, and connected, before it gets the layer; from then on its
 * operations, shutdown, reset and detach mean the plain stream, with the contract of
 * rt/backend.h:
 *
 *   receive   ends with plain bytes; with 0 when the peer has said that it is done
 *             (close_notify), with WEIR_ETRUNCATED when it closed without a word
 *   send      ends when the kernel has the last record of it. One that is cancelled has
 *             moved what was put into records; the layer goes on to send these
 *   shutdown  sends close_notify behind what was sent, then closes our half
 *   detach    says close_notify if it can be said at once, unless the stream was reset, has
 *             failed, or has a record cut short; the layer awaits its own operations
 *
 * The handshake begins with the first receive or send, and goes on while the loop turns;
 * operations wait for its end, and fail with it. A send of no bytes waits for just that.
 * The layer has no timers: whoever owns the file bounds the wait. */
#ifndef NET_TLS_LAYER_H
#define NET_TLS_LAYER_H

#include <openssl/ssl.h>

#include <weir/str.h>
#include <weir/tls.h>

#include "rt/rt.h"

struct tls_context;

/* 0, or -ENOMEM and the file is as it was. The context is kept while the layer lives. */
int tls_layer_accept(struct loop *loop, struct io_file *file, struct tls_context *context);
/* host and port: whom the certificate must be for, as for tls_context_expect(). The
 * context must be prepared. Also -EINVAL: host is no name. */
int tls_layer_connect(struct loop *loop, struct io_file *file, struct tls_context *context,
                      weir_str host, uint16_t port);

/* The same for a connection that is made already, with its state set; ssl is taken over,
 * also on failure. NULL: -ENOMEM. */
int tls_layer_set(struct loop *loop, struct io_file *file, SSL *ssl);

/* Has the file this layer? */
bool tls_layer_is(const struct io_file *file);
/* Is the handshake over? */
bool tls_layer_done(const struct io_file *file);
/* The protocol that was agreed on (RFC 7301): "h2", "http/1.1"; absent: none. It
 * lives as long as the layer. */
weir_str tls_layer_alpn(const struct io_file *file);
/* "TLSv1.3"; and the cipher suite's name. */
weir_str tls_layer_version(const struct io_file *file);
weir_str tls_layer_cipher(const struct io_file *file);
/* The name that the client asked for; absent: none. */
weir_str tls_layer_server_name(const struct io_file *file);
/* Was an earlier session resumed? */
bool tls_layer_resumed(const struct io_file *file);
/* All of these: 1; 0 when the handshake is not over, or the file has no such layer. */
int tls_layer_info(const struct io_file *file, weir_tls_info *ret_info);
/* As tls_peer_read(). */
int tls_layer_peer(const struct io_file *file, struct arena *arena, weir_tls_peer *ret_peer);
/* Why the stream failed, in words: "the certificate has expired 3 days ago (2026-…)".
 * Absent: it has not, or the kernel's error says it all. */
weir_str tls_layer_failure(const struct io_file *file);

#endif
