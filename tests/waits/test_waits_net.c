/* Streams of each kind, datagrams, names, and child processes: no byte is lost, no
 * descriptor and no child is left. */
#include "waits/waits.h"

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/datagram.h>
#include <weir/dns.h>
#include <weir/process.h>
#include <weir/stream.h>

#include "support/dns_peer.h"

enum kind { PAIR, TCP, UNIX };

static enum kind kinds[] = { PAIR, TCP, UNIX };

/* ---- streams ------------------------------------------------------------------------------- */

struct ends {
    weir_stream *one, *other;
    weir_listener *listener;
    char address[64];
    size_t got, sent;
};

static void listen_at(struct ends *e, enum kind kind)
{
    *e = (struct ends){ 0 };
    snprintf(e->address, sizeof(e->address), "unix:@weir-waits-%d", (int)getpid());
    CHECK_INT(weir_listen(kind == UNIX ? e->address : "127.0.0.1:0", &e->listener), 0);
    if (kind == TCP)
        snprintf(e->address, sizeof(e->address), "127.0.0.1:%u", weir_listener_port(e->listener));
}

static int accept_other(void *arg)
{
    struct ends *e = arg;

    return weir_accept(e->listener, &e->other);
}

static void ends_open(struct ends *e, enum kind kind)
{
    if (kind == PAIR) {
        *e = (struct ends){ 0 };
        CHECK_INT(weir_stream_pair(&e->one, &e->other), 0);
        return;
    }
    listen_at(e, kind);
    WEIR_SCOPE(s) {
        weir_go(s, accept_other, e);
        CHECK_INT(weir_stream_connect(e->address, &e->one), 0);
        CHECK_INT(weir_join(s), 0);
    }
}

static int ends_close(struct ends *e)
{
    weir_stream_close(e->one);
    weir_stream_close(e->other);
    weir_listener_close(e->listener);
    return 0;
}

static int accept_one(void *arg)
{
    weir_stream *stream;
    int rc = weir_accept(arg, &stream);

    if (rc > 0)
        weir_stream_close(stream);
    return rc;
}

static int connect_later(void *arg)
{
    struct ends *e = arg;

    CHECK_INT(weir_sleep_ms(1), 0);
    return weir_stream_connect(e->address, &e->one);
}

/* A connection that came is accepted by the next who asks. */
static int accept_(void *arg)
{
    struct ends e;

    listen_at(&e, *(enum kind *)arg);
    WEIR_SCOPE(s) {
        weir_go(s, connect_later, &e);
        if (gave_up(SWEPT(weir_accept(e.listener, &e.other)))) {
            CHECK(e.other == NULL);
            CHECK_INT(weir_accept(e.listener, &e.other), 1);
        }
        CHECK_INT(weir_join(s), 0);
    }
    return ends_close(&e);
}

static int connect_(void *arg)
{
    struct ends e;
    bool up;

    listen_at(&e, *(enum kind *)arg);
    WEIR_SCOPE(s) {
        weir_go(s, accept_one, e.listener, .optional = true);
        up = gave_up(SWEPT(weir_stream_connect(e.address, &e.one)));
        CHECK(up == (e.one == NULL));
        if (up) /* the one that was given up may have arrived; or this one does */
            CHECK_INT(weir_stream_connect(e.address, &e.one), 0);
        CHECK_INT(weir_join(s), 0);
    }
    return ends_close(&e);
}

static int say_later(void *arg)
{
    struct ends *e = arg;

    CHECK_INT(weir_sleep_ms(1), 0);
    CHECK_INT(weir_stream_write(e->other, WEIR_S("ping")), 4);
    return weir_stream_flush(e->other);
}

static int read_(void *arg)
{
    struct ends e;
    weir_str data = { 0 };

    ends_open(&e, *(enum kind *)arg);
    WEIR_SCOPE(s) {
        weir_go(s, say_later, &e);
        if (gave_up(SWEPT(weir_stream_read(e.one, &data))))
            CHECK_INT(weir_stream_read(e.one, &data), 4);
        CHECK(weir_str_eq(data, WEIR_S("ping")));
        CHECK_INT(weir_join(s), 0);
    }
    return ends_close(&e);
}

#define MUCH (16u << 20)

static char much[MUCH];

static void fill(void)
{
    for (size_t i = 0; i < sizeof(much); i++)
        much[i] = (char)(i * 31 >> 3);
}

