/* A strict reader of the Prometheus text format, version 0.0.4.
 *
 * It accepts what the format's description allows and nothing else, and beyond
 * it what promtool warns of: each metric has its HELP and TYPE lines once, before
 * its samples, which stand together; no sample stands twice; a histogram's
 * buckets rise, end in +Inf and agree with its count. */
#ifndef OBS_PROM_CHECK_H
#define OBS_PROM_CHECK_H

#include <stdbool.h>

/* NULL when text is sound; else what is wrong, in static storage. */
const char *prom_check(const char *text);

/* The value of the sample that is written so ("a_total{b=\"c\"}"), or NaN. */
double prom_value(const char *text, const char *sample);

#endif
