/* nghttp2's memory, by way of base/alloc.h. */
#ifndef HTTP_H2_MEM_H
#define HTTP_H2_MEM_H

#include <nghttp2/nghttp2.h>

/* For nghttp2_session_client_new3() and its like, which only read it. */
nghttp2_mem *h2_mem(void);

#endif
