/* A server's counters, shown as metrics. */
#ifndef WEB_SERVER_METRICS_H
#define WEB_SERVER_METRICS_H

#include "http/server.h"

/* Show this server's figures; NULL ends that. One server at a time. */
void server_metrics_show(struct http_server *server);

#endif
