/* Load for one server: keeps a number of keep-alive connections busy, one request at a time on
 * each (with --pipeline, so many at once, and the next when all are answered), and reports what one request cost the server in CPU time.
 *
 * Why not a finished one: the cost is wanted in a window that lies inside the load, so requests and
 * the server's CPU time (/proc/PID/task/.../schedstat, user and system together, all threads) are
 * read at the same two moments; what happens while connections open or end is left out. Every
 * answer must be a 200 whose body equals the first one (of a body that is larger than what is
 * kept here, only its length is looked at); all others are counted, over the whole
 * run, as are connections that fail and requests that take longer than the limit. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    ANSWER_MAX = 32768,
    PIPELINE_MAX = 64,
    EVENTS_MAX = 256,
    SLOW_SECONDS = 10,
    WARM_SECONDS_MAX = 30,
    BUCKETS = 64 * 16, /* latencies: 16 to each power of two of nanoseconds */
};

struct conn {
    int fd;
    uint64_t sent_ns;
    unsigned awaited; /* answers */
    size_t skip;      /* what is left of a large body */
    size_t used;
    char in[ANSWER_MAX];
};

struct load {
    unsigned port, connections, pid, pipeline;
    double seconds, warmup;
    const char *path, *save;
    int epoll;
    struct conn *conns;
    char request[PIPELINE_MAX * 256]; /* as often as is sent at once */
    size_t request_len;
    char *body; /* the first answer's */
    size_t body_len;
    uint64_t requests, failed, refused, differing, slow;
    uint64_t latency[BUCKETS];
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* CPU time that all threads of the process have had, in nanoseconds. */
static uint64_t process_cpu_ns(unsigned pid)
{
    char path[320];
    uint64_t sum = 0;
    struct dirent *entry;
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%u/task", pid);
    tasks = opendir(path);
    if (!tasks)
        die(path);
    while ((entry = readdir(tasks)) != NULL) {
        unsigned long long spent;
        FILE *f;

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%u/task/%s/schedstat", pid, entry->d_name);
        f = fopen(path, "re");
        if (f && fscanf(f, "%llu", &spent) == 1)
            sum += spent;
        if (f)
            fclose(f);
    }
    closedir(tasks);
    return sum;
}

static bool conn_send(struct load *l, struct conn *c, uint64_t now)
{
    c->used = c->skip = 0;
    c->awaited = l->pipeline;
    c->sent_ns = now;
    return send(c->fd, l->request, l->request_len, MSG_NOSIGNAL) == (ssize_t)l->request_len;
}

static void conn_open(struct load *l, struct conn *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)l->port) };
    struct epoll_event want = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = c };
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &want) < 0)
        die("connection");
}

static void conn_again(struct load *l, struct conn *c, uint64_t now)
{
    close(c->fd);
    conn_open(l, c);
    if (!conn_send(l, c, now))
        l->failed++; /* found again as slow */
}

/* The value of Content-Length in the head that ends at end, or -1. */
static long head_content_length(const char *head, const char *end)
{
    const char *line = head;

    while ((line = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        line++;
        if ((*line | 0x20) == 'c' && strncasecmp(line, "content-length:", 15) == 0)
            return strtol(line + 15, NULL, 10);
    }
    return -1;
}

struct answer {
    const char *head, *body;
    size_t head_len, body_len;
};

/* Whether an answer is there, or at least the head of a large one. Returns 1, 0 for not yet, -1
 * for no answer that this program understands. */
static int conn_answer(const char *in, size_t len, struct answer *ret)
{
    const char *end = memmem(in, len, "\r\n\r\n", 4);
    long body_len;

    if (!end)
        return len < ANSWER_MAX - 1 ? 0 : -1;
    ret->head = in;
    ret->head_len = (size_t)(end - in) + 4;
    ret->body = in + ret->head_len;
    body_len = head_content_length(in, end + 2);
    if (body_len < 0 || ret->head_len >= ANSWER_MAX / 2)
        return -1;
    ret->body_len = (size_t)body_len;
    return ret->body_len >= ANSWER_MAX / 2 || len - ret->head_len >= ret->body_len;
}

static void load_keep_sample(struct load *l, const char *body, size_t body_len)
{
    FILE *f;

    l->body = malloc(body_len + 1);
    if (!l->body)
        die("memory");
    memcpy(l->body, body, body_len);
    l->body_len = body_len;
    if (!l->save)
        return;
    f = fopen(l->save, "we");
    if (!f || fwrite(body, 1, body_len, f) != body_len || fclose(f) != 0)
        die(l->save);
}

static unsigned latency_bucket(uint64_t ns)
{
    unsigned log2 = 63u - (unsigned)__builtin_clzll(ns | 16);

    return log2 * 16 + (unsigned)(ns >> (log2 - 4) & 15);
}

static double latency_us(const struct load *l, double share)
{
    uint64_t want = (uint64_t)((double)l->requests * share), seen = 0;

    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += l->latency[i];
        if (seen > want)
            return (double)((16ull + i % 16) << (i / 16 - 4)) / 1000.0;
    }
    return 0;
}

