/* Switching stacks on aarch64 (AAPCS64, sections 6.1 and 6.2).
 *
 * void context_switch(void **save_sp, void *to_sp)
 *
 * Saves what a function call must keep (x19 to x30 and the low halves of v8 to
 * v15) on the running stack and its stack pointer in *save_sp, then takes up the
 * stack to_sp. FPCR is the thread's, not the task's, as are the control words on
 * x86-64.
 *
 * The instructions for pointer authentication and branch targets are hints: where
 * the processor or the build lacks them they do nothing. The return address is
 * signed with the stack pointer, which is the same when the stack is taken up
 * again. It ends with ret, so that the stack of returns that the processor keeps
 * stays level. */
        .text
        .globl  context_switch
        .hidden context_switch
        .type   context_switch, %function
        .p2align 4
context_switch:
        .cfi_startproc
        hint    #25                     /* paciasp, which is a landing pad as well */
        .cfi_negate_ra_state
        stp     x29, x30, [sp, #-160]!
        .cfi_def_cfa_offset 160
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        stp     x19, x20, [sp, #16]
        .cfi_rel_offset x19, 16
        .cfi_rel_offset x20, 24
        stp     x21, x22, [sp, #32]
        .cfi_rel_offset x21, 32
        .cfi_rel_offset x22, 40
        stp     x23, x24, [sp, #48]
        .cfi_rel_offset x23, 48
        .cfi_rel_offset x24, 56
        stp     x25, x26, [sp, #64]
        .cfi_rel_offset x25, 64
        .cfi_rel_offset x26, 72
        stp     x27, x28, [sp, #80]
        .cfi_rel_offset x27, 80
        .cfi_rel_offset x28, 88
        stp     d8, d9, [sp, #96]
        .cfi_rel_offset d8, 96
        .cfi_rel_offset d9, 104
        stp     d10, d11, [sp, #112]
        .cfi_rel_offset d10, 112
        .cfi_rel_offset d11, 120
        stp     d12, d13, [sp, #128]
        .cfi_rel_offset d12, 128
        .cfi_rel_offset d13, 136
        stp     d14, d15, [sp, #144]
        .cfi_rel_offset d14, 144
        .cfi_rel_offset d15, 152
        mov     x9, sp
        str     x9, [x0]
        mov     sp, x1
        ldp     x19, x20, [sp, #16]
        ldp     x21, x22, [sp, #32]
        ldp     x23, x24, [sp, #48]
        ldp     x25, x26, [sp, #64]
        ldp     x27, x28, [sp, #80]
        ldp     d8, d9, [sp, #96]
        ldp     d10, d11, [sp, #112]
        ldp     d12, d13, [sp, #128]
        ldp     d14, d15, [sp, #144]
        ldp     x29, x30, [sp], #160
        .cfi_def_cfa_offset 0
        .cfi_restore x29
        .cfi_restore x30
        .cfi_restore x19
        .cfi_restore x20
        .cfi_restore x21
        .cfi_restore x22
        .cfi_restore x23
        .cfi_restore x24
        .cfi_restore x25
        .cfi_restore x26
        .cfi_restore x27
        .cfi_restore x28
        .cfi_restore d8
        .cfi_restore d9
        .cfi_restore d10
        .cfi_restore d11
        .cfi_restore d12
        .cfi_restore d13
        .cfi_restore d14
        .cfi_restore d15
        hint    #29                     /* autiasp */
        .cfi_negate_ra_state
        ret
        .cfi_endproc
        .size   context_switch, .-context_switch

/* Where a new stack begins: x19 holds the argument, x20 the function. It never
 * returns; the undefined return address ends every unwind here. */
        .globl  context_begin
        .hidden context_begin
        .type   context_begin, %function
        .p2align 4
context_begin:
        .cfi_startproc
        .cfi_undefined x30
        hint    #34                     /* bti c */
        mov     x0, x19
        blr     x20
        brk     #1
        .cfi_endproc
        .size   context_begin, .-context_begin

/* This file keeps to branch targets and pointer authentication: without the note a
 * program that is linked with it could have neither. */
        .section .note.gnu.property, "a", %note
        .p2align 3
        .word   4                       /* the name's size */
        .word   16                      /* the description's size */
        .word   5                       /* NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
        .word   0xc0000000              /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
        .word   4
        .word   3                       /* BTI and PAC */
        .word   0

        .section .note.GNU-stack, "", %progbits
