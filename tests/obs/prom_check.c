/* Reads line by line, and keeps the last metric and the samples seen so far. */
#include "prom_check.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES 20000
#define NAMES 2000

static struct reader {
    char name[256], type[16];    /* of the metric that is being read */
    bool helped, typed;
    char *names[NAMES];          /* metrics seen */
    char *samples[SAMPLES];      /* names with labels */
    size_t name_count, sample_count;
    char set[4096];              /* a histogram's labels without le */
    double bound, below;         /* of the last bucket */
    bool infinite;
    char fault[512];
} r;

static bool bad(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(r.fault, sizeof r.fault, fmt, args);
    va_end(args);
    return false;
}

/* Length of a name at p. */
static size_t name_at(const char *p, bool colon)
{
    size_t n = 0;

    while (isalnum((unsigned char)p[n]) || p[n] == '_' || (colon && p[n] == ':'))
        n++;
    return n > 0 && !isdigit((unsigned char)p[0]) ? n : 0;
}

static bool end_of_histogram(void)
{
    if (r.set[0] && !r.infinite)
        return bad("histogram %s%s has no +Inf bucket", r.name, r.set);
    r.set[0] = '\0';
    r.infinite = false;
    return true;
}

static bool new_metric(const char *name, size_t n)
{
    if (r.helped && !r.typed)
        return bad("%s has no TYPE line", r.name);
    if (!end_of_histogram())
        return false;
    snprintf(r.name, sizeof r.name, "%.*s", (int)n, name);
    for (size_t i = 0; i < r.name_count; i++)
        if (strcmp(r.names[i], r.name) == 0)
            return bad("%s comes twice", r.name);
    if (r.name_count == NAMES)
        return bad("too many metrics");
    r.names[r.name_count++] = strdup(r.name);
    r.helped = true;
    r.typed = false;
    return true;
}

static bool read_help(const char *line)
{
    size_t n = name_at(line, true);

    if (n == 0 || line[n] != ' ')
        return bad("HELP without a name: %s", line);
    for (const char *p = line + n; *p; p++)
        if (*p == '\\' && *++p != '\\' && *p != 'n')
            return bad("bad escape in help: %s", line);
    return new_metric(line, n);
}

static bool read_type(const char *line)
{
    size_t n = name_at(line, true);

    if (n == 0 || line[n] != ' ' || strncmp(line, r.name, n) != 0 || r.name[n] || !r.helped ||
        r.typed)
        return bad("TYPE out of place: %s", line);
    snprintf(r.type, sizeof r.type, "%s", line + n + 1);
    if (strcmp(r.type, "counter") && strcmp(r.type, "gauge") && strcmp(r.type, "histogram"))
        return bad("unknown type: %s", line);
    if (!strcmp(r.type, "counter") &&
        (strlen(r.name) < 7 || strcmp(r.name + strlen(r.name) - 6, "_total")))
        return bad("a counter's name ends in _total: %s", line);
    r.typed = true;
    return true;
}

static bool read_number(const char *text, double *ret_value)
{
    char *end;

    if (strcmp(text, "NaN") && strcmp(text, "+Inf") && strcmp(text, "-Inf") &&
        strspn(text, "0123456789+-.e") != strlen(text))
        return bad("not a number: %s", text);
    *ret_value = strtod(text, &end);
    return (*text && !*end) || bad("not a number: %s", text);
}

/* One label at *p; *ret_le is set when it is le. */
static bool read_label(const char **p, double *ret_le, bool *ret_is_le)
{
    size_t n = name_at(*p, false), m = 0;
    char value[1024];

    if (n == 0 || strncmp(*p + n, "=\"", 2) != 0)
        return bad("bad label: %s", *p);
    *ret_is_le = n == 2 && strncmp(*p, "le", 2) == 0;
    for (*p += n + 2; **p != '"'; ++*p) {
        if (**p == '\0' || m + 1 == sizeof value)
            return bad("a label without end");
        if (**p == '\\' && *++*p != '\\' && **p != '"' && **p != 'n')
            return bad("bad escape in a label: %s", *p);
        value[m++] = **p;
    }
    value[m] = '\0';
    ++*p;
    return !*ret_is_le || read_number(value, ret_le);
}

