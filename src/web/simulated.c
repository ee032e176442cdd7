/* An application and the services that it calls, in a simulation; see weir/test.h.
 *
 * Each service is a server at an address of its own, 10.99.0.1 and up, to which its
 * name leads. All servers, the application's too, are started for one request and
 * end when it has been answered. That takes time, too; what is told as elapsed ends
 * with the answer. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/test.h>
#include <weir/time.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "rt/sim.h"
#include "web/app.h"

#define SERVICES_MAX 64
#define APP_PORT 8000
#define DRAIN_MS 1

struct service {
    char name[64];
    weir_sim_service_opts opts;
    weir_app *own; /* what answers as the options say */
    struct http_server *server;
};

/* What web keeps with a simulation. */
struct world {
    struct service services[SERVICES_MAX];
    uint32_t count;
    struct arena_pool pool;
    struct arena memory; /* the last answer's */
    weir_response response;
};

struct request {
    weir_sim *sim;
    struct world *world;
    weir_app *app;
    const char *path;
    const weir_fetch_opts *opts;
    struct http_server *server;
    int64_t elapsed_ns;
};

__attribute__((noreturn)) static void give_up(const weir_sim *sim, const char *what)
{
    char text[1024];

    weir_error_print(text, sizeof(text));
    fprintf(stderr, "%s: %s\n%s  to repeat: WEIR_SIM='%s' %s\n", what, text, weir_sim_text(sim),
            weir_sim_options(sim), program_invocation_name);
    abort();
}

/* ---- what is kept ------------------------------------------------------- */

static void world_free(void *value)
{
    struct world *world = value;

    for (uint32_t i = 0; i < world->count; i++)
        weir_app_free(world->services[i].own);
    arena_reset(&world->memory);
    arena_pool_done(&world->pool);
    base_free(world);
}

static struct world *world_of(weir_sim *sim)
{
    struct world *world = sim_upper(sim);

    if (world)
        return world;
    world = base_calloc(1, sizeof(*world));
    if (!world)
        give_up(sim, "no memory for services");
    arena_pool_init(&world->pool, 0);
    arena_init(&world->memory, &world->pool);
    sim_upper_set(sim, world, world_free);
    return world;
}

/* ---- services ----------------------------------------------------------- */

static int answer(weir_exchange *x)
{
    const struct service *service = weir_route_data(x);
    const weir_sim_service_opts *opts = &service->opts;
    int rc = opts->latency_ms ? weir_sleep_ms(opts->latency_ms) : 0;

    while (rc == 0 && opts->silent)
        rc = weir_sleep_ms(1000000);
    if (rc < 0)
        return rc;
    return weir_reply(x, opts->status ? opts->status : 200, "application/json",
                      weir_str_c(opts->json ? opts->json : "null"));
}

static struct service *service_of(weir_sim *sim, const char *name)
{
    struct world *world = world_of(sim);
    struct service *service;
    char address[INET_ADDRSTRLEN];

    for (uint32_t i = 0; i < world->count; i++)
        if (strcmp(world->services[i].name, name) == 0)
            return &world->services[i];
    if (world->count == SERVICES_MAX || strlen(name) >= sizeof(service->name))
        give_up(sim, "too many services, or too long a name");
    service = &world->services[world->count++];
    snprintf(service->name, sizeof(service->name), "%s", name);
    snprintf(address, sizeof(address), "10.99.0.%u", world->count);
    service->own = weir_app_new(.title = service->name);
    if (!service->own || weir_sim_name(sim, name, .addresses = address) < 0)
        give_up(sim, "a service");
    weir_any(service->own, "/*", answer, .data = service);
    return service;
}

void weir_sim_service_opt(weir_sim *sim, const char *name, const weir_sim_service_opts *opts)
{
    service_of(sim, name)->opts = *opts;
}

/* ---- one request -------------------------------------------------------- */

static struct addr addr_at(uint32_t host, uint16_t port)
{
    struct addr addr = { .len = sizeof(struct sockaddr_in) };
    struct sockaddr_in *in = (struct sockaddr_in *)&addr.storage;

    *in = (struct sockaddr_in){ .sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr = { htonl(host) } };
    return addr;
}

static int serve_app(weir_app *app, struct addr addr, struct http_server **ret_server)
{
    int rc = app_build(app);

    return rc < 0 ? rc : app_start_server(app, &addr, 1, NULL, DRAIN_MS, ret_server);
}

static int serve_all(struct request *r)
{
    struct world *world = r->world;
    int rc = serve_app(r->app, addr_at(INADDR_LOOPBACK, APP_PORT), &r->server);

    for (uint32_t i = 0; i < world->count && rc == 0; i++) {
        struct service *service = &world->services[i];

        rc = serve_app(service->opts.app ? service->opts.app : service->own,
                       addr_at(0x0a630000u + i + 1, 80), &service->server);
        rc = weir_wrap(rc, "service \"%s\"", service->name);
    }
    return rc;
}

static void cut(struct http_server **server)
{
    if (!*server)
        return;
    WEIR_SCOPE(s) {
        weir_cancel(s);
        WEIR_IGNORE(http_server_wait(*server), "what is left is cut");
    }
    http_server_free(*server);
    *server = NULL;
}

static void cut_all(struct request *r)
{
    cut(&r->server);
    for (uint32_t i = 0; i < r->world->count; i++)
        cut(&r->world->services[i].server);
}

static weir_str keep_text(struct world *world, weir_str text)
{
    return text.ptr ? arena_dup(&world->memory, text) : (weir_str){ 0 };
}

/* The answer is the task's, and must outlive it. */
static int keep(struct world *world, const weir_response *from)
{
    weir_http_field *fields;

    world->response = *from;
    world->response.type = keep_text(world, from->type);
    world->response.body = keep_text(world, from->body);
    fields = arena_alloc(&world->memory, (from->field_count + 1) * sizeof(*fields));
    if (!fields || (from->body.ptr && !world->response.body.ptr))
        return -ENOMEM;
    for (size_t i = 0; i < from->field_count; i++)
        fields[i] = (weir_http_field){ keep_text(world, from->fields[i].name),
                                       keep_text(world, from->fields[i].value) };
    world->response.fields = fields;
    return 0;
}

static int fetch(struct request *r)
{
    weir_fetch_opts opts = *r->opts;
    weir_response response = { 0 };
    char url[2048];
    int rc = weir_client_new(&opts.client, .name = "test");

    if (rc < 0)
        return rc;
    if (snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", APP_PORT, r->path) >= (int)sizeof(url))
        rc = weir_fail(-EINVAL, "too long a path");
    else
        rc = weir_fetch_opt(weir_str_c(url), &response, &opts);
    if (rc == 0)
        rc = keep(r->world, &response);
    weir_client_free(opts.client);
    return rc;
}

static int make_request(void *arg)
{
    struct request *r = arg;
    int64_t begun_ns = weir_now().ns;
    int rc = serve_all(r);

    if (rc == 0)
        rc = fetch(r);
    r->elapsed_ns = weir_now().ns - begun_ns;
    cut_all(r);
    return rc;
}

const weir_response *weir_sim_fetch(weir_sim *sim, weir_app *app, const char *path,
                                    const weir_fetch_opts *opts)
{
    struct world *world = world_of(sim);
    struct request request = { .sim = sim, .world = world, .app = app, .path = path, .opts = opts };

    arena_reset(&world->memory);
    if (weir_sim_run(sim, make_request, &request) < 0)
        give_up(sim, path);
    sim_elapsed_set(sim, request.elapsed_ns);
    return &world->response;
}
