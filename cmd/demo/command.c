/* `weir demo`: ten sample services and the gateway in front of them, in one
 * process, and what to try with them.
 *
 * The gateway is the one of `weir gateway`, with a configuration that could be
 * written to a file and served by it. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/log.h>

#include "base/strbuf.h"
#include "cli.h"
#include "demo/control.h"
#include "gateway/serve.h"

#define DEMO_PORT 8080
#define DEMO_SERVICE_PORT 9001
#define DEMO_LATENCY_MS 20
#define DEMO_JITTER_MS 10

struct demo_command {
    struct serve_settings settings; /* first: the flags of serve.h read into it */
    long port, latency_ms;
    bool print;
};

static bool read_port(void *to, const char *value)
{
    return cli_number(value, 1, 65535, &((struct demo_command *)to)->port);
}

static bool read_latency(void *to, const char *value)
{
    return cli_number(value, 0, SAMPLE_LATENCY_MAX_MS, &((struct demo_command *)to)->latency_ms);
}

static bool read_print(void *to, const char *value)
{
    (void)value;
    return ((struct demo_command *)to)->print = true;
}

/* ---- ports ------------------------------------------------------------------------- */

/* Hold a port of 127.0.0.1: the wanted one, or else any. A descriptor, or -errno. */
static int hold_port(uint16_t wanted, uint16_t *ret_port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(wanted),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
        at.sin_port = 0;
        if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
            close(fd);
            return -errno;
        }
    }
    getsockname(fd, (struct sockaddr *)&at, &len);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

/* A port that was given is taken as it is: if it is not free, the start says so. */
static int choose_ports(struct demo *demo, long given)
{
    uint16_t first = given ? (uint16_t)given : DEMO_PORT, port = 0;
    int fds[SAMPLES + 2], count = 0, rc = 0;

    for (int i = 0; i < SAMPLES + 2 && rc >= 0; i++) {
        uint16_t wanted = i < SAMPLES ? (uint16_t)(DEMO_SERVICE_PORT + i)
                                      : (uint16_t)(first + i - SAMPLES);

        rc = hold_port(wanted, &port);
        if (rc < 0)
            break;
        fds[count++] = rc;
        if (i < SAMPLES)
            demo->samples[i].port = port;
        else if (i == SAMPLES)
            demo->port = given ? first : port;
        else
            demo->admin_port = port;
    }
    while (count > 0)
        close(fds[--count]);
    return rc < 0 ? rc : 0;
}

/* ---- the configuration -------------------------------------------------------------- */

static void add_part(struct strbuf *out, const struct sample_kind *kind)
{
    strbuf_addf(out, "      %s: { service: %s, path: \"%s\", ", kind->key, kind->name, kind->path);
    if (kind->fallback)
        strbuf_addf(out, "fallback: %s }\n", kind->fallback);
    else
        strbuf_add_c(out, "required: true }\n");
}

static void write_config(const struct demo *demo, struct strbuf *out)
{
    strbuf_addf(out, "listen: \"127.0.0.1:%u\"\nadmin: \"127.0.0.1:%u\"\nservices:\n", demo->port,
                demo->admin_port);
    for (size_t i = 0; i < SAMPLES; i++)
        strbuf_addf(out,
                    "  %s:\n    url: \"http://127.0.0.1:%u\"\n    timeout: 300ms\n"
                    "    max_connections: 256\n    breaker: { failures: 5, cooldown: 5s }\n",
                    demo->samples[i].kind->name, demo->samples[i].port);
    strbuf_add_c(out, "routes:\n  - path: /api/profile/{id}\n    timeout: 1s\n    aggregate:\n");
    for (size_t i = 0; i < SAMPLES; i++)
        add_part(out, demo->samples[i].kind);
    strbuf_add_c(out, "  - path: /users/*\n    proxy: { service: users }\n");
}

/* ---- the run ------------------------------------------------------------------------ */

static void print_guide(const struct demo *demo)
{
    unsigned port = demo->port, admin = demo->admin_port;

    printf("\nTen sample services (ports %u to %u) behind one gateway (port %u). Try:\n\n"
           "  one answer out of ten, fetched at once\n"
           "    curl -i localhost:%u/api/profile/7\n"
           "  kill a service: its fallback fills in, and Weir-Degraded names it\n"
           "    curl -X POST 'localhost:%u/demo/orders?up=false'\n"
           "    curl -i localhost:%u/api/profile/7\n"
           "  after five failures its breaker opens (1), and it is not asked any more\n"
           "    for i in 1 2 3 4 5; do curl -so /dev/null localhost:%u/api/profile/7; done\n"
           "    curl -s localhost:%u/metrics | grep breaker_state\n"
           "  revive it: within five seconds one call probes, and the breaker closes (0)\n"
           "    curl -X POST 'localhost:%u/demo/orders?up=true'\n"
           "  make one slow, or wrong now and then; users is required: 504, 502, then 503\n"
           "    curl -X POST 'localhost:%u/demo/users?latency_ms=500'\n"
           "    curl -X POST 'localhost:%u/demo/offers?error_rate=0.5&jitter_ms=50'\n"
           "  all of them, and a request passed on as it is\n"
           "    curl -s localhost:%u/demo\n"
           "    curl -i localhost:%u/users/7\n\n"
           "The configuration: weir demo --print-config. Ctrl-C ends it.\n\n",
           demo->samples[0].port, demo->samples[SAMPLES - 1].port, port, port, port, port, port,
           admin, port, port, port, port, port);
    fflush(stdout);
}

