/* TLS contexts: what the connections of one server, or of one client, have in common.
 *
 * A context holds what its files say in a `tls_state` (an SSL_CTX and what belongs to it).
 * A reload makes a new one off the loop and puts it in the place of the old one; connections that
 * have begun keep the one they began with.
 *
 * Thread: any, but for what is said to be for tasks. */
#ifndef NET_TLS_CONTEXT_H
#define NET_TLS_CONTEXT_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include <weir/tls.h>

struct arena;
struct tls_context;

/* Make a context, whose reference is the caller's. In a task the files are read on the pool for
 * files, which makes it a checkpoint; before the loops run, here. Returns 0, or, with a sentence
 * that names the file and what to do,
 *   -ENOENT, -EACCES ...  a file can't be read
 *   WEIR_ECONFIG          what it holds can't be used
 *   -EINVAL               an option
 *   -ENOMEM               no memory */
int tls_context_server(const weir_tls_server_opts *opts, struct tls_context **ret_context);
/* The same for clients; but the CAs are read by tls_context_prepare(). */
int tls_context_client(const weir_tls_client_opts *opts, struct tls_context **ret_context);
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* NULL is fine */

/* Read what a client's context needs, if that has not been done: 0 at once then. Before its first
 * connection; in a task it is a checkpoint. Fails as tls_context_client(). */
int tls_context_prepare(struct tls_context *context);
bool tls_context_is_prepared(struct tls_context *context);

/* A new connection, with the accept or connect state set; its input and output are the caller's to
 * give. NULL without memory, and of a client's context that is not prepared. It keeps what it needs
 * of the context. */
SSL *tls_context_new(struct tls_context *context);

/* Of a client's connection: the name that is asked for and that the peer's certificate must have
 * (or the address, which is not asked for), and a session to resume, if one is kept for this host
 * and port. Before the handshake. 0, -EINVAL for what is no name, or -ENOMEM. */
int tls_context_expect(struct tls_context *context, SSL *ssl, weir_str host, uint16_t port);

/* Read the files again. 0, or a failure as of tls_context_server(): then what was there stays in
 * use. In a task it is a checkpoint. */
int tls_context_reload(struct tls_context *context);

/* A task's function: reload whenever a file has changed, until the task is asked to drain (0) or
 * cancelled; arg is the context, which must outlive it. What reloads say goes to the log. */
int tls_context_watch(void *context);
/* Is that asked for, by .watch? */
bool tls_context_is_watched(const struct tls_context *context);
/* If so, have a task of the application's do it, with a reference, until the loop drains. In a
 * task. */
void tls_context_follow(struct tls_context *context);
/* For that: the files that are read, one after the other; NULL behind the last. */
const char *tls_context_path(const struct tls_context *context, size_t at);
/* Have they changed since they were last read? On a thread that may block. */
bool tls_context_is_stale(struct tls_context *context);

/* Whom the peer's verified certificate names: 1; 0 when it has shown none (or none was verified);
 * -ENOMEM. The texts are the arena's. */
int tls_peer_read(const SSL *ssl, struct arena *arena, weir_tls_peer *ret_peer);

#endif
