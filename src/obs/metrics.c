/* Making metrics and their series, and what is added to them.
 *
 * Why bounded: a label that takes its value from a request (a path, a user) has
 * as many series as an attacker likes. Past its bound a metric counts what is
 * new in one series called "other", and says so once.
 *
 * Metrics and series are only ever added. Making one takes the lock; finding one
 * and printing do not: lists and hash chains are published with release stores.
 *
 * Invariants: a metric's first series is the one without label values; last is
 * the newest. series_count counts neither it nor other. */
#include "obs/metrics.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include <weir/error.h>
#include <weir/log.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/utf8.h"
#include "obs/metrics_state.h"
#include "obs/text.h"

#define SERIES_MAX 1000
#define SERIES_MAX_MAX 100000

static struct registry {
    pthread_mutex_t lock;
    struct metric *_Atomic first;
    struct metric *last;
    uint32_t count;
} registry = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const double seconds[] = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 };

struct metric *metrics_first(void)
{
    return atomic_load_explicit(&registry.first, memory_order_acquire);
}

/* ---- names and options --------------------------------------------------- */

/* [a-zA-Z_:][a-zA-Z0-9_:]*, for labels without the colon */
static bool name_valid(const char *name, bool colon)
{
    for (size_t i = 0; name[i]; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

        if (!letter && !(colon && c == ':') && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return name[0] != '\0' && strlen(name) <= 200;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n > m && strcmp(name + n - m, end) == 0;
}

static uint32_t label_count(const weir_metric_opts *o)
{
    uint32_t n = 0;

    while (n < WEIR_LABELS_MAX && o->labels[n])
        n++;
    return n;
}

static int check_labels(const char *name, enum metric_kind kind, const weir_metric_opts *o)
{
    uint32_t n = label_count(o);

    for (uint32_t i = 0; i < n; i++) {
        const char *label = o->labels[i];

        if (!name_valid(label, false) || strncmp(label, "__", 2) == 0)
            return weir_fail(-EINVAL, "metric %s: \"%s\" can't be a label's name", name, label);
        if (kind == METRIC_HISTOGRAM && strcmp(label, "le") == 0)
            return weir_fail(-EINVAL, "histogram %s: the label \"le\" is its own", name);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(label, o->labels[k]) == 0)
                return weir_fail(-EINVAL, "metric %s: label %s stands there twice", name, label);
    }
    return 0;
}

static int check_buckets(const char *name, const weir_metric_opts *o)
{
    if (o->bucket_count > WEIR_BUCKETS_MAX || (o->bucket_count > 0) != (o->buckets != NULL))
        return weir_fail(-EINVAL, "histogram %s: 1 to %d buckets, or none for the usual ones", name,
                         WEIR_BUCKETS_MAX);
    for (uint32_t i = 0; i < o->bucket_count; i++)
        if (!isfinite(o->buckets[i]) || (i > 0 && o->buckets[i] <= o->buckets[i - 1]))
            return weir_fail(-EINVAL, "histogram %s: its bounds must be finite and rise", name);
    return 0;
}

static int check_metric(enum metric_kind kind, const char *name, const weir_metric_opts *o)
{
    int rc = 0;

    if (!name_valid(name, true))
        return weir_fail(-EINVAL,
                         "\"%s\" can't be a metric's name: letters, digits, _ and :", name);
    if (kind == METRIC_COUNTER && !ends_with(name, "_total"))
        return weir_fail(-EINVAL, "counter %s: a counter's name ends in _total", name);
    if (o->max_series > SERIES_MAX_MAX)
        return weir_fail(-EINVAL, "metric %s: at most %d series", name, SERIES_MAX_MAX);
    if (o->read && (kind == METRIC_HISTOGRAM || label_count(o) > 0))
        return weir_fail(-EINVAL, "metric %s: .read is for counters and gauges without labels",
                         name);
    if (kind == METRIC_HISTOGRAM)
        rc = check_buckets(name, o);
    else if (o->buckets || o->bucket_count)
        rc = weir_fail(-EINVAL, "metric %s: buckets are for histograms", name);
    return rc < 0 ? rc : check_labels(name, kind, o);
}

/* ---- series -------------------------------------------------------------- */

static void series_free(struct series *s)
{
    if (!s)
        return;
    base_free((void *)s->values);
    base_free(s->labels);
    base_free(s);
}

/* a="b",c="d"; what the text format escapes in a value: \ " and line feed. */
static char *print_labels(const struct metric *m, const weir_str *values)
{
    struct strbuf text = STRBUF_INIT;

    strbuf_add_c(&text, "");
    for (uint32_t i = 0; values && i < m->label_count; i++) {
        if (i > 0)
            strbuf_add_char(&text, ',');
        strbuf_add_c(&text, m->labels[i]);
        strbuf_add_c(&text, "=\"");
        for (size_t k = 0; k < values[i].len; k++) {
            char c = values[i].ptr[k];

            if (c == '\\' || c == '"' || c == '\n')
                strbuf_add_char(&text, '\\');
            strbuf_add_char(&text, c == '\n' ? 'n' : c);
        }
        strbuf_add_char(&text, '"');
    }
    return strbuf_take(&text);
}

/* The slices and their text in one block. */
static weir_str *copy_values(const weir_str *values, uint32_t count)
{
    size_t bytes = count * sizeof *values;
    weir_str *copy;
    char *at;

    for (uint32_t i = 0; i < count; i++)
        bytes += values[i].len;
    copy = base_malloc(bytes);
    if (!copy)
        return NULL;
    at = (char *)(copy + count);
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].len > 0)
            memcpy(at, values[i].ptr, values[i].len);
        copy[i] = weir_str_from(at, values[i].len);
        at += values[i].len;
    }
    return copy;
}

