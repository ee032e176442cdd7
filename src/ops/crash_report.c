/* The words of a crash's report; see crash.h. Of the program's own structures nothing is
 * trusted: they are read by safe_read(). */
#include "ops/crash.h"

#include <link.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ops/safe_read.h"
#include "rt/loop.h"

#define OWN_EVENTS 32
#define OTHER_EVENTS 8
#define EVENT_WHAT_BYTES 96
#define WORDS_MAX 24     /* addresses shown of a stack that could not be named */
#define FOLD_LINES 40    /* of a stack that is long */
#define SKIP_PAGES 64    /* looked through for the end of a guard */
#define PAGE_BYTES 4096

const char *crash_signal_name(int number)
{
    switch (number) {
    case SIGSEGV: return "SIGSEGV";
    case SIGBUS: return "SIGBUS";
    case SIGILL: return "SIGILL";
    case SIGFPE: return "SIGFPE";
    case SIGABRT: return "SIGABRT";
    default: return "a signal";
    }
}

/* ---- where ------------------------------------------------------------------------- */

static void write_cause(struct plain *p, const siginfo_t *info)
{
    plain_text(p, crash_signal_name(info->si_signo));
    if (info->si_code <= 0) {
        if (info->si_pid == getpid()) {
            plain_text(p, ", raised by the program itself");
        } else {
            plain_text(p, ", sent by the process ");
            plain_number(p, info->si_pid);
        }
        return;
    }
    if (info->si_signo == SIGFPE && info->si_code == FPE_INTDIV)
        plain_text(p, ", a division by zero");
    else if (info->si_signo == SIGSEGV && info->si_code == SEGV_MAPERR)
        plain_text(p, ", where nothing is mapped");
    else if (info->si_signo == SIGSEGV && info->si_code == SEGV_ACCERR)
        plain_text(p, ", without permission");
    plain_text(p, info->si_signo == SIGSEGV || info->si_signo == SIGBUS ? ", address "
                                                                        : ", instruction at ");
    plain_hex(p, (uint64_t)(uintptr_t)info->si_addr);
}

static void write_field(struct plain *p, const char *name, const char *value)
{
    if (!*value)
        return;
    plain_text(p, "  ");
    plain_column(p, name, 16);
    plain_text(p, value);
    plain_text(p, "\n");
}

/* As weir ps has it. */
static void write_handle(struct plain *p, uint32_t loop, uint32_t slot, uint32_t generation)
{
    plain_number(p, loop);
    plain_text(p, ".");
    plain_number(p, slot);
    plain_text(p, ".");
    plain_number(p, generation);
}

static void write_running(struct plain *p, uint32_t loop, const struct running *r)
{
    if (r->handle.slot == 0) {
        plain_text(p, "  no task runs: this is the loop's own code\n");
        return;
    }
    plain_text(p, "  ");
    plain_column(p, "task", 16);
    plain_text(p, r->name);
    plain_text(p, " (");
    write_handle(p, loop, r->handle.slot, r->handle.generation);
    plain_text(p, ")\n");
    write_field(p, "started at", r->site);
    write_field(p, "scopes", r->path);
    write_field(p, "route", r->route);
    write_field(p, "correlation id", r->correlation_id);
    write_field(p, "trace id", r->trace_id);
}

/* Does the address lie in the guard of the task's stack? A large frame reaches beyond it
 * at once. */
static bool is_overflow(const struct running *r, const siginfo_t *info)
{
    const char *at = info->si_addr;

    return r->stack_low && info->si_code > 0 &&
           (info->si_signo == SIGSEGV || info->si_signo == SIGBUS) &&
           at < r->stack_low + PAGE_BYTES && at >= r->stack_low - r->stack_bytes;
}

