#include "support/tls_far.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void tls_far_open(struct tls_far *far, SSL *ssl, int fd)
{
    *far = (struct tls_far){ .ssl = ssl, .fd = fd };
    far->in = BIO_new(BIO_s_mem());
    far->out = BIO_new(BIO_s_mem());
    if (!ssl || !far->in || !far->out)
        abort();
    BIO_set_mem_eof_return(far->in, -1);
    SSL_set_bio(ssl, far->in, far->out);
}

void tls_far_close(struct tls_far *far)
{
    SSL_free(far->ssl);
    if (far->fd >= 0)
        close(far->fd);
    far->ssl = NULL;
    far->fd = -1;
}

bool tls_far_move(struct tls_far *far, size_t most)
{
    char bytes[16384];
    size_t n = most < sizeof(bytes) ? most : sizeof(bytes), before = far->sent + far->got;
    ssize_t moved;
    char *from;
    long have = BIO_get_mem_data(far->out, &from);

    if (far->fd < 0)
        return false;
    if (have > 0) {
        moved = send(far->fd, from, (size_t)have < n ? (size_t)have : n,
                     MSG_NOSIGNAL | MSG_DONTWAIT);
        if (moved > 0) {
            BIO_read(far->out, bytes, (int)moved);
            far->sent += (size_t)moved;
        }
    }
    moved = recv(far->fd, bytes, n, MSG_DONTWAIT);
    if (moved > 0) {
        BIO_write(far->in, bytes, (int)moved);
        far->got += (size_t)moved;
    } else if (moved == 0) {
        far->ended = true;
    }
    return far->sent + far->got != before;
}
