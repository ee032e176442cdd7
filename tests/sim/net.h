/* Sockets for the tests of backends: listening and accepting by operations, and
 * both sides as straight-line code, on whatever backend the loop has. */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "rt/sim.h"

struct place {
    struct io_file file;
    int fd;
    uint16_t port;
};

/* On 127.0.0.1, at a port of the system's choice; or at port. */
void place_open(struct place *place, int backlog);
int place_open_at(struct place *place, uint16_t port, bool reuse_port);
/* Attach on the current loop what another has opened. */
void place_share(struct place *mine, const struct place *place);
void place_leave(struct place *mine);
void place_close(struct place *place);
/* 0 with a connection, or the accept's code. */
int place_accept(struct place *place, struct sim_peer *ret_peer);
/* A port that nobody listens at. */
uint16_t place_dead_port(void);
/* Two ends of one connection. */
void net_pair(struct sim_peer *one, struct sim_peer *other);
/* Receive and compare: what comes must be text. */
void net_expect(struct sim_peer *peer, const char *text);

#endif
