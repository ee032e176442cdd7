/* The registry of metrics, as its files share it.
 *
 *   metrics.c          making metrics and series
 *   metrics_cell.c     the threads' cells: adding and summing
 *   metrics_print.c    the text format
 *   metrics_process.c  what the process tells of itself */
#ifndef OBS_METRICS_STATE_H
#define OBS_METRICS_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/metrics.h>

#define METRICS_MAX 1024
#define LABEL_VALUE_BYTES 128

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric;

/* One line (or for a histogram, one set of lines). Never changed once it can be
 * found, but for next and set. */
struct series {
    struct metric *metric;
    struct series *_Atomic next;        /* in the order they were made */
    struct series *_Atomic bucket_next; /* in the hash table */
    uint64_t hash;
    uint32_t cell;                      /* the first of its cells */
    bool shown;                         /* printed even while it is 0 */
    _Atomic uint64_t set;               /* a gauge's: the bits of a double */
    double (*_Atomic read)(void *arg);
    void *arg;
    const weir_str *values;             /* as many as the metric has labels; or NULL */
    char *labels;                       /* a="b",c="d", escaped; "" for none */
};

/* The public handles are series; these make each kind a type of its own. */
struct weir_counter {
    struct series s;
};
struct weir_gauge {
    struct series s;
};
struct weir_histogram {
    struct series s;
};

struct metric {
    enum metric_kind kind;
    uint32_t label_count, series_count, max_series;
    bool warned;
    char *name, *help;
    char *labels[WEIR_LABELS_MAX];
    double *bounds;                     /* of a histogram */
    uint32_t bound_count, cells;        /* cells: of each series */
    uint32_t hash_mask;
    struct series *_Atomic *table;      /* NULL without labels */
    struct series *first;               /* the one without label values */
    struct series *_Atomic last;        /* the lock is held to follow it */
    struct series *other;               /* NULL until the bound is reached */
    struct metric *_Atomic next;
};

/* The metrics in the order they were made. */
struct metric *metrics_first(void);

/* ---- cells ---- */

/* Reserve count cells (at most CELLS_CHUNK) in a row, all 0. 0 with the first in
 * *ret_cell, WEIR_EFULL or -ENOMEM. Not thread-safe. */
#define CELLS_CHUNK 512
#define CELLS_CHUNKS 256
int cells_take(uint32_t count, uint32_t *ret_cell);
void cell_add(uint32_t cell, uint64_t n);
void cell_add_f64(uint32_t cell, double value);
uint64_t cell_sum(uint32_t cell);
double cell_sum_f64(uint32_t cell);

double series_value(const struct series *s);

/* Register the process's own metrics. */
void metrics_process_add(void);

#endif
