/* All of weir's public headers. */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <weir/app.h>
#include <weir/block.h>
#include <weir/broadcast.h>
#include <weir/chan.h>
#include <weir/client.h>
#include <weir/datagram.h>
#include <weir/dns.h>
#include <weir/embed.h>
#include <weir/error.h>
#include <weir/exchange.h>
#include <weir/export.h>
#include <weir/fd.h>
#include <weir/file.h>
#include <weir/guard.h>
#include <weir/inspect.h>
#include <weir/jobs.h>
#include <weir/json.h>
#include <weir/log.h>
#include <weir/metrics.h>
#include <weir/remote.h>
#include <weir/process.h>
#include <weir/run.h>
#include <weir/scope.h>
#include <weir/serve.h>
#include <weir/signals.h>
#include <weir/sim.h>
#include <weir/str.h>
#include <weir/stream.h>
#include <weir/sync.h>
#include <weir/test.h>
#include <weir/time.h>
#include <weir/tls.h>
#include <weir/type.h>
#include <weir/url.h>
#include <weir/value.h>
#include <weir/watch.h>

#endif