/* values NULL: the series without any. */
static int series_new(struct metric *m, const weir_str *values, struct series **ret_series)
{
    struct series *s = base_calloc(1, sizeof *s);
    int rc = -ENOMEM;

    if (!s)
        return rc;
    s->metric = m;
    s->shown = values || m->label_count == 0;
    s->labels = print_labels(m, values);
    if (values)
        s->values = copy_values(values, m->label_count);
    if (s->labels && (!values || s->values))
        rc = cells_take(m->cells, &s->cell);
    if (rc < 0)
        series_free(s);
    else
        *ret_series = s;
    return rc;
}

/* The lock is held. */
static void series_publish(struct metric *m, struct series *s)
{
    struct series *last = atomic_load_explicit(&m->last, memory_order_relaxed);
    struct series *_Atomic *place = &m->table[s->hash & m->hash_mask];

    s->bucket_next = atomic_load_explicit(place, memory_order_relaxed);
    atomic_store_explicit(place, s, memory_order_release);
    atomic_store_explicit(&last->next, s, memory_order_release);
    atomic_store_explicit(&m->last, s, memory_order_relaxed);
}

static uint64_t hash_values(const weir_str *values, uint32_t count)
{
    uint64_t hash = count;

    for (uint32_t i = 0; i < count; i++)
        hash = hash_bytes(hash, values[i].ptr, values[i].len);
    return hash;
}

static struct series *series_find(const struct metric *m, const weir_str *values, uint64_t hash)
{
    struct series *s = atomic_load_explicit(&m->table[hash & m->hash_mask], memory_order_acquire);

    for (; s; s = atomic_load_explicit(&s->bucket_next, memory_order_acquire)) {
        uint32_t same = 0;

        while (s->hash == hash && same < m->label_count &&
               weir_str_eq(s->values[same], values[same]))
            same++;
        if (same == m->label_count)
            return s;
    }
    return NULL;
}

/* The lock is held. */
static int series_add(struct metric *m, const weir_str *values, uint64_t hash,
                      struct series **ret_series)
{
    int rc = series_new(m, values, ret_series);