static void write_depth(struct crash_report *report, const siginfo_t *info)
{
    const struct running *r = &report->running;
    struct plain *p = &report->text;
    const char *sp = (const char *)(uintptr_t)report->copy.sp;

    if (!r->stack_high)
        return;
    if (is_overflow(r, info)) {
        plain_text(p, "  ITS STACK HAS OVERFLOWED: it is ");
        plain_number(p, r->stack_high - sp);
        plain_text(p, " bytes deep, of ");
        plain_number(p, (int64_t)r->stack_bytes);
        plain_text(p, ": keep large things elsewhere (weir_alloc()), call less deep, use\n"
                      "  weir_on_loop_stack() for a library that needs much, or ask for more "
                      "(.stack_bytes)\n");
    } else if (sp >= r->stack_low && sp < r->stack_high) {
        plain_text(p, "  its stack is ");
        plain_number(p, r->stack_high - sp);
        plain_text(p, " bytes deep, of ");
        plain_number(p, (int64_t)r->stack_bytes);
        plain_text(p, "\n");
    } else if (!r->on_loop_stack) {
        plain_text(p, "  the stack pointer is outside of its stack\n");
    }
}

void crash_write_head(struct crash_report *report, const siginfo_t *info, const struct loop *loop)
{
    struct plain *p = &report->text;
    char thread[17] = "";

    prctl(PR_GET_NAME, thread);
    plain_text(p, "weir: CRASH: ");
    write_cause(p, info);
    plain_text(p, "; process ");
    plain_number(p, getpid());
    plain_text(p, ", thread ");
    plain_number(p, gettid());
    plain_text(p, " (");
    plain_text(p, thread);
    plain_text(p, ")");
    if (!loop) {
        plain_text(p, ", which runs no loop\n");
        return;
    }
    plain_text(p, ", loop ");
    plain_number(p, loop->index);
    plain_text(p, "\n");
    write_running(p, loop->index, &report->running);
    write_depth(report, info);
}

/* ---- the stack --------------------------------------------------------------------- */

static void take_pages(struct stack_copy *copy, uint64_t from)
{
    copy->low = from & ~(uint64_t)7;
    copy->len = 0;
    while (copy->len < STACK_COPY_BYTES) {
        uint64_t at = copy->low + copy->len;
        size_t part = PAGE_BYTES - at % PAGE_BYTES;

        if (part > STACK_COPY_BYTES - copy->len)
            part = STACK_COPY_BYTES - copy->len;
        if (!safe_read(copy->bytes + copy->len, (const void *)(uintptr_t)at, part))
            return;
        copy->len += part;
    }
}

/* What is there of it: the stack pointer may be in a guard, or anywhere. */
void crash_copy_stack(struct crash_report *report, const void *context)
{
    const struct running *r = &report->running;
    struct stack_copy *copy = &report->copy;
    uint64_t low = (uint64_t)(uintptr_t)r->stack_low, from;

    stack_copy_signal(copy, context, NULL);
    from = copy->sp;
    if (low && from < low + PAGE_BYTES && from >= low - r->stack_bytes)
        from = low + PAGE_BYTES;
    take_pages(copy, from);
    for (int i = 0; i < SKIP_PAGES && copy->len == 0; i++) {
        from = (from | (PAGE_BYTES - 1)) + 1;
        take_pages(copy, from);
    }
}

static const char *line_end(const char *line)
{
    const char *end = strchr(line, '\n');

    return end ? end + 1 : line + strlen(line);
}

/* Lines, of which a run of the same is one. */
static void write_folded(struct plain *p, char *stack)
{
    char *line = stack, *end;

    for (int lines = 0; *line && lines < FOLD_LINES; lines++) {
        size_t len, times = 1;
        char *next;

        end = line + (line_end(line) - line);
        len = (size_t)(end - line);
        for (next = end; strncmp(next, line, len) == 0; next += len)
            times++;
        if (end[-1] == '\n')
            end[-1] = '\0';
        plain_text(p, line);
        if (times > 1) {
            plain_text(p, "  (");
            plain_number(p, (int64_t)times);
            plain_text(p, " times)");
        }
        plain_text(p, "\n");
        line = next;
    }
    if (*line)
        plain_text(p, "    ...\n");
}

