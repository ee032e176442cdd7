/* Copies of stacks, and what they say: which function called which, in which file.
 *
 * A copy is taken where the stack stands still, which is cheap: in a signal handler on the
 * thread that runs on it, or on the loop of a parked task. It is unwound and named later,
 * by the call frame information of the program and its libraries (DWARF 4, section 6.4), on
 * a thread that may take milliseconds.
 *
 * Without libdw a stack is followed along the frame pointers, and its functions are named
 * by the dynamic linker's table, where they have a name at all. */
#ifndef OPS_STACK_H
#define OPS_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "rt/inspect.h"

#define STACK_COPY_BYTES 32768
#define STACK_REGISTERS 33
#define STACK_FRAMES_MAX 64

struct stack_copy {
    uint64_t registers[STACK_REGISTERS]; /* in DWARF's numbering for this processor */
    uint64_t pc, sp;
    uint64_t low; /* the address of bytes[0] */
    size_t len;
    bool cut; /* the stack goes on above */
    unsigned char bytes[STACK_COPY_BYTES];
};

struct stack_frame {
    uint64_t pc;
    char function[96]; /* "" when it has no name */
    char file[128];    /* as the compiler was given it; "" without debugging information */
    char module[64];   /* the program's or library's file name */
    int line;
    bool inlined;      /* into the next one */
};

/* From a signal handler's third argument: async-signal-safe. stack_high: where the stack
 * ends; NULL when that is not known. */
void stack_copy_signal(struct stack_copy *copy, const void *ucontext, const char *stack_high);
/* A task that stands in a switch: one that is parked or ready and has begun. On its
 * loop's thread. false: it has no stack to be copied. */
bool stack_copy_task(struct stack_copy *copy, const struct inspect_task *task);

/* The same from words that were read out of another process: those that a switch has saved
 * (STACK_SAVED_WORDS) and, behind them, the stack. address: of the first one. */
#if defined(__x86_64__)
#define STACK_SAVED_WORDS 7
#elif defined(__aarch64__)
#define STACK_SAVED_WORDS 20
#endif
void stack_copy_words(struct stack_copy *copy, const uint64_t *words, size_t count,
                      uint64_t address);

/* The rest is slow, and takes its turn with other threads that want the same. */

/* The program counters, innermost first: those behind the first are return addresses. */
uint32_t stack_unwind(const struct stack_copy *copy, uint64_t *ret_pcs, uint32_t max);
/* What stands at an address; more than one frame where functions were inlined, innermost
 * first; one without names where nothing is known. */
uint32_t stack_name(uint64_t pc, bool is_return, struct stack_frame *ret_frames, uint32_t max);
/* All frames from the one that parked or was interrupted to the task's own function, one a
 * line, as in "    serve  src/app.c:12"; the runtime's machinery at both ends is left out.
 * What is missing, for want of room or because it was not copied, a last line tells. Returns
 * the length. */
size_t stack_print(const struct stack_copy *copy, char *text, size_t size);
/* From now on the copies are another process's, which may be stopped; 0: this one's. */
void stack_of_process(pid_t pid);
/* Free what is kept for the next time. */
void stack_done(void);

#endif
