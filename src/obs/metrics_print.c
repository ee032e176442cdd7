/* The Prometheus text format, version 0.0.4.
 *
 * Each metric is a HELP line, a TYPE line and its series in the order they were
 * made. Printing takes no lock and stops nobody: a histogram's cells are read
 * once each, and its count is their sum, so that the lines of one set agree.
 *
 * Invariant: a line is complete or not there; names were checked and labels were
 * escaped when they were made. */
#include "obs/metrics.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "obs/metrics_state.h"
#include "obs/text.h"

static void add_f64(struct strbuf *out, double value)
{
    char text[TEXT_NUMBER_BYTES];

    if (isnan(value))
        strbuf_add_c(out, "NaN");
    else if (isinf(value))
        strbuf_add_c(out, value > 0 ? "+Inf" : "-Inf");
    else
        strbuf_add(out, weir_str_from(text, text_f64(text, value)));
}

static void add_u64(struct strbuf *out, uint64_t value)
{
    char text[TEXT_NUMBER_BYTES];

    strbuf_add(out, weir_str_from(text, text_u64(text, value)));
}

/* In help only the backslash and the line feed are escaped. */
static void add_help(struct strbuf *out, const char *help)
{
    for (; *help; help++) {
        if (*help == '\\' || *help == '\n')
            strbuf_add_char(out, '\\');
        strbuf_add_char(out, *help == '\n' ? 'n' : *help);
    }
}

/* name_suffix{labels,le="…"} and the space before the value. */
static void add_series(struct strbuf *out, const struct series *s, const char *suffix,
                       const double *le)
{
    strbuf_add_c(out, s->metric->name);
    strbuf_add_c(out, suffix);
    if (s->labels[0] || le) {
        strbuf_add_char(out, '{');
        strbuf_add_c(out, s->labels);
        if (le) {
            strbuf_add_c(out, s->labels[0] ? ",le=\"" : "le=\"");
            add_f64(out, *le);
            strbuf_add_char(out, '"');
        }
        strbuf_add_char(out, '}');
    }
    strbuf_add_char(out, ' ');
}

static void add_histogram(struct strbuf *out, const struct series *s)
{
    static const double infinity = INFINITY;
    const struct metric *m = s->metric;
    uint64_t sum = 0;

    for (uint32_t i = 0; i <= m->bound_count; i++) {
        sum += cell_sum(s->cell + i);
        add_series(out, s, "_bucket", i < m->bound_count ? &m->bounds[i] : &infinity);
        add_u64(out, sum);
        strbuf_add_char(out, '\n');
    }
    add_series(out, s, "_sum", NULL);
    add_f64(out, cell_sum_f64(s->cell + m->bound_count + 1));
    strbuf_add_char(out, '\n');
    add_series(out, s, "_count", NULL);
    add_u64(out, sum);
    strbuf_add_char(out, '\n');
}

static void add_value(struct strbuf *out, const struct series *s)
{
    if (s->metric->kind == METRIC_HISTOGRAM) {
        add_histogram(out, s);
        return;
    }
    add_series(out, s, "", NULL);
    if (s->metric->kind == METRIC_COUNTER && !atomic_load(&s->read))
        add_u64(out, cell_sum(s->cell));
    else
        add_f64(out, series_value(s));
    strbuf_add_char(out, '\n');
}

/* A metric with labels shows the series without any only if it was used. */
static bool is_used(const struct series *s)
{
    if (s->shown)
        return true;
    if (s->metric->kind == METRIC_HISTOGRAM)
        return weir_histogram_count((const weir_histogram *)s) > 0;
    return series_value(s) != 0;
}

static void add_metric(struct strbuf *out, const struct metric *m)
{
    static const char *const kinds[] = { "counter", "gauge", "histogram" };

    strbuf_add_c(out, "# HELP ");
    strbuf_add_c(out, m->name);
    strbuf_add_char(out, ' ');
    add_help(out, m->help);
    strbuf_add_c(out, "\n# TYPE ");
    strbuf_add_c(out, m->name);
    strbuf_add_char(out, ' ');
    strbuf_add_c(out, kinds[m->kind]);
    strbuf_add_char(out, '\n');
    for (const struct series *s = m->first; s;
         s = atomic_load_explicit(&s->next, memory_order_acquire))
        if (is_used(s))
            add_value(out, s);
}

static void add_process_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, metrics_process_add);
}

void metrics_print(struct strbuf *out)
{
    add_process_once();
    for (const struct metric *m = metrics_first(); m;
         m = atomic_load_explicit(&m->next, memory_order_acquire))
        add_metric(out, m);
}

int weir_metrics_print(int (*write)(void *arg, weir_str text), void *arg)
{
    struct strbuf out = STRBUF_INIT;
    int rc = 0;

    add_process_once();
    for (const struct metric *m = metrics_first(); m && rc >= 0;
         m = atomic_load_explicit(&m->next, memory_order_acquire)) {
        strbuf_clear(&out);
        add_metric(&out, m);
        rc = out.bad ? -ENOMEM : write(arg, strbuf_str(&out));
    }
    strbuf_done(&out);
    return rc < 0 ? rc : 0;
}
