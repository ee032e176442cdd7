/* The heads of proxied messages: which fields go through, and which are written
 * anew. */
#ifndef GATEWAY_PROXY_H
#define GATEWAY_PROXY_H

#include <weir/client.h>
#include <weir/exchange.h>

/* The fields for the service, ended by an empty name, in the exchange's arena.
 * 0 or -ENOMEM. */
int proxy_request_fields(weir_exchange *x, const weir_http_field **ret_fields);

/* Give the answer the service's fields. 0, or a code of weir_set_header(). */
int proxy_response_fields(weir_exchange *x, const weir_response *response);

#endif