/* What comes is what was written, from the first byte on. */
static int read_all_later(void *arg)
{
    struct ends *e = arg;
    weir_str data;
    ssize_t n;

    CHECK_INT(weir_sleep_ms(1), 0);
    while ((n = weir_stream_read(e->other, &data)) > 0) {
        CHECK(e->got + (size_t)n <= MUCH);
        CHECK(memcmp(much + e->got, data.ptr, (size_t)n) == 0);
        e->got += (size_t)n;
    }
    return (int)n;
}

/* A write says how much it took; all of that arrives, and nothing else. */
static int write_(void *arg)
{
    struct ends e;

    ends_open(&e, *(enum kind *)arg);
    WEIR_SCOPE(s) {
        ssize_t n;

        weir_go(s, read_all_later, &e);
        n = SWEPT(weir_stream_write(e.one, weir_str_from(much, MUCH)));
        if (n > 0 && n < (ssize_t)MUCH)
            CHECK(sweep_hit());
        e.sent = gave_up(n) ? 0 : (size_t)n;
        CHECK_INT(weir_stream_shutdown(e.one), 0);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(e.got, e.sent);
    return ends_close(&e);
}

/* Small writes that are copied, until the kernel is full and the stream is: given up
 * in the flush, all arrive still. */
static void fill_chain(struct ends *e)
{
    for (int still = 0; still < 3; still++) {
        ssize_t n;

        while ((n = weir_stream_try_write(e->one, weir_str_from(much + e->sent, 4096))) > 0) {
            e->sent += (size_t)n;
            CHECK(e->sent + 4096 <= MUCH);
            still = 0;
        }
        CHECK_INT(n, 0);
        CHECK_INT(weir_sleep_ms(1), 0);
    }
}

static int flush_(void *arg)
{
    struct ends e;

    ends_open(&e, *(enum kind *)arg);
    fill_chain(&e);
    WEIR_SCOPE(s) {
        weir_go(s, read_all_later, &e);
        gave_up(SWEPT(weir_stream_flush(e.one)));
        CHECK_INT(weir_stream_shutdown(e.one), 0);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(e.got, e.sent);
    return ends_close(&e);
}

static int shutdown_(void *arg)
{
    struct ends e;

    ends_open(&e, *(enum kind *)arg);
    fill_chain(&e);
    WEIR_SCOPE(s) {
        weir_go(s, read_all_later, &e);
        if (gave_up(SWEPT(weir_stream_shutdown(e.one))))
            CHECK_INT(weir_stream_shutdown(e.one), 0);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(e.got, e.sent);
    return ends_close(&e);
}

/* ---- datagrams ------------------------------------------------------------------------------ */

struct sockets {
    weir_datagram *one, *other;
};

static void sockets_open(struct sockets *d)
{
    CHECK_INT(weir_datagram_open("127.0.0.1:0", &d->one, .recv_buffer_bytes = 65536), 0);
    CHECK_INT(weir_datagram_open("127.0.0.1:0", &d->other), 0);
}

static int sockets_close(struct sockets *d)
{
    weir_datagram_close(d->one);
    weir_datagram_close(d->other);
    return 0;
}

static int datagram_later(void *arg)
{
    struct sockets *d = arg;
    weir_address to = weir_datagram_address(d->one);

    CHECK_INT(weir_sleep_ms(1), 0);
    return weir_datagram_send(d->other, WEIR_S("ping"), &to);
}

static int datagram_recv(void *arg)
{
    char data[16];
    weir_packet packet = { .data = data, .room = sizeof(data) };
    struct sockets d;

    (void)arg;
    sockets_open(&d);
    WEIR_SCOPE(s) {
        weir_go(s, datagram_later, &d);
        if (gave_up(SWEPT(weir_datagram_recv(d.one, &packet))))
            CHECK_INT(weir_datagram_recv(d.one, &packet), 1);
        CHECK_INT(packet.len, 4);
        CHECK_INT(weir_join(s), 0);
    }
    return sockets_close(&d);
}

static int datagram_recv_many(void *arg)
{
    char data[2][16];
    weir_packet packets[] = { { .data = data[0], .room = 16 }, { .data = data[1], .room = 16 } };
    struct sockets d;

    (void)arg;
    sockets_open(&d);
    WEIR_SCOPE(s) {
        weir_go(s, datagram_later, &d);
        if (gave_up(SWEPT(weir_datagram_recv_many(d.one, packets, 2))))
            CHECK_INT(weir_datagram_recv_many(d.one, packets, 2), 1);
        CHECK_INT(packets[0].len, 4);
        CHECK_INT(weir_join(s), 0);
    }
    return sockets_close(&d);
}

/* A unix socket's queue is the receiver's, and short: the sender waits for room. */
struct full {
    struct sockets d;
    weir_address to;
    int queued, got;
};

static void full_open(struct full *f)
{
    char address[64];
    ssize_t rc;

    *f = (struct full){ 0 };
    snprintf(address, sizeof(address), "unix:@weir-waits-%d-in", (int)getpid());
    CHECK_INT(weir_datagram_open(address, &f->d.one), 0);
    f->to = weir_datagram_address(f->d.one);
    snprintf(address, sizeof(address), "unix:@weir-waits-%d-out", (int)getpid());
    CHECK_INT(weir_datagram_open(address, &f->d.other), 0);
    do {
        WEIR_SCOPE(soon, .timeout_ms = 2)
            rc = weir_datagram_send(f->d.other, WEIR_S("x"), &f->to);
        f->queued += rc == 0;
    } while (rc == 0 && f->queued < 10000);
    CHECK_INT(rc, -ETIMEDOUT);
    weir_recover();
}

static int drain_later(void *arg)
{
    struct full *f = arg;
    char data[16];
    weir_packet packet = { .data = data, .room = sizeof(data) };

    CHECK_INT(weir_sleep_ms(1), 0);
    while (f->got < f->queued) {
        CHECK_INT(weir_datagram_recv(f->d.one, &packet), 1);
        f->got++;
    }
    return 0;
}

static int nothing_further(struct full *f)
{
    char data[16];
    weir_packet packet = { .data = data, .room = sizeof(data) };
    int rc = 0;

    WEIR_SCOPE(soon, .timeout_ms = 1)
        rc = weir_datagram_recv(f->d.one, &packet);
    CHECK_INT(rc, -ETIMEDOUT);
    weir_recover();
    return sockets_close(&f->d);
}

static int datagram_send(void *arg)
{
    char data[16];
    weir_packet packet = { .data = data, .room = sizeof(data) };
    struct full f;

    (void)arg;
    full_open(&f);
    WEIR_SCOPE(s) {
        bool up;

        weir_go(s, drain_later, &f);
        up = gave_up(SWEPT(weir_datagram_send(f.d.other, WEIR_S("last"), &f.to)));
        CHECK_INT(weir_join(s), 0);
        if (!up)
            CHECK_INT(weir_datagram_recv(f.d.one, &packet), 1);
    }
    return nothing_further(&f);
}

static int datagram_send_many(void *arg)
{
    char data[16];
    weir_packet packet = { .data = data, .room = sizeof(data) }, packets[2];
    struct full f;

    (void)arg;
    full_open(&f);
    for (int i = 0; i < 2; i++)
        packets[i] = (weir_packet){ .data = data, .len = 4, .peer = f.to };
    WEIR_SCOPE(s) {
        int n;

        weir_go(s, drain_later, &f);
        n = SWEPT(weir_datagram_send_many(f.d.other, packets, 2));
        CHECK_INT(weir_join(s), 0);
        for (int i = 0; !gave_up(n) && i < n; i++)
            CHECK_INT(weir_datagram_recv(f.d.one, &packet), 1);
    }
    return nothing_further(&f);
}

/* ---- names ---------------------------------------------------------------------------------- */

static struct dns_peer *names;

static int resolve(void *arg)
{
    weir_addresses addresses = { 0 };

    (void)arg;
    if (gave_up(SWEPT(weir_resolve(WEIR_S("here.test"), &addresses))))
        CHECK_INT(weir_resolve(WEIR_S("here.test"), &addresses), 0);
    CHECK_INT(addresses.count, 1);
    CHECK(weir_str_eq(addresses.list[0], WEIR_S("127.0.0.1")));
    return 0;
}

static int datagram_connect(void *arg)
{
    struct sockets d;

    (void)arg;
    sockets_open(&d);
    if (gave_up(SWEPT(weir_datagram_connect(d.one, "here.test:9"))))
        CHECK_INT(weir_datagram_connect(d.one, "here.test:9"), 0);
    return sockets_close(&d);
}

static int connect_by_name(void *arg)
{
    struct ends e;
    char address[64];

    (void)arg;
    listen_at(&e, TCP);
    snprintf(address, sizeof(address), "here.test:%u", weir_listener_port(e.listener));
    WEIR_SCOPE(s) {
        weir_go(s, accept_one, e.listener);
        if (gave_up(SWEPT(weir_stream_connect(address, &e.one))))
            CHECK_INT(weir_stream_connect(address, &e.one), 0);
        CHECK_INT(weir_join(s), 0);
    }
    return ends_close(&e);
}

/* ---- processes ------------------------------------------------------------------------------- */

#define SHELL(command) ((const char *const[]){ "/bin/sh", "-c", command, NULL })

static int open_descriptors(void)
{
    DIR *all = opendir("/proc/self/fd");
    int count = 0;

    CHECK(all);
    while (readdir(all))
        count++;
    closedir(all);
    return count;
}

static int no_children(void)
{
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_INT(errno, ECHILD);
    return 0;
}

static int process_start(void *arg)
{
    weir_process *process = NULL;
    bool up;

    (void)arg;
    up = gave_up(SWEPT(weir_process_start(SHELL("exec sleep 100"), &process, .grace_ms = 100)));
    CHECK(up == (process == NULL));
    weir_process_close(process);
    return no_children();
}

/* At the end of its input the child exits. */
static int end_input_later(void *arg)
{
    CHECK_INT(weir_sleep_ms(1), 0);
    return weir_stream_shutdown(weir_process_stream(arg, 0));
}

static int process_wait(void *arg)
{
    weir_process_exit exit = { .code = -1 };
    weir_process *process;

    (void)arg;
    CHECK_INT(weir_process_start(SHELL("read line; exit 3"), &process, .in = WEIR_STDIO_PIPE), 0);
    WEIR_SCOPE(s) {
        weir_go(s, end_input_later, process);
        if (gave_up(SWEPT(weir_process_wait(process, &exit))))
            CHECK_INT(weir_process_wait(process, &exit), 0);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(exit.code, 3);
    weir_process_close(process);
    return no_children();
}

static int process_run(void *arg)
{
    weir_process_output out = { 0 };

    (void)arg;
    if (!gave_up(SWEPT(weir_process_run(SHELL("cat; echo x >&2"), &out, .input = WEIR_S("abc"))))) {
        CHECK(weir_str_eq(out.out, WEIR_S("abc")));
        CHECK(weir_str_eq(out.err, WEIR_S("x\n")));
    }
    return no_children();
}

#define EACH_KIND(name, run, least)                                            \
    { name ", pair", run, &kinds[PAIR], least }, { name ", TCP", run, &kinds[TCP], least }, \
        { name ", unix", run, &kinds[UNIX], least }

static const struct waiting net[] = {
    { "accept, TCP", accept_, &kinds[TCP], 1 },
    { "accept, unix", accept_, &kinds[UNIX], 1 },
    { "connect, TCP", connect_, &kinds[TCP], 1 },
    { "connect, unix", connect_, &kinds[UNIX], 0 }, /* the kernel connects at once */
    { "connect by name", connect_by_name, NULL, 2 },
    EACH_KIND("read", read_, 1),
    EACH_KIND("write", write_, 1),
    EACH_KIND("flush", flush_, 1),
    EACH_KIND("shutdown", shutdown_, 1),
    { "datagram: receive", datagram_recv, NULL, 1 },
    { "datagram: receive many", datagram_recv_many, NULL, 1 },
    { "datagram: send", datagram_send, NULL, 1 },
    { "datagram: send many", datagram_send_many, NULL, 1 },
    { "datagram: connect", datagram_connect, NULL, 1 },
    { "resolve", resolve, NULL, 1 },
    { "process: start", process_start, NULL, 1 },
    { "process: wait", process_wait, NULL, 1 },
    { "process: run", process_run, NULL, 2 },
};

int main(void)
{
    char servers[32];
    int failed, files;

    fill();
    names = dns_peer_start(servers);
    dns_peer_says(names, "here.test", .ttl_s = 60, .v4 = { "127.0.0.1" });
    if (weir_dns_setup(.servers = servers, .hosts = "", .timeout_ms = 2000, .tries = 1) < 0)
        return 1;
    files = open_descriptors();
    failed = WAITS_RUN(net);
    if (open_descriptors() != files) {
        print_error("%d descriptors before, %d after\n", files, open_descriptors());
        failed++;
    }
    dns_peer_stop(names);
    return failed;
}
