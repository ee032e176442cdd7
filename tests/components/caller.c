/* The client side: asks a server for bodies of each length in each way, and says how each went.
 *
 *     caller [--http2 | --http1] [--ca FILE] [--at-once N] BASE-URL LENGTH,... WAY,...
 *
 * A line a call, "WAY LENGTH VERSION ok", or what was wrong; VERSION is what the server says the
 * request came by. N calls of each way and length are made at the same time. --http2: without TLS
 * too, by prior knowledge; --http1: also where the server would choose HTTP/2. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/weir.h>

#include "pattern.h"

enum { LENGTHS_MAX = 16, AT_ONCE_MAX = 64 };

struct way {
    const char *name, *path, *method;
    bool path_has_length, sends, chunked, counts;
};

static const struct way ways[] = {
    { .name = "size", .path = "/size/", .method = "GET", .path_has_length = true },
    { .name = "pieces", .path = "/pieces/", .method = "GET", .path_has_length = true },
    { .name = "count", .path = "/count", .method = "POST", .sends = true, .counts = true },
    { .name = "count_pieces",
      .path = "/count",
      .method = "POST",
      .sends = true,
      .chunked = true,
      .counts = true },
    { .name = "back", .path = "/back", .method = "POST", .sends = true },
    { .name = "echo", .path = "/echo", .method = "POST", .sends = true },
    { .name = "echo_pieces", .path = "/echo", .method = "POST", .sends = true, .chunked = true },
};

struct plan {
    const char *base, *ways;
    uint64_t lengths[LENGTHS_MAX];
    size_t length_count;
    unsigned at_once, failed;
    weir_http2 http2;
    const char *ca;
    weir_client *client;
};

struct call {
    const struct way *way;
    uint64_t length;
    const struct plan *plan;
    weir_request *request;
    char version[16];
    char fault[512]; /* empty: it went well */
};

static char pattern[PATTERN_BYTES];

static int call_send(void *arg)
{
    struct call *c = arg;
    uint64_t sent = 0;
    int rc = 0;

    while (rc == 0 && sent < c->length) {
        weir_str piece = pattern_piece(pattern, sent, c->length);

        rc = weir_request_write(c->request, piece);
        sent += piece.len;
    }
    if (rc == 0)
        rc = weir_request_end(c->request);
    return weir_wrap(rc, "sending, after %llu bytes", (unsigned long long)sent);
}

static int call_check_body(struct call *c)
{
    uint64_t came = 0;
    weir_str data;
    ssize_t n;

    while ((n = weir_response_read(c->request, &data)) > 0) {
        if (!pattern_fits(pattern, came, data))
            return weir_fail(-EBADMSG, "another byte than expected after %llu",
                             (unsigned long long)came);
        came += data.len;
    }
    if (n < 0)
        return weir_wrap((int)n, "receiving, after %llu bytes", (unsigned long long)came);
    return came == c->length ? 0 : weir_fail(-EBADMSG, "%llu bytes came", (unsigned long long)came);
}

static int call_check_count(struct call *c)
{
    weir_str want = weir_format("%llu", (unsigned long long)c->length), data;
    char said[32];
    size_t len = 0;
    ssize_t n;

    while ((n = weir_response_read(c->request, &data)) > 0 && len + data.len <= sizeof said) {
        memcpy(said + len, data.ptr, data.len);
        len += data.len;
    }
    if (n < 0)
        return weir_wrap((int)n, "receiving the count");
    return weir_str_eq(want, (weir_str){ said, len })
               ? 0
               : weir_fail(-EBADMSG, "the server counted %.*s", (int)len, said);
}

static int call_receive(void *arg)
{
    struct call *c = arg;
    weir_response response;
    weir_str version;
    int rc = weir_response_head(c->request, &response);

    if (rc < 0)
        return weir_wrap(rc, "waiting for the head");
    if (response.status != 200)
        return weir_fail(-EBADMSG, "the status is %d", response.status);
    if (strcmp(c->way->name, "size") == 0 && response.content_length != (int64_t)c->length)
        return weir_fail(-EBADMSG, "the head announces %lld bytes",
                         (long long)response.content_length);
    version = weir_response_header(&response, "X-Version");
    snprintf(c->version, sizeof c->version, "%.*s", (int)version.len,
             version.ptr ? version.ptr : "");
    return c->way->counts ? call_check_count(c) : call_check_body(c);
}