    if (rc < 0)
        return rc;
    (*ret_series)->hash = hash;
    series_publish(m, *ret_series);
    return 0;
}

/* The lock is held. *ret_warn: this is the first time that the bound is met. */
static int series_other(struct metric *m, struct series **ret_series, bool *ret_warn)
{
    weir_str values[WEIR_LABELS_MAX];
    uint64_t hash;
    int rc = 0;

    *ret_warn = !m->warned;
    m->warned = true;
    if (!m->other) {
        for (uint32_t i = 0; i < m->label_count; i++)
            values[i] = WEIR_S("other");
        hash = hash_values(values, m->label_count);
        m->other = series_find(m, values, hash);
        if (!m->other)
            rc = series_add(m, values, hash, &m->other);
    }
    *ret_series = m->other;
    return rc;
}

static int series_make(struct metric *m, const weir_str *values, uint64_t hash,
                       struct series **ret_series)
{
    bool warn = false;
    int rc = 0;

    pthread_mutex_lock(&registry.lock);
    *ret_series = series_find(m, values, hash);
    if (!*ret_series && m->series_count >= m->max_series) {
        rc = series_other(m, ret_series, &warn);
    } else if (!*ret_series) {
        rc = series_add(m, values, hash, ret_series);
        m->series_count += rc == 0;
    }
    pthread_mutex_unlock(&registry.lock);
    if (warn)
        weir_warn("metric %s has reached its %u series: what is new is counted as \"other\"",
                  m->name, m->max_series);
    return rc;
}

static struct series *series_get(struct series *s, const weir_str *values, size_t count)
{
    weir_str clean[WEIR_LABELS_MAX];
    struct series *found;
    struct metric *m;
    uint64_t hash;
    int rc = 0;

