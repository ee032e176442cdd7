/* Switching stacks on x86-64 (System V ABI, sections 3.2.1 and 3.2.3).
 *
 * void context_switch(void **save_sp, void *to_sp)
 *
 * Saves what a function call must keep (rbx, rbp, r12 to r15) on the running
 * stack and its stack pointer in *save_sp, then takes up the stack to_sp. The
 * x87 and SSE control words are the thread's, not the task's.
 *
 * It ends with ret, not with a jump: nearly every switch is made from one place
 * (fiber_yield_to_next), so the stack of returns that the processor keeps foretells
 * the right address, and stays level for the returns that follow. */
        .text
        .globl  context_switch
        .hidden context_switch
        .type   context_switch, @function
        .p2align 4
context_switch:
        .cfi_startproc
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
        ret
        .cfi_endproc
        .size   context_switch, .-context_switch

/* void context_enter(void **save_sp, void *top, void (*fn)(void *arg))
 *
 * Saves as context_switch() does, and begins fn(top) on the empty stack that ends at
 * top. It jumps there: the call that came here stays open on the processor's stack of
 * returns, for the ret with which context_leave() closes it. fn finds 0 as its return
 * address, which ends every unwind, and never returns. */
        .globl  context_enter
        .hidden context_enter
        .type   context_enter, @function
        .p2align 4
context_enter:
        .cfi_startproc
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        movq    %rsp, (%rdi)
        .cfi_undefined %rip
        movq    %rsi, %rsp
        movq    %rsi, %rdi
        xorl    %ebp, %ebp
        pushq   $0
        jmpq    *%rdx
        .cfi_endproc
        .size   context_enter, .-context_enter

/* Where a new stack begins: rbx holds the argument, r12 the function. It never
 * returns; the undefined rip ends every unwind here. */
        .globl  context_begin
        .hidden context_begin
        .type   context_begin, @function
        .p2align 4
context_begin:
        .cfi_startproc
        .cfi_undefined %rip
        movq    %rbx, %rdi
        callq   *%r12
        ud2
        .cfi_endproc
        .size   context_begin, .-context_begin

        .section .note.GNU-stack, "", @progbits