static void load_count(struct load *l, const struct answer *a)
{
    bool large = a->body_len >= ANSWER_MAX / 2;

    if (a->head_len < 12 || memcmp(a->head, "HTTP/1.1 200", 12) != 0) {
        l->refused++;
        return;
    }
    if (!l->body)
        load_keep_sample(l, a->body, large ? 0 : a->body_len);
    if (!large && (a->body_len != l->body_len || memcmp(a->body, l->body, a->body_len) != 0))
        l->differing++;
}

static void load_answered(struct load *l, struct conn *c, uint64_t now)
{
    c->awaited--;
    l->requests++;
    l->latency[latency_bucket(now - c->sent_ns)]++;
}

/* Take the answers that are there; false when there is something else. */
static bool conn_take(struct load *l, struct conn *c, uint64_t now)
{
    struct answer a;
    size_t at = 0;
    int rc = 1;

    while (rc > 0 && c->awaited > 0) {
        size_t len = c->used - at, whole;

        if (c->skip > 0) {
            whole = c->skip < len ? c->skip : len;
            c->skip -= whole;
            at += whole;
            rc = c->skip == 0;
            if (rc > 0)
                load_answered(l, c, now);
            continue;
        }
        rc = conn_answer(c->in + at, len, &a);
        if (rc <= 0)
            break;
        load_count(l, &a);
        whole = a.head_len + a.body_len;
        if (whole > len) {
            c->skip = whole - len;
            at = c->used;
            break;
        }
        at += whole;
        load_answered(l, c, now);
    }
    c->used -= at;
    memmove(c->in, c->in + at, c->used);
    return rc >= 0 && (c->awaited > 0 || c->used == 0);
}

static void conn_ready(struct load *l, struct conn *c, uint64_t now)
{
    for (;;) {
        size_t room = ANSWER_MAX - 1 - c->used;
        ssize_t n = recv(c->fd, c->in + c->used, room, 0);

        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            break;
        c->used += (size_t)n;
        if (!conn_take(l, c, now))
            break;
        if (c->awaited == 0 && !conn_send(l, c, now))
            break;
        if ((size_t)n < room)
            return;
    }
    l->failed++;
    conn_again(l, c, now);
}

/* Counts and replaces connections whose answer is overdue. */
static void load_find_slow(struct load *l, uint64_t now)
{
    for (unsigned i = 0; i < l->connections; i++)
        if (now - l->conns[i].sent_ns > SLOW_SECONDS * 1000000000ull) {
            l->slow++;
            conn_again(l, &l->conns[i], now);
        }
}

static void load_run_until(struct load *l, uint64_t end)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t looked = now_ns(), now;

    while ((now = now_ns()) < end) {
        int n = epoll_wait(l->epoll, events, EVENTS_MAX, (int)((end - now) / 1000000 + 1));

        now = now_ns();
        for (int i = 0; i < n; i++)
            conn_ready(l, events[i].data.ptr, now);
        if (now - looked > 1000000000u) {
            load_find_slow(l, now);
            looked = now;
        }
    }
}