static int start(void *arg)
{
    struct demo *demo = arg;
    int rc = 0;

    for (size_t i = 0; i < SAMPLES && rc == 0; i++)
        rc = sample_settle(&demo->samples[i]);
    if (rc == 0)
        print_guide(demo);
    return rc;
}

static void end(void *arg)
{
    struct demo *demo = arg;

    for (size_t i = 0; i < SAMPLES; i++) {
        atomic_store(&demo->samples[i].wanted, false);
        WEIR_IGNORE(sample_settle(&demo->samples[i]), "stopping can't fail");
    }
}

static int serve(struct demo_command *c, struct demo *demo, weir_str text)
{
    struct config config;
    struct serve serve = { .flags = c->settings,
                           .program = "weir demo",
                           .source = "ten sample services",
                           .config = &config,
                           .routes = control_routes,
                           .start = start,
                           .end = end,
                           .arg = demo };
    int rc = config_read("demo.yaml", text, &config);

    if (rc == 0)
        rc = serve_gateway(&serve);
    else
        config_print_faults(&config);
    config_done(&config);
    return rc < 0 ? 1 : rc;
}

static int run_demo(struct demo_command *c, struct demo *demo)
{
    struct strbuf text = STRBUF_INIT;
    int rc = 0;

    for (size_t i = 0; i < SAMPLES && rc == 0; i++) {
        struct sample *sample = &demo->samples[i];

        atomic_store(&sample->latency_ms, (unsigned)c->latency_ms);
        atomic_store(&sample->jitter_ms,
                     c->latency_ms > DEMO_JITTER_MS ? DEMO_JITTER_MS : (unsigned)c->latency_ms / 2);
        rc = sample_init(sample);
    }
    write_config(demo, &text);
    if (rc == 0 && text.bad)
        rc = -ENOMEM;
    if (rc == 0 && c->print)
        fputs(strbuf_str(&text).ptr, stdout);
    else if (rc == 0)
        rc = serve(c, demo, strbuf_str(&text));
    if (rc < 0)
        fprintf(stderr, "weir demo: %s\n", weir_error_text(rc));
    strbuf_done(&text);
    for (size_t i = 0; i < SAMPLES; i++)
        sample_done(&demo->samples[i]);
    return rc < 0 ? 1 : rc;
}

/* What is printed names the usual ports, taken or not. */
static void usual_ports(struct demo *demo, long given)
{
    demo->port = given ? (uint16_t)given : DEMO_PORT;
    demo->admin_port = (uint16_t)(demo->port + 1);
    for (size_t i = 0; i < SAMPLES; i++)
        demo->samples[i].port = (uint16_t)(DEMO_SERVICE_PORT + i);
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct demo_command c = { .latency_ms = DEMO_LATENCY_MS };
    struct demo demo = { 0 };
    int rc = cli_read(command, argc, argv, &c, NULL);

    if (rc != CLI_GO_ON)
        return rc;
    for (size_t i = 0; i < SAMPLES; i++)
        demo.samples[i].kind = &sample_kinds[i];
    usual_ports(&demo, c.port);
    if (!c.print) {
        rc = choose_ports(&demo, c.port);
        if (rc < 0) {
            fprintf(stderr, "weir demo: no port is free: %s\n", strerror(-rc));
            return 1;
        }
    }
    return run_demo(&c, &demo);
}

static const struct cli_flag flags[] = {
    { "--port", "N", read_port, "a port from 1 to 65535",
      "the gateway's; the next one is the admin's (8080)" },
    { "--latency-ms", "N", read_latency, "a number from 0 to 60000",
      "how long each service takes (20)" },
    { "--print-config", NULL, read_print, NULL, "print the gateway's configuration, and exit" },
    SERVE_FLAGS,
    { NULL, NULL, NULL, NULL, NULL },
};

const struct cli_command cmd_demo = {
    .name = "demo",
    .summary = "ten sample services behind one gateway",
    .text = "Runs ten small services and a gateway in front of them, and prints what to try.\n"
            "Each service can be made slow, wrong, or be killed and revived, at /demo/SERVICE of\n"
            "the gateway. Ports that are taken are replaced by free ones, unless they are given.\n",
    .flags = flags,
    .run = run,
};
