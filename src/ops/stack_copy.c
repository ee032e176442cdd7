/* Copying a stack that stands still; see stack.h. Everything here is
 * async-signal-safe. What a processor saves where is in src/rt/switch_*.S. */
#include <string.h>
#include <ucontext.h>

#include "ops/stack.h"

/* A stack may be poisoned here and there, and is written by others: no sanitizer looks. */
__attribute__((no_sanitize("address", "thread", "undefined"), noinline)) static void
copy_words(unsigned char *to, const char *from, size_t len)
{
    const volatile uint64_t *words = (const volatile uint64_t *)from;
    uint64_t *copy = (uint64_t *)to;

    for (size_t i = 0; i < len / sizeof(*copy); i++)
        copy[i] = words[i];
}

static void copy_stack(struct stack_copy *copy, const char *high)
{
    size_t len;

    copy->low = copy->sp & ~(uint64_t)7;
    len = (const char *)copy->low < high ? (size_t)(high - (const char *)copy->low) : 0;
    copy->len = (len < STACK_COPY_BYTES ? len : STACK_COPY_BYTES) & ~(size_t)7;
    copy->cut = len > STACK_COPY_BYTES;
    copy_words(copy->bytes, (const char *)copy->low, copy->len);
}

#if defined(__x86_64__)

/* DWARF's numbers: System V ABI, x86-64 supplement, figure 3.36. */
enum { RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP, R8, R12 = 12, R13, R14, R15, RIP };

static void registers_of_signal(struct stack_copy *copy, const ucontext_t *context)
{
    static const uint8_t numbers[] = {
        [RAX] = REG_RAX, [RDX] = REG_RDX, [RCX] = REG_RCX, [RBX] = REG_RBX, [RSI] = REG_RSI,
        [RDI] = REG_RDI, [RBP] = REG_RBP, [RSP] = REG_RSP, [R8] = REG_R8,   [9] = REG_R9,
        [10] = REG_R10,  [11] = REG_R11,  [R12] = REG_R12, [R13] = REG_R13, [R14] = REG_R14,
        [R15] = REG_R15, [RIP] = REG_RIP,
    };

    for (size_t i = 0; i < sizeof(numbers); i++)
        copy->registers[i] = (uint64_t)context->uc_mcontext.gregs[numbers[i]];
    copy->pc = copy->registers[RIP];
    copy->sp = copy->registers[RSP];
}

/* As context_switch() saves them: r15, r14, r13, r12, rbx, rbp, the return address. */
static void registers_of_switch(struct stack_copy *copy, const uint64_t *saved, uint64_t address)
{
    static const uint8_t numbers[] = { R15, R14, R13, R12, RBX, RBP, RIP };

    for (size_t i = 0; i < sizeof(numbers); i++)
        copy->registers[numbers[i]] = saved[i];
    copy->pc = saved[6];
    copy->sp = address + STACK_SAVED_WORDS * sizeof(*saved);
    copy->registers[RSP] = copy->sp;
}

#elif defined(__aarch64__)

/* DWARF's numbers: DWARF for the Arm 64-bit Architecture, section 4.1. */
enum { X29 = 29, X30, SP };

static void registers_of_signal(struct stack_copy *copy, const ucontext_t *context)
{
    memcpy(copy->registers, context->uc_mcontext.regs, 31 * sizeof(uint64_t));
    copy->registers[SP] = context->uc_mcontext.sp;
    copy->pc = context->uc_mcontext.pc;
    copy->sp = context->uc_mcontext.sp;
}

/* As context_switch() saves them: x29, x30 (signed), x19 to x28, d8 to d15. */
static void registers_of_switch(struct stack_copy *copy, const uint64_t *saved, uint64_t address)
{
    register uint64_t signed_pc __asm__("x30") = saved[1];

    __asm__("hint #7" : "+r"(signed_pc)); /* xpaclri: take the signature off */
    copy->registers[X29] = saved[0];
    copy->registers[X30] = signed_pc;
    for (int i = 0; i < 10; i++)
        copy->registers[19 + i] = saved[2 + i];
    copy->pc = signed_pc;
    copy->sp = address + STACK_SAVED_WORDS * sizeof(*saved);
    copy->registers[SP] = copy->sp;
}

#endif

void stack_copy_signal(struct stack_copy *copy, const void *ucontext, const char *stack_high)
{
    memset(copy->registers, 0, sizeof(copy->registers));
    registers_of_signal(copy, ucontext);
    copy->len = 0;
    copy->cut = true;
    if (stack_high)
        copy_stack(copy, stack_high);
}

__attribute__((no_sanitize("address", "thread"))) bool
stack_copy_task(struct stack_copy *copy, const struct inspect_task *task)
{
    if (!task->stack_pointer)
        return false;
    memset(copy->registers, 0, sizeof(copy->registers));
    registers_of_switch(copy, task->stack_pointer, (uint64_t)(uintptr_t)task->stack_pointer);
    copy_stack(copy, task->stack_high);
    return true;
}

void stack_copy_words(struct stack_copy *copy, const uint64_t *words, size_t count,
                      uint64_t address)
{
    size_t bytes;

    memset(copy->registers, 0, sizeof(copy->registers));
    copy->len = 0;
    copy->cut = false;
    if (count < STACK_SAVED_WORDS)
        return;
    registers_of_switch(copy, words, address);
    bytes = (count - STACK_SAVED_WORDS) * sizeof(*words);
    copy->low = copy->sp;
    copy->len = bytes < STACK_COPY_BYTES ? bytes : STACK_COPY_BYTES;
    memcpy(copy->bytes, words + STACK_SAVED_WORDS, copy->len);
}
