/* TLS 1.3 connections to one server: made and ended one after the other, to see what a handshake
 * costs the server in CPU time, or made and held, to see what an idle one keeps of its memory.
 *
 *     tls_load full|resumed PORT SECONDS PID    {"handshakes": N, "cpu_ns": N}
 *     tls_load hold PORT CONNECTIONS            {"held": N}, until the standard input ends
 *
 * Why not `openssl s_time`: it resumes no session of TLS 1.3, whose ticket comes after the
 * handshake. Each connection is verified to be what was asked for: 1.3, resumed or not. A held one
 * has had one answer over HTTP/1.1. */
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

static const char request[] = "GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n";
static SSL_SESSION *ticket; /* the latest */

static void die(const char *what)
{
    fprintf(stderr, "tls_load: %s\n", what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* CPU time that all threads of the process have had, in nanoseconds. */
static uint64_t process_cpu_ns(const char *pid)
{
    char path[320];
    uint64_t sum = 0;
    struct dirent *entry;
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%s/task", pid);
    tasks = opendir(path);
    if (!tasks)
        die("no such process");
    while ((entry = readdir(tasks)) != NULL) {
        unsigned long long spent;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%s/task/%s/schedstat", pid, entry->d_name);
        f = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (f && fscanf(f, "%llu", &spent) == 1)
            sum += spent;
        if (f)
            fclose(f);
    }
    closedir(tasks);
    return sum;
}

static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(ticket);
    ticket = session;
    return 1;
}

static SSL_CTX *context_new(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        !SSL_CTX_set1_groups_list(context, "X25519"))
        die("no TLS");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_ticket);
    return context;
}

static SSL *dial(SSL_CTX *context, unsigned port, SSL_SESSION *session)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    SSL *ssl = SSL_new(context);

    if (fd < 0 || !ssl || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("it can't be connected to");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    SSL_set_fd(ssl, fd);
    SSL_set_tlsext_host_name(ssl, "localhost");
    if (session) { /* a copy: one of TLS 1.3 is used once */
        SSL_SESSION *copy = SSL_SESSION_dup(session);

        SSL_set_session(ssl, copy);
        SSL_SESSION_free(copy);
    }
    if (SSL_connect(ssl) != 1)
        die("the handshake has failed");
    if ((session != NULL) != (SSL_session_reused(ssl) == 1))
        die(session ? "a session was not resumed" : "a session was resumed");
    return ssl;
}

/* One answer, behind which the tickets of the handshake have come as well. */
static void ask(SSL *ssl)
{
    char answer[4096];
    size_t used = 0;

    if (SSL_write(ssl, request, sizeof request - 1) <= 0)
        die("no request could be sent");
    for (;;) {
        int n = SSL_read(ssl, answer + used, (int)(sizeof answer - 1 - used));

        if (n <= 0)
            die("no answer came");
        used += (size_t)n;
        answer[used] = '\0';
        if (strstr(answer, "\r\n\r\nHello, World!"))
            return;
    }
}

static void hang_up(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);

    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

static void handshakes(SSL_CTX *context, unsigned port, double seconds, const char *pid,
                       bool resumed)
{
    SSL_SESSION *session = NULL;
    uint64_t end, cpu, count = 0;
    SSL *first = dial(context, port, NULL);

    ask(first);
    hang_up(first);
    if (resumed) {
        session = ticket;
        ticket = NULL;
        if (!session)
            die("the server has sent no ticket");
    }
    cpu = process_cpu_ns(pid);
    for (end = now_ns() + (uint64_t)(seconds * 1e9); now_ns() < end; count++)
        hang_up(dial(context, port, session));
    cpu = process_cpu_ns(pid) - cpu;
    printf("{\"handshakes\": %llu, \"cpu_ns\": %llu}\n", (unsigned long long)count,
           (unsigned long long)cpu);
}

static void hold(SSL_CTX *context, unsigned port, unsigned long connections)
{
    for (unsigned long i = 0; i < connections; i++)
        ask(dial(context, port, NULL)); /* held until the process ends */
    printf("{\"held\": %lu}\n", connections);
    fflush(stdout);
    while (getchar() != EOF)
        ;
}

int main(int argc, char **argv)
{
    unsigned port = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;

    if (argc == 5 && (strcmp(argv[1], "full") == 0 || strcmp(argv[1], "resumed") == 0)) {
        handshakes(context_new(), port, strtod(argv[3], NULL), argv[4], argv[1][0] == 'r');
    } else if (argc == 4 && strcmp(argv[1], "hold") == 0) {
        hold(context_new(), port, strtoul(argv[3], NULL, 10));
    } else {
        fprintf(stderr, "usage: tls_load full|resumed PORT SECONDS PID\n"
                        "       tls_load hold PORT CONNECTIONS\n");
        return 2;
    }
    return 0;
}
