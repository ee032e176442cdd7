/* Metrics as the layers above use them besides weir/metrics.h. */
#ifndef OBS_METRICS_H
#define OBS_METRICS_H

#include <weir/metrics.h>

#include "base/strbuf.h"

/* Have one series ask for its value whenever it is printed. NULL is fine. */
void metrics_read_counter(weir_counter *counter, double (*read)(void *arg), void *arg);
void metrics_read_gauge(weir_gauge *gauge, double (*read)(void *arg), void *arg);

/* Print all metrics behind what is in out; without memory out goes bad. */
void metrics_print(struct strbuf *out);

#endif
