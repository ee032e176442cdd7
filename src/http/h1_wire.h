/* What exchanges do over HTTP/1.1 connections, for the connection. */
#ifndef HTTP_H1_WIRE_H
#define HTTP_H1_WIRE_H

#include "http/h1_conn.h"

extern const struct exchange_wire h1_wire;

/* Output has drained, or failed: wake who waits for that. */
void h1_output_moved(weir_exchange *x);
/* Use up input and drop it. 1: complete; 0: more to come; or the failure. */
int h1_body_discard(weir_exchange *x);

#endif