/* Where the program's own file is mapped to be run: the first that is told. */
static int note_code(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct crash_report *report = arg;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];

        if (part->p_type == PT_LOAD && part->p_flags & PF_X) {
            report->code_low = info->dlpi_addr + part->p_vaddr;
            report->code_high = report->code_low + part->p_memsz;
        }
    }
    return 1;
}

void crash_note_code(struct crash_report *report)
{
    dl_iterate_phdr(note_code, report);
}

/* Addresses that may be returns into the program. */
static void write_words(struct crash_report *report)
{
    uint64_t low = report->code_low, high = report->code_high;
    struct plain *p = &report->text;
    uint32_t count = 0;

    plain_text(p, "    ");
    plain_hex(p, report->copy.pc);
    plain_text(p, "  (no names could be found; addresses of the program seen on the stack, "
                  "which begins at ");
    plain_hex(p, low);
    plain_text(p, ":)\n");
    for (size_t at = 0; at + 8 <= report->copy.len && count < WORDS_MAX; at += 8) {
        uint64_t word;

        memcpy(&word, report->copy.bytes + at, sizeof(word));
        if (word < low || word >= high)
            continue;
        plain_text(p, "    ");
        plain_hex(p, word);
        plain_text(p, "\n");
        count++;
    }
}

void crash_write_stack(struct crash_report *report)
{
    plain_text(&report->text, "  stack:\n");
    if (report->named && report->stack[0])
        write_folded(&report->text, report->stack);
    else
        write_words(report);
}

/* ---- what the loops did ------------------------------------------------------------ */

static void write_event(struct plain *p, uint32_t loop, const struct record_event *event,
                        uint64_t now)
{
    char what[EVENT_WHAT_BYTES];

    safe_read_text(what, sizeof(what), event->what);
    plain_text(p, "    ");
    plain_ms(p, -(int64_t)ticks_to_ns(now > event->ticks ? now - event->ticks : 0));
    plain_text(p, "  ");
    plain_column(p, record_kind_name(event->kind), 7);
    if (event->slot) {
        plain_text(p, "task ");
        write_handle(p, loop, event->slot, event->generation);
        plain_text(p, "  ");
    }
    plain_text(p, what);
    if (event->value) {
        plain_text(p, "  ");
        plain_number(p, event->value);
    }
    plain_text(p, "\n");
}

static void write_events(struct plain *p, const struct loop *loop, uint32_t max)
{
    struct record_event events[OWN_EVENTS];
    struct recorder *recorder = NULL;
    uint64_t now = ticks_now(), total, from;
    uint32_t count;

    safe_read(&recorder, &loop->recorder, sizeof(recorder));
    if (!recorder || !safe_read(&total, (const void *)&recorder->count, sizeof(total)))
        return;
    from = total > max ? total - max : 0;
    count = recorder_read(recorder, &from, events, max);
    plain_text(p, "  its last events, the newest last:\n");
    for (uint32_t i = 0; i < count; i++)
        write_event(p, loop->index, &events[i], now);
}

static void write_other(struct crash_report *report, const struct loop *loop)
{
    struct plain *p = &report->text;
    uint64_t began = 0, now = ticks_now();

    plain_text(p, "loop ");
    plain_number(p, loop->index);
    safe_read(&began, (const void *)&loop->pulse.began, sizeof(began));
    if (began == 0) {
        plain_text(p, " waits for input\n");
    } else {
        plain_text(p, " has been running for ");
        plain_ms(p, (int64_t)ticks_to_ns(now > began ? now - began : 0));
        plain_text(p, ":\n");
        running_read(loop, &report->other);
        write_running(p, loop->index, &report->other);
    }
    write_events(p, loop, OTHER_EVENTS);
}

void crash_write_loops(struct crash_report *report, const struct loop *loop)
{
    if (loop)
        write_events(&report->text, loop, OWN_EVENTS);
    for (uint32_t i = 0; i < loop_count(); i++) {
        const struct loop *other = loop_at(i);

        if (other && other != loop)
            write_other(report, other);
    }
}