static void load_start(struct load *l)
{
    for (unsigned i = 0; i < l->pipeline && l->request_len < sizeof l->request; i++)
        l->request_len += (size_t)snprintf(
            l->request + l->request_len, sizeof l->request - l->request_len,
            "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", l->path, l->port);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->conns = calloc(l->connections, sizeof *l->conns);
    if (l->epoll < 0 || !l->conns || l->request_len >= sizeof l->request)
        die("start");
    for (unsigned i = 0; i < l->connections; i++)
        conn_open(l, &l->conns[i]);
    for (unsigned i = 0; i < l->connections; i++)
        if (!conn_send(l, &l->conns[i], now_ns()))
            die("first request");
}

/* Runs for the time asked, and on until each connection has had two answers on average: before
 * that the server still opens what it will keep. */
static void load_warm_up(struct load *l)
{
    uint64_t start = now_ns(), end = start + (uint64_t)(l->warmup * 1e9);

    load_run_until(l, end);
    while (l->requests < 2ull * l->connections) {
        if (now_ns() - start > WARM_SECONDS_MAX * 1000000000ull) {
            fprintf(stderr, "load: %llu answers to %u connections in %d s: too slow to measure\n",
                    (unsigned long long)l->requests, l->connections, WARM_SECONDS_MAX);
            exit(1);
        }
        end += 100000000;
        load_run_until(l, end);
    }
}

static void load_measure(struct load *l)
{
    uint64_t start, cpu, own;
    double seconds, busy;

    load_warm_up(l);
    l->requests = 0;
    memset(l->latency, 0, sizeof l->latency);
    start = now_ns();
    cpu = process_cpu_ns(l->pid);
    own = process_cpu_ns((unsigned)getpid());
    load_run_until(l, start + (uint64_t)(l->seconds * 1e9));
    cpu = process_cpu_ns(l->pid) - cpu;
    own = process_cpu_ns((unsigned)getpid()) - own;
    seconds = (double)(now_ns() - start) / 1e9;
    busy = (double)own / 1e9 / seconds;
    printf("{\"requests\": %llu, \"seconds\": %.3f, \"cpu_ns\": %llu, \"failed\": %llu, "
           "\"refused\": %llu, \"differing\": %llu, \"slow\": %llu, \"p50_us\": %.0f, "
           "\"p99_us\": %.0f, \"load_busy\": %.2f}\n",
           (unsigned long long)l->requests, seconds, (unsigned long long)cpu,
           (unsigned long long)l->failed, (unsigned long long)l->refused,
           (unsigned long long)l->differing, (unsigned long long)l->slow, latency_us(l, 0.5),
           latency_us(l, 0.99), busy);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' },
        { "path", required_argument, NULL, 'u' },
        { "connections", required_argument, NULL, 'c' },
        { "seconds", required_argument, NULL, 's' },
        { "warmup", required_argument, NULL, 'w' },
        { "pid", required_argument, NULL, 'i' },
        { "save", required_argument, NULL, 'o' },
        { "pipeline", required_argument, NULL, 'n' },
        { NULL, 0, NULL, 0 },
    };
    struct load l = { .pipeline = 1, .connections = 64, .seconds = 3, .warmup = 1, .path = "/" };
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (opt) {
        case 'p': l.port = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'u': l.path = optarg; break;
        case 'c': l.connections = (unsigned)strtoul(optarg, NULL, 10); break;
        case 's': l.seconds = strtod(optarg, NULL); break;
        case 'w': l.warmup = strtod(optarg, NULL); break;
        case 'i': l.pid = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'o': l.save = optarg; break;
        case 'n': l.pipeline = (unsigned)strtoul(optarg, NULL, 10); break;
        default: return 2;
        }
    }
    if (l.port == 0 || l.pid == 0 || l.connections == 0 || l.pipeline == 0 ||
        l.pipeline > PIPELINE_MAX) {
        fprintf(stderr, "usage: load --port PORT --pid PID [--path PATH] [--connections N]\n"
                        "            [--seconds S] [--warmup S] [--save FILE] [--pipeline N]\n");
        return 2;
    }
    load_start(&l);
    load_measure(&l);
    return 0;
}
