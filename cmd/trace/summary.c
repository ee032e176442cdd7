/* What stands out in a trace, without a viewer: who had the loops longest, and who had to
 * wait longest for one after being woken. */
#include <inttypes.h>
#include <string.h>

#include "trace/trace.h"

void trace_count_run(struct trace_file *file, const char *site, double us)
{
    uint32_t at = (uint32_t)(((uintptr_t)site >> 4) * UINT32_C(2654435769)) % TRACE_SITES;
    struct trace_site *found;

    if (!site)
        return;
    while (file->sites[at].site && file->sites[at].site != site)
        at = (at + 1) % TRACE_SITES;
    found = &file->sites[at];
    if (!found->site && file->site_count >= TRACE_SITES / 2)
        return;
    if (!found->site)
        file->site_count++;
    found->site = site;
    found->runs++;
    found->us += us;
    if (us > found->longest_us)
        found->longest_us = us;
}

void trace_count_delay(struct trace_file *file, const struct trace_delay *delay)
{
    struct trace_delay *delays = file->delays;
    uint32_t at = file->delay_count;

    if (at == TRACE_TOP && delays[--at].us >= delay->us)
        return;
    for (; at > 0 && delays[at - 1].us < delay->us; at--)
        delays[at] = delays[at - 1];
    delays[at] = *delay;
    if (file->delay_count < TRACE_TOP)
        file->delay_count++;
}

/* The one with the most time of those that come behind this one; NULL: there is none. */
static const struct trace_site *next_site(const struct trace_file *file,
                                          const struct trace_site *before)
{
    const struct trace_site *best = NULL;

    for (const struct trace_site *s = file->sites; s < file->sites + TRACE_SITES; s++) {
        if (!s->site || (before && (s->us > before->us || (s->us == before->us && s <= before))))
            continue;
        if (!best || s->us > best->us)
            best = s;
    }
    return best;
}

void trace_summary(const struct trace_file *file, FILE *out)
{
    const struct trace_site *s = NULL;

    fprintf(out, "%" PRIu64 " events, %" PRIu64 " lost\n", file->events, file->lost);
    fprintf(out, "\nmost time on a loop\n  %10s %10s %12s  %s\n", "ms", "runs", "longest us",
            "task");
    for (int i = 0; i < TRACE_TOP && (s = next_site(file, s)) != NULL; i++)
        fprintf(out, "  %10.3f %10" PRIu64 " %12.1f  %s\n", s->us / 1000, s->runs, s->longest_us,
                s->site);
    fprintf(out, "\nlongest from wake to run\n  %10s %10s  %s\n", "us", "at ms", "task");
    for (uint32_t i = 0; i < file->delay_count; i++)
        fprintf(out, "  %10.1f %10.3f  %s (loop %u)\n", file->delays[i].us,
                file->delays[i].at_us / 1000, file->delays[i].site ? file->delays[i].site : "?",
                file->delays[i].loop);
}