static int call_open(struct call *c)
{
    weir_str url = c->way->path_has_length ? weir_format("%s%s%llu", c->plan->base, c->way->path,
                                                         (unsigned long long)c->length)
                                           : weir_format("%s%s", c->plan->base, c->way->path);

    if (!c->way->sends)
        return weir_request_open(url, &c->request, .client = c->plan->client,
                                 .method = c->way->method);
    return weir_request_open(url, &c->request, .client = c->plan->client, .method = c->way->method,
                             .stream_bytes = c->way->chunked ? WEIR_CHUNKED : c->length);
}

static int call_make(struct call *c)
{
    int rc = call_open(c);

    if (rc < 0)
        return rc;
    WEIR_SCOPE(s, .timeout_ms = 60000) {
        if (c->way->sends)
            weir_go(s, call_send, c);
        weir_go(s, call_receive, c);
        rc = weir_join(s);
    }
    weir_request_close(c->request);
    return rc;
}

static int call_run(void *arg)
{
    struct call *c = arg;
    int rc = call_make(c);

    if (rc < 0 && weir_error_print(c->fault, sizeof c->fault) == 0)
        snprintf(c->fault, sizeof c->fault, "%s", weir_error_text(rc));
    weir_recover();
    return 0;
}

/* The same call several times at once: one line of them all. */
static int run_way(struct plan *plan, const struct way *way, uint64_t length)
{
    struct call *calls = weir_alloc(plan->at_once * sizeof *calls);
    int rc = -ENOMEM;

    if (!calls)
        return rc;
    WEIR_SCOPE(s) {
        for (unsigned i = 0; i < plan->at_once; i++) {
            calls[i] = (struct call){ .way = way, .length = length, .plan = plan };
            weir_go(s, call_run, &calls[i]);
        }
        rc = weir_join(s);
    }
    for (unsigned i = 0; i < plan->at_once; i++)
        if (calls[i].fault[0]) {
            plan->failed++;
            printf("%s %llu: %s\n", way->name, (unsigned long long)length, calls[i].fault);
            return rc;
        }
    printf("%s %llu %s ok\n", way->name, (unsigned long long)length, calls[0].version);
    return rc;
}

/* Is the name one of those asked for? */
static bool plan_wants(const struct plan *plan, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = plan->ways; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0'))
            return true;
    }
    return false;
}

static int plan_client(struct plan *plan)
{
    weir_tls_client_opts tls = { .size = sizeof tls, .ca = plan->ca };

    return weir_client_new(&plan->client, .http2 = plan->http2, .tls = plan->ca ? &tls : NULL);
}

static int run_plan(void *arg)
{
    struct plan *plan = arg;
    int rc = plan_client(plan);

    for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++)
        for (size_t i = 0; i < plan->length_count && rc == 0 && plan_wants(plan, ways[w].name); i++)
            rc = run_way(plan, &ways[w], plan->lengths[i]);
    weir_client_free(plan->client);
    return rc < 0 ? rc : plan->failed > 0 ? -EIO : 0;
}

static bool plan_read(struct plan *plan, int argc, char **argv)
{
    static const struct option options[] = {
        { "http2", no_argument, NULL, '2' },
        { "http1", no_argument, NULL, '1' },
        { "ca", required_argument, NULL, 'c' },
        { "at-once", required_argument, NULL, 'n' },
        { NULL, 0, NULL, 0 },
    };
    char *at;
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (opt) {
        case '2': plan->http2 = WEIR_HTTP2_PRIOR_KNOWLEDGE; break;
        case '1': plan->http2 = WEIR_HTTP2_OFF; break;
        case 'c': plan->ca = optarg; break;
        case 'n': plan->at_once = (unsigned)strtoul(optarg, NULL, 10); break;
        default: return false;
        }
    }
    if (argc - optind != 3 || plan->at_once == 0 || plan->at_once > AT_ONCE_MAX)
        return false;
    plan->base = argv[optind];
    plan->ways = argv[optind + 2];
    for (at = argv[optind + 1]; *at && plan->length_count < LENGTHS_MAX; at += *at == ',')
        plan->lengths[plan->length_count++] = strtoull(at, &at, 10);
    return *at == '\0';
}

int main(int argc, char **argv)
{
    struct plan plan = { .at_once = 1 };

    if (!plan_read(&plan, argc, argv)) {
        fprintf(stderr, "usage: caller [--http2 | --http1] [--ca FILE] [--at-once N] BASE-URL"
                        " LENGTH,... WAY,...\n");
        return 2;
    }
    pattern_make(pattern);
    return weir_run(run_plan, &plan, .loops = 1) == 0 ? 0 : 1;
}