/* {a="b",c="d"} at *p; the labels but le are collected in others. */
static bool read_labels(const char **p, char *others, double *ret_le, bool *ret_has_le)
{
    size_t n = 0;

    *ret_has_le = false;
    others[0] = '\0';
    if (**p != '{')
        return true;
    do {
        const char *from = ++*p;
        bool is_le = false;

        if (!read_label(p, ret_le, &is_le))
            return false;
        *ret_has_le = *ret_has_le || is_le;
        if (!is_le)
            n += (size_t)snprintf(others + n, 4096 - n, "%.*s,", (int)(*p - from), from);
    } while (**p == ',');
    return *(*p)++ == '}' || bad("bad labels");
}

static bool read_bucket(const char *set, double le, double value)
{
    char key[4096];

    snprintf(key, sizeof key, "{%.4000s}", set);
    if (strcmp(key, r.set) != 0) {
        if (!end_of_histogram())
            return false;
        snprintf(r.set, sizeof r.set, "%s", key);
    } else if (le <= r.bound || value < r.below) {
        return bad("buckets of %s don't rise", r.name);
    }
    r.bound = le;
    r.below = value;
    r.infinite = isinf(le);
    return true;
}

static bool read_part(const char *suffix, const char *set, bool has_le, double le, double value)
{
    if (strcmp(r.type, "histogram") != 0)
        return *suffix == '\0' || bad("%s%s is not of this metric", r.name, suffix);
    if (strcmp(suffix, "_bucket") == 0)
        return has_le ? read_bucket(set, le, value) : bad("a bucket of %s without le", r.name);
    if (strcmp(suffix, "_count") == 0)
        return value == r.below || bad("count of %s is not its last bucket", r.name);
    return strcmp(suffix, "_sum") == 0 || bad("%s%s is not of this histogram", r.name, suffix);
}

static bool read_sample(const char *line)
{
    size_t n = name_at(line, true), base = strlen(r.name);
    const char *p = line + n;
    char others[4096], suffix[64];
    bool has_le;
    double le = 0, value;

    if (n == 0 || !r.typed || n < base || strncmp(line, r.name, base) != 0)
        return bad("sample out of place: %s", line);
    if (!read_labels(&p, others, &le, &has_le))
        return false;
    if (*p != ' ')
        return bad("no value: %s", line);
    for (size_t i = 0; i < r.sample_count; i++)
        if (strlen(r.samples[i]) == (size_t)(p - line) &&
            strncmp(r.samples[i], line, (size_t)(p - line)) == 0)
            return bad("twice: %s", line);
    if (r.sample_count == SAMPLES)
        return bad("too many samples");
    r.samples[r.sample_count++] = strndup(line, (size_t)(p - line));
    if (!read_number(p + 1, &value))
        return false;
    snprintf(suffix, sizeof suffix, "%.*s", (int)(n - base), line + base);
    return read_part(suffix, others, has_le, le, value);
}

static bool read_line(const char *line)
{
    if (strncmp(line, "# HELP ", 7) == 0)
        return read_help(line + 7);
    if (strncmp(line, "# TYPE ", 7) == 0)
        return read_type(line + 7);
    return *line ? read_sample(line) : bad("an empty line");
}

const char *prom_check(const char *text)
{
    bool good = true;

    r.fault[0] = r.name[0] = r.set[0] = '\0';
    r.helped = r.typed = r.infinite = false;
    if (*text && text[strlen(text) - 1] != '\n')
        return "the last line has no line feed";
    while (good && *text) {
        size_t n = strcspn(text, "\n");
        char *line = strndup(text, n);

        good = read_line(line);
        free(line);
        text += n + 1;
    }
    good = good && end_of_histogram() && (!r.helped || r.typed || bad("%s has no TYPE", r.name));
    while (r.name_count > 0)
        free(r.names[--r.name_count]);
    while (r.sample_count > 0)
        free(r.samples[--r.sample_count]);
    return good ? NULL : r.fault;
}

double prom_value(const char *text, const char *sample)
{
    size_t n = strlen(sample);

    for (; *text; text += strcspn(text, "\n") + 1)
        if (strncmp(text, sample, n) == 0 && text[n] == ' ')
            return strtod(text + n, NULL);
    return NAN;
}