    if (!s)
        return NULL;
    m = s->metric;
    if (count != m->label_count || count == 0) {
        weir_fail(-EINVAL, "metric %s has %u labels, not %zu", m->name, m->label_count, count);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        clean[i] = values[i].len <= LABEL_VALUE_BYTES && utf8_valid(values[i]) ? values[i]
                                                                               : WEIR_S("other");
    hash = hash_values(clean, m->label_count);
    found = series_find(m, clean, hash);
    if (!found)
        rc = series_make(m, clean, hash, &found);
    if (rc < 0) {
        weir_fail(rc, "metric %s: no further series", m->name);
        return NULL;
    }
    return found;
}

/* ---- metrics ------------------------------------------------------------- */

static void metric_free(struct metric *m)
{
    if (!m)
        return;
    for (uint32_t i = 0; i < WEIR_LABELS_MAX; i++)
        base_free(m->labels[i]);
    series_free(m->first);
    base_free((void *)m->table);
    base_free(m->bounds);
    base_free(m->name);
    base_free(m->help);
    base_free(m);
}

static char *copy_text(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = base_malloc(bytes);

    return copy ? memcpy(copy, text, bytes) : NULL;
}

static bool set_bounds(struct metric *m, const weir_metric_opts *o)
{
    const double *from = o->buckets ? o->buckets : seconds;

    m->bound_count = o->buckets ? o->bucket_count : sizeof seconds / sizeof seconds[0];
    m->cells = m->bound_count + 2; /* the bucket without bound, and the sum */
    m->bounds = base_malloc(m->bound_count * sizeof *m->bounds);
    if (m->bounds)
        memcpy(m->bounds, from, m->bound_count * sizeof *m->bounds);
    return m->bounds != NULL;
}

static bool set_labels(struct metric *m, const weir_metric_opts *o)
{
    m->label_count = label_count(o);
    m->max_series = o->max_series ? o->max_series : SERIES_MAX;
    for (uint32_t i = 0; i < m->label_count; i++) {
        m->labels[i] = copy_text(o->labels[i]);
        if (!m->labels[i])
            return false;
    }
    if (m->label_count == 0)
        return true;
    m->hash_mask = 15;
    while (m->hash_mask < m->max_series / 4)
        m->hash_mask = m->hash_mask * 2 + 1;
    m->table = base_calloc(m->hash_mask + 1, sizeof *m->table);
    return m->table != NULL;
}

static int metric_new(enum metric_kind kind, const char *name, const char *help,
                      const weir_metric_opts *o, struct metric **ret_metric)
{
    struct metric *m = base_calloc(1, sizeof *m);
    int rc = -ENOMEM;

    if (!m)
        return rc;
    m->kind = kind;
    m->cells = 1;
    m->name = copy_text(name);
    m->help = copy_text(help);
    if (m->name && m->help && set_labels(m, o) && (kind != METRIC_HISTOGRAM || set_bounds(m, o)))
        rc = series_new(m, NULL, &m->first);
    if (rc < 0) {
        metric_free(m);
        return rc;
    }
    m->first->arg = o->arg;
    m->first->read = o->read;
    m->last = m->first;
    *ret_metric = m;
    return 0;
}

/* A histogram h prints h_bucket, h_sum and h_count: nobody else may. */
static bool names_clash(const struct metric *h, const char *name)
{
    size_t n = strlen(h->name);

    return h->kind == METRIC_HISTOGRAM && strncmp(h->name, name, n) == 0 &&
           (strcmp(name + n, "_bucket") == 0 || strcmp(name + n, "_sum") == 0 ||
            strcmp(name + n, "_count") == 0);
}

static bool same_shape(const struct metric *m, enum metric_kind kind, const weir_metric_opts *o)
{
    if (m->kind != kind || m->label_count != label_count(o))
        return false;
    for (uint32_t i = 0; i < m->label_count; i++)
        if (strcmp(m->labels[i], o->labels[i]) != 0)
            return false;
    if (kind == METRIC_HISTOGRAM && o->buckets)
        return m->bound_count == o->bucket_count &&
               memcmp(m->bounds, o->buckets, o->bucket_count * sizeof *o->buckets) == 0;
    return true;
}

/* The lock is held: the metric of that name, -EEXIST when it is another, or 0
 * with NULL. */
static int metric_find(enum metric_kind kind, const char *name, const weir_metric_opts *o,
                       struct metric **ret_metric)
{
    struct metric new = { .kind = kind, .name = (char *)name };

