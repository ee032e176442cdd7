/* Unwinding copies of stacks, and naming what they call; see stack.h.
 *
 * libdw reads the program's own files once, at the first question, and again when an
 * address lies in none of the modules it knows: a library was loaded meanwhile. One
 * thread at a time: what is here is not made for several. */
#include "ops/stack.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <elfutils/libdwfl.h>
#include <dwarf.h>
#include <weir/error.h>

#include "base/strbuf.h"

#define STACK_THREAD 1 /* libdw unwinds threads: ours has this number */

#if defined(__x86_64__)
#define STACK_CFI_REGISTERS 17
#elif defined(__aarch64__)
#define STACK_CFI_REGISTERS 32
#endif

static struct {
    pthread_mutex_t lock;
    Dwfl *dwfl;
    pid_t pid; /* 0: this process */
    const struct stack_copy *copy; /* that is being unwound */
} symbols = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- what libdw asks -------------------------------------------------------------- */

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
    (void)dwfl;
    (void)arg;
    if (*thread_arg)
        return 0;
    *thread_arg = &symbols;
    return STACK_THREAD;
}

static bool get_thread(Dwfl *dwfl, pid_t thread, void *arg, void **thread_arg)
{
    (void)dwfl;
    (void)arg;
    *thread_arg = &symbols;
    return thread == STACK_THREAD;
}

/* Only the copied stack: nothing else is needed, and nothing else stands still. */
static bool read_memory(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *result, void *arg)
{
    const struct stack_copy *copy = symbols.copy;

    (void)dwfl;
    (void)arg;
    if (address < copy->low || address - copy->low + sizeof(*result) > copy->len)
        return false;
    memcpy(result, copy->bytes + (address - copy->low), sizeof(*result));
    return true;
}

static bool set_registers(Dwfl_Thread *thread, void *thread_arg)
{
    (void)thread_arg;
    dwfl_thread_state_register_pc(thread, symbols.copy->pc);
    return dwfl_thread_state_registers(thread, 0, STACK_CFI_REGISTERS, symbols.copy->registers);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
    .next_thread = next_thread,
    .get_thread = get_thread,
    .memory_read = read_memory,
    .set_initial_registers = set_registers,
};

/* ---- the program's modules ---------------------------------------------------------- */

static bool report_modules(void)
{
    dwfl_report_begin(symbols.dwfl);
    return dwfl_linux_proc_report(symbols.dwfl, symbols.pid ? symbols.pid : getpid()) == 0 &&
           dwfl_report_end(symbols.dwfl, NULL, NULL) == 0;
}

/* libdw keeps the files open, without O_CLOEXEC: the program's children are not to have
 * them. */
static int keep(int fd)
{
    if (fd >= 0)
        WEIR_IGNORE(fcntl(fd, F_SETFD, FD_CLOEXEC), "a child has it then");
    return fd;
}

static int find_elf(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
                    char **ret_path, Elf **ret_elf)
{
    return keep(dwfl_linux_proc_find_elf(module, data, name, base, ret_path, ret_elf));
}

static int find_debuginfo(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
                          const char *path, const char *link, GElf_Word crc, char **ret_path)
{
    return keep(dwfl_standard_find_debuginfo(module, data, name, base, path, link, crc, ret_path));
}

static bool symbols_open(void)
{
    static const Dwfl_Callbacks callbacks = {
        .find_elf = find_elf,
        .find_debuginfo = find_debuginfo,
    };

    if (symbols.dwfl)
        return true;
    symbols.dwfl = dwfl_begin(&callbacks);
    if (symbols.dwfl && report_modules() &&
        dwfl_attach_state(symbols.dwfl, NULL, STACK_THREAD, &thread_callbacks, &symbols))
        return true;
    dwfl_end(symbols.dwfl);
    symbols.dwfl = NULL;
    return false;
}

static Dwfl_Module *module_of(uint64_t pc)
{
    Dwfl_Module *module = dwfl_addrmodule(symbols.dwfl, pc);

    if (!module && report_modules())
        module = dwfl_addrmodule(symbols.dwfl, pc);
    return module;
}

void stack_of_process(pid_t pid)
{
    stack_done();
    symbols.pid = pid;
}

void stack_done(void)
{
    pthread_mutex_lock(&symbols.lock);
    dwfl_end(symbols.dwfl);
    symbols.dwfl = NULL;
    pthread_mutex_unlock(&symbols.lock);
}

/* ---- unwinding ------------------------------------------------------------------------ */

struct frames {
    uint64_t *pcs;
    uint32_t count, max;
};

static int add_frame(Dwfl_Frame *frame, void *arg)
{
    struct frames *frames = arg;
    Dwarf_Addr pc;

    if (frames->count == frames->max || !dwfl_frame_pc(frame, &pc, NULL) || pc == 0)
        return DWARF_CB_ABORT;
    frames->pcs[frames->count++] = pc;
    return DWARF_CB_OK;
}

