/* The file of a trace: JSON in the form that Chrome's trace viewer defined and Perfetto
 * reads ("traceEvents"), one event a line.
 *
 * It is written as the events come, and never longer than its limit: what would be behind
 * it is left out, and the file is whole all the same. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "trace/trace.h"

#define TAIL_BYTES 8192 /* kept free for the end, and for what an event has begun with */
#define TEXTS_MAX 65536
#define EVENT_NUMBERS 6

void trace_print(struct trace_file *file, const char *fmt, ...)
{
    va_list args;
    bool begins = strncmp(fmt, ",\n", 2) == 0; /* else an event goes on */
    int len;

    if (begins)
        file->full = file->bytes + TAIL_BYTES > file->limit;
    if (file->full) {
        file->left_out += begins;
        return;
    }
    va_start(args, fmt);
    len = vfprintf(file->out, fmt, args);
    va_end(args);
    if (len < 0)
        file->failed = true;
    else
        file->bytes += (uint64_t)len;
}

bool trace_file_begin(struct trace_file *file, yyjson_val *head)
{
    uint64_t loops = yyjson_get_uint(yyjson_obj_get(head, "loops"));

    file->pid = (int)yyjson_get_int(yyjson_obj_get(head, "pid"));
    file->ticks_per_second = yyjson_get_num(yyjson_obj_get(head, "ticks_per_second"));
    file->origin = (double)yyjson_get_uint(yyjson_obj_get(head, "ticks"));
    if (yyjson_get_int(yyjson_obj_get(head, "trace")) != 1 || file->ticks_per_second <= 0 ||
        loops > TRACE_LOOPS_MAX)
        return false;
    for (uint32_t i = 0; i < TRACE_LOOPS_MAX; i++)
        file->loops[i].turn = file->loops[i].poll = -1;
    trace_print(file,
                "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n{\"ph\":\"M\",\"pid\":%d,"
                "\"name\":\"process_name\",\"args\":{\"name\":\"weir %d\"}}",
                file->pid, file->pid);
    for (uint64_t i = 0; i < loops; i++)
        trace_print(file,
                    ",\n{\"ph\":\"M\",\"pid\":%d,\"tid\":%" PRIu64 ",\"name\":\"thread_name\","
                    "\"args\":{\"name\":\"loop %" PRIu64 "\"}}",
                    file->pid, i + 1, i);
    return true;
}

/* A text as JSON has it, without quotes. */
static char *text_copy(const char *text)
{
    size_t len = strlen(text), at = 0;
    char *copy = base_calloc(1, 6 * len + 1);

    for (size_t i = 0; copy && i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\')
            copy[at++] = '\\';
        if (c < 0x20)
            at += (size_t)snprintf(copy + at, 7, "\\u%04x", c);
        else
            copy[at++] = (char)c;
    }
    return copy;
}

static bool add_text(struct trace_file *file, uint64_t id, const char *text)
{
    if (!text || id != file->text_count + 1 || id > TEXTS_MAX)
        return false;
    if ((file->text_count & (file->text_count + 1)) == 0 || !file->texts) {
        char **more = base_calloc(2 * ((size_t)file->text_count + 2), sizeof(*more));

        if (!more)
            return false;
        if (file->texts)
            memcpy(more, file->texts, (file->text_count + 1) * sizeof(*more));
        base_free(file->texts);
        file->texts = more;
    }
    file->texts[id] = text_copy(text);
    file->text_count++;
    return file->texts[id] != NULL;
}

static bool add_texts(struct trace_file *file, yyjson_val *texts)
{
    yyjson_val *pair;
    size_t i, count;

    yyjson_arr_foreach(texts, i, count, pair)
    {
        if (!add_text(file, yyjson_get_uint(yyjson_arr_get_first(pair)),
                      yyjson_get_str(yyjson_arr_get_last(pair))))
            return false;
    }
    return true;
}

/* In whole nanoseconds: of a slice whose begin and length are rounded apart, the end may lie
 * behind the next one's begin, and viewers drop what does not nest. */
static double us_of(const struct trace_file *file, double ticks)
{
    double ns = (ticks - file->origin) * 1e9 / file->ticks_per_second;

    return ns > 0 ? (double)(uint64_t)(ns + 0.5) / 1000 : 0;
}

static bool add_events(struct trace_file *file, uint32_t loop, double ticks, yyjson_val *events)
{
    double numbers[EVENT_NUMBERS];
    yyjson_val *number;
    size_t i, count;

    yyjson_arr_foreach(events, i, count, number)
    {
        struct trace_event event;
        uint32_t text;

        numbers[i % EVENT_NUMBERS] = yyjson_get_num(number);
        if (i % EVENT_NUMBERS != EVENT_NUMBERS - 1)
            continue;
        ticks += numbers[0];
        text = (uint32_t)numbers[4];
        event = (struct trace_event){ .us = us_of(file, ticks),
                                      .kind = (unsigned)numbers[1],
                                      .slot = (uint32_t)numbers[2],
                                      .generation = (uint32_t)numbers[3],
                                      .text = text && text <= file->text_count ? file->texts[text]
                                                                               : NULL,
                                      .value = (int32_t)numbers[5] };
        file->events++;
        trace_convert(file, loop, &event);
    }
    return count % EVENT_NUMBERS == 0;
}

bool trace_file_line(struct trace_file *file, yyjson_val *line)
{
    uint64_t loop = yyjson_get_uint(yyjson_obj_get(line, "loop"));
    uint64_t lost = yyjson_get_uint(yyjson_obj_get(line, "lost"));
    double ticks = (double)yyjson_get_uint(yyjson_obj_get(line, "ticks"));

    if (loop >= TRACE_LOOPS_MAX)
        return false;
    file->lost += lost;
    if (lost > 0)
        trace_gap(file, (uint32_t)loop, lost, us_of(file, ticks));
    return add_texts(file, yyjson_obj_get(line, "texts")) &&
           add_events(file, (uint32_t)loop, ticks, yyjson_obj_get(line, "events"));
}

void trace_file_end(struct trace_file *file)
{
    file->full = false;
    trace_print(file,
                "\n],\"otherData\":{\"events\":\"%" PRIu64 "\",\"lost\":\"%" PRIu64
                "\",\"left out of the file\":\"%" PRIu64 "\"}}\n",
                file->events, file->lost, file->left_out);
}

void trace_file_done(struct trace_file *file)
{
    for (uint32_t i = 1; i <= file->text_count; i++)
        base_free(file->texts[i]);
    base_free(file->texts);
    for (uint32_t i = 0; i < TRACE_LOOPS_MAX; i++)
        base_free(file->loops[i].tasks);
}