    for (struct metric *m = metrics_first(); m; m = atomic_load(&m->next)) {
        if (names_clash(m, name) || names_clash(&new, m->name))
            return -EEXIST;
        if (strcmp(m->name, name) != 0)
            continue;
        if (!same_shape(m, kind, o))
            return -EEXIST;
        *ret_metric = m;
        return 0;
    }
    *ret_metric = NULL;
    return 0;
}

/* The lock is held. */
static void metric_publish(struct metric *m)
{
    if (registry.last)
        atomic_store_explicit(&registry.last->next, m, memory_order_release);
    else
        atomic_store_explicit(&registry.first, m, memory_order_release);
    registry.last = m;
    registry.count++;
}

static struct series *metric_get(enum metric_kind kind, const char *name, const char *help,
                                 const weir_metric_opts *o)
{
    struct metric *m = NULL;
    int rc = check_metric(kind, name, o);

    if (rc < 0)
        return NULL;
    pthread_mutex_lock(&registry.lock);
    rc = metric_find(kind, name, o, &m);
    if (rc == 0 && !m) {
        rc = registry.count < METRICS_MAX ? metric_new(kind, name, help, o, &m) : WEIR_EFULL;
        if (rc == 0)
            metric_publish(m);
    }
    pthread_mutex_unlock(&registry.lock);
    if (rc == -EEXIST)
        rc = weir_fail(rc, "metric %s: the name is taken by another kind, or with other labels",
                       name);
    else if (rc < 0)
        rc = weir_fail(rc, "metric %s could not be made: %s", name, weir_error_text(rc));
    return rc == 0 && m ? m->first : NULL;
}

/* ---- public -------------------------------------------------------------- */

weir_counter *weir_counter_new_opt(const char *name, const char *help, const weir_metric_opts *opts)
{
    return (weir_counter *)metric_get(METRIC_COUNTER, name, help, opts);
}

weir_gauge *weir_gauge_new_opt(const char *name, const char *help, const weir_metric_opts *opts)
{
    return (weir_gauge *)metric_get(METRIC_GAUGE, name, help, opts);
}

weir_histogram *weir_histogram_new_opt(const char *name, const char *help,
                                       const weir_metric_opts *opts)
{
    return (weir_histogram *)metric_get(METRIC_HISTOGRAM, name, help, opts);
}

weir_counter *weir_counter_series(weir_counter *metric, const weir_str *values, size_t count)
{
    return (weir_counter *)series_get((struct series *)metric, values, count);
}

weir_gauge *weir_gauge_series(weir_gauge *metric, const weir_str *values, size_t count)
{
    return (weir_gauge *)series_get((struct series *)metric, values, count);
}

weir_histogram *weir_histogram_series(weir_histogram *metric, const weir_str *values, size_t count)
{
    return (weir_histogram *)series_get((struct series *)metric, values, count);
}

static void series_read(struct series *s, double (*read)(void *arg), void *arg)
{
    s->arg = arg;
    atomic_store_explicit(&s->read, read, memory_order_release);
}

void metrics_read_counter(weir_counter *counter, double (*read)(void *arg), void *arg)
{
    if (counter)
        series_read(&counter->s, read, arg);
}

void metrics_read_gauge(weir_gauge *gauge, double (*read)(void *arg), void *arg)
{
    if (gauge)
        series_read(&gauge->s, read, arg);
}

void weir_counter_add(weir_counter *counter, uint64_t n)
{
    if (counter)
        cell_add(counter->s.cell, n);
}

void weir_gauge_add(weir_gauge *gauge, int64_t n)
{
    if (gauge)
        cell_add(gauge->s.cell, (uint64_t)n);
}

void weir_gauge_set(weir_gauge *gauge, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    if (gauge)
        atomic_store_explicit(&gauge->s.set, bits, memory_order_relaxed);
}

void weir_histogram_observe(weir_histogram *histogram, double value)
{
    const struct metric *m;
    uint32_t i = 0;

    if (!histogram || isnan(value))
        return;
    m = histogram->s.metric;
    while (i < m->bound_count && value > m->bounds[i])
        i++;
    cell_add(histogram->s.cell + i, 1);
    cell_add_f64(histogram->s.cell + m->bound_count + 1, value);
}

void weir_histogram_observe_ns(weir_histogram *histogram, int64_t ns)
{
    weir_histogram_observe(histogram, (double)ns / 1e9);
}

double series_value(const struct series *s)
{
    double (*read)(void *arg) = atomic_load_explicit(&s->read, memory_order_acquire);
    uint64_t bits = atomic_load_explicit(&s->set, memory_order_relaxed), sum;
    double set;

    if (read)
        return read(s->arg);
    sum = cell_sum(s->cell);
    if (s->metric->kind == METRIC_COUNTER)
        return (double)sum;
    memcpy(&set, &bits, sizeof set);
    return set + (double)(int64_t)sum;
}

uint64_t weir_counter_value(const weir_counter *counter)
{
    if (!counter)
        return 0;
    return atomic_load(&counter->s.read) ? (uint64_t)series_value(&counter->s)
                                         : cell_sum(counter->s.cell);
}

double weir_gauge_value(const weir_gauge *gauge)
{
    return gauge ? series_value(&gauge->s) : 0;
}

uint64_t weir_histogram_count(const weir_histogram *histogram)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; histogram && i <= histogram->s.metric->bound_count; i++)
        sum += cell_sum(histogram->s.cell + i);
    return sum;
}
