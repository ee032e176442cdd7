/* Where libdw is missing: a stack is followed along the frame pointers that the project's
 * own code keeps, and named by the dynamic linker's table; see stack.h. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "ops/stack.h"

#if defined(__x86_64__)
#define FRAME_POINTER 6
#elif defined(__aarch64__)
#define FRAME_POINTER 29
#endif

static bool foreign;

static bool read_word(const struct stack_copy *copy, uint64_t address, uint64_t *ret_word)
{
    if (address < copy->low || address - copy->low + sizeof(*ret_word) > copy->len)
        return false;
    memcpy(ret_word, copy->bytes + (address - copy->low), sizeof(*ret_word));
    return true;
}

uint32_t stack_unwind(const struct stack_copy *copy, uint64_t *ret_pcs, uint32_t max)
{
    uint64_t frame = copy->registers[FRAME_POINTER], pc = copy->pc, next;
    uint32_t count = 0;

    while (count < max && pc) {
        ret_pcs[count++] = pc;
        if (!read_word(copy, frame, &next) || !read_word(copy, frame + 8, &pc) || next <= frame)
            break;
        frame = next;
    }
    return count;
}

uint32_t stack_name(uint64_t pc, bool is_return, struct stack_frame *ret_frames, uint32_t max)
{
    Dl_info info;
    const char *slash;

    (void)is_return;
    if (max == 0)
        return 0;
    memset(ret_frames, 0, sizeof(*ret_frames));
    ret_frames->pc = pc;
    if (foreign || !dladdr((const void *)(uintptr_t)pc, &info))
        return 1;
    slash = info.dli_fname ? strrchr(info.dli_fname, '/') : NULL;
    snprintf(ret_frames->function, sizeof(ret_frames->function), "%s",
             info.dli_sname ? info.dli_sname : "");
    snprintf(ret_frames->module, sizeof(ret_frames->module), "%s",
             slash            ? slash + 1
             : info.dli_fname ? info.dli_fname
                              : "");
    return 1;
}

/* The linker's table is this process's own: addresses of another one stay addresses. */
void stack_of_process(pid_t pid)
{
    foreign = pid != 0;
}

void stack_done(void)
{
}
