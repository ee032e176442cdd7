/* See net.h. */
#include "sim/net.h"

#include <netinet/in.h>

#include "support/in_task.h"

int place_open_at(struct place *place, uint16_t port, bool reuse_port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr = { htonl(INADDR_LOOPBACK) } };
    struct io_listen_opts opts = { .backlog = 64, .reuse_port = reuse_port };
    struct loop *loop = loop_self();

    place->port = port;
    place->fd = loop_io(loop)->listen(loop, (struct sockaddr *)&addr, sizeof(addr), &opts);
    if (place->fd < 0)
        return place->fd;
    CHECK_INT(loop_io(loop)->attach(loop, &place->file, place->fd, true), 0);
    return 0;
}

void place_open(struct place *place, int backlog)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    struct io_listen_opts opts = { .backlog = backlog };
    struct loop *loop = loop_self();
    struct sockaddr_storage own;
    socklen_t len;

    place->fd = loop_io(loop)->listen(loop, (struct sockaddr *)&addr, sizeof(addr), &opts);
    CHECK(place->fd >= 0);
    CHECK_INT(loop_io(loop)->attach(loop, &place->file, place->fd, true), 0);
    CHECK_INT(loop_io(loop)->address(loop, &place->file, false, &own, &len), 0);
    CHECK_INT(len, sizeof(addr));
    place->port = ntohs(((struct sockaddr_in *)&own)->sin_port);
    CHECK(place->port != 0);
}

void place_share(struct place *mine, const struct place *place)
{
    struct loop *loop = loop_self();

    *mine = (struct place){ .fd = place->fd, .port = place->port };
    CHECK_INT(loop_io(loop)->attach(loop, &mine->file, mine->fd, true), 0);
}

void place_leave(struct place *mine)
{
    struct loop *loop = loop_self();

    loop_io(loop)->detach(loop, &mine->file, true);
}

void place_close(struct place *place)
{
    struct loop *loop = loop_self();

    loop_io(loop)->detach(loop, &place->file, false);
}

int place_accept(struct place *place, struct sim_peer *ret_peer)
{
    struct sockaddr_storage peer = { 0 };
    struct io_op op = { .file = &place->file, .kind = IO_ACCEPT, .accept = { &peer } };
    struct loop *loop = loop_self();
    int fd = rt_io(&op, "accept");

    if (fd < 0)
        return fd;
    CHECK_INT(peer.ss_family, AF_INET);
    *ret_peer = (struct sim_peer){ 0 };
    CHECK_INT(loop_io(loop)->attach(loop, &ret_peer->file, fd, false), 0);
    return 0;
}

uint16_t place_dead_port(void)
{
    struct place place;

    place_open(&place, 1);
    place_close(&place);
    return place.port;
}

struct accept_arg {
    struct place place;
    struct sim_peer *peer; /* a descriptor stays where it was attached */
};

static int accept_task(void *arg)
{
    struct accept_arg *a = arg;

    return place_accept(&a->place, a->peer);
}

void net_pair(struct sim_peer *one, struct sim_peer *other)
{
    struct accept_arg a = { .peer = other };

    place_open(&a.place, 8);
    WEIR_SCOPE(s) {
        weir_go(s, accept_task, &a);
        CHECK_INT(sim_peer_connect(one, a.place.port), 0);
        CHECK_INT(weir_join(s), 0);
    }
    place_close(&a.place);
}

void net_expect(struct sim_peer *peer, const char *text)
{
    char got[256];
    size_t len = strlen(text);

    CHECK(len < sizeof(got));
    CHECK_INT(sim_peer_recv_all(peer, got, len), len);
    got[len] = '\0';
    CHECK_TEXT(got, text);
}