uint32_t stack_unwind(const struct stack_copy *copy, uint64_t *ret_pcs, uint32_t max)
{
    struct frames frames = { ret_pcs, 0, max };

    pthread_mutex_lock(&symbols.lock);
    if (symbols_open()) {
        module_of(copy->pc);
        symbols.copy = copy;
        dwfl_getthread_frames(symbols.dwfl, STACK_THREAD, add_frame, &frames);
        symbols.copy = NULL;
    }
    pthread_mutex_unlock(&symbols.lock);
    if (frames.count == 0 && max > 0)
        ret_pcs[frames.count++] = copy->pc;
    return frames.count;
}

/* ---- names ------------------------------------------------------------------------------ */

static void set_text(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "");
}

/* A file's name as the compiler was given it. libdw puts the folder of the compilation in
 * front, also where both were made relative to the project's (-ffile-prefix-map). */
static void set_file(struct stack_frame *frame, Dwarf_Die *unit, const char *name)
{
    Dwarf_Attribute attribute;
    const char *folder = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
    size_t len = folder ? strlen(folder) : 0;

    if (name && len > 0 && folder[0] != '/' && strncmp(name, folder, len) == 0 && name[len] == '/')
        name += len + 1;
    set_text(frame->file, sizeof(frame->file), name);
}

/* Where an inlined function was called: DWARF 4, section 3.3.8.2. */
static void set_call_site(struct stack_frame *frame, Dwarf_Die *unit, Dwarf_Die *inlined)
{
    Dwarf_Attribute attribute;
    Dwarf_Files *files;
    Dwarf_Word file = 0, line = 0;

    dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &file);
    dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &line);
    if (dwarf_getsrcfiles(unit, &files, NULL) == 0)
        set_file(frame, unit, dwarf_filesrc(files, file, NULL, NULL));
    frame->line = (int)line;
}

/* The compilation unit of an address. What clang writes has no table of them
 * (.debug_aranges), and is looked through. */
static Dwarf_Die *unit_of(Dwfl_Module *module, uint64_t at, Dwarf_Addr *ret_bias)
{
    Dwarf_Die *unit = dwfl_module_addrdie(module, at, ret_bias);

    if (unit)
        return unit;
    while ((unit = dwfl_module_nextcu(module, unit, ret_bias)) != NULL)
        if (dwarf_haspc(unit, at - *ret_bias) > 0)
            return unit;
    return NULL;
}

/* The functions that stand at an address, by their own names, in this unit; the first
 * frame has its file and line already. at: within the unit's own file. */
static uint32_t name_scopes(Dwarf_Die *unit, uint64_t at, struct stack_frame *frames, uint32_t max)
{
    Dwarf_Die *innermost = NULL, *scopes = NULL;
    uint32_t count = 0;
    int found = 0;

    /* Of the scopes that libdw gives for an address, those around an inlined function are
     * where it was written; those around its entry are where it was put. */
    if (dwarf_getscopes(unit, at, &innermost) > 0)
        found = dwarf_getscopes_die(&innermost[0], &scopes);
    for (int i = 0; i < found && count < max; i++) {
        int tag = dwarf_tag(&scopes[i]);
        const char *name;

        if (tag != DW_TAG_subprogram && tag != DW_TAG_inlined_subroutine)
            continue;
        name = dwarf_diename(&scopes[i]);
        set_text(frames[count].function, sizeof(frames[count].function), name);
        count++;
        if (tag == DW_TAG_subprogram)
            break;
        frames[count - 1].inlined = true;
        if (count < max)
            set_call_site(&frames[count], unit, &scopes[i]);
    }
    free(innermost);
    free(scopes);
    return count;
}

static uint32_t name_in_module(Dwfl_Module *module, uint64_t pc, uint64_t at,
                               struct stack_frame *frames, uint32_t max)
{
    const char *path = dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL), *slash;
    Dwarf_Addr bias;
    Dwarf_Die *unit = unit_of(module, at, &bias);
    Dwarf_Line *line = unit ? dwarf_getsrc_die(unit, at - bias) : NULL;
    uint32_t count = 1;

    if (line) {
        set_file(&frames[0], unit, dwarf_linesrc(line, NULL, NULL));
        dwarf_lineno(line, &frames[0].line);
    }
    if (unit && (count = name_scopes(unit, at - bias, frames, max)) == 0)
        count = 1;
    if (!frames[count - 1].function[0])
        set_text(frames[count - 1].function, sizeof(frames[0].function),
                 dwfl_module_addrname(module, at));
    slash = path ? strrchr(path, '/') : NULL;
    for (uint32_t i = 0; i < count; i++) {
        frames[i].pc = pc;
        set_text(frames[i].module, sizeof(frames[i].module), slash ? slash + 1 : path);
    }
    return count;
}

uint32_t stack_name(uint64_t pc, bool is_return, struct stack_frame *ret_frames, uint32_t max)
{
    uint64_t at = is_return ? pc - 1 : pc; /* within the call */
    Dwfl_Module *module;
    uint32_t count = 1;

    if (max == 0)
        return 0;
    memset(ret_frames, 0, max * sizeof(*ret_frames));
    ret_frames[0].pc = pc;
    pthread_mutex_lock(&symbols.lock);
    module = symbols_open() ? module_of(at) : NULL;
    if (module)
        count = name_in_module(module, pc, at, ret_frames, max);
    pthread_mutex_unlock(&symbols.lock);
    return count;
}
