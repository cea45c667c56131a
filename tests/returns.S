/*
 * A Guest that enters and leaves its kernel as a Linux of 2011 does. Used by
 * dialects.t. The Host may change eight bytes of its way out and two of its
 * way in, if it has gates and they are exactly what they should be; what
 * becomes of the Guest's registers, flags and interrupts must be the same
 * either way. It ends with `Power down', after a line that says what was
 * changed, or with the number of the step that failed. Nor may it be seen
 * which of the functions that end a queue of hypercalls were changed.
 *
 * -DVARIANT: 0, as Linux has it; 1 the word stored is another; 2 its address
 * is a lower one; 3 another prefix; 4, 5 the range is longer, at either end;
 * 6 it is across the end of memory; 7 below the kernel.
 */
#ifndef VARIANT
# define VARIANT 0
#endif
#define RING 88
#define FACTS (RING + 64 * 20)
#define HIGH 0xC0000000
#define MEMORY 0x1000000
#define USER_STACK (user_stack + 256)

	.macro HCALL nr, a=$0, b=$0, c=$0
	mov $\nr, %eax
	mov \a, %ebx
	mov \b, %ecx
	mov \c, %edx
	int $0x1f
	.endm

	.macro SET_GATE n, target, low=0xef00	/* ring 3 may, a trap gate */
	mov $\target, %ecx
	mov %ecx, %edx
	and $0xffff, %ecx
	or $0x610000, %ecx
	and $0xffff0000, %edx
	or $\low, %edx
	mov $6, %eax
	mov $\n, %ebx
	int $0x1f
	.endm

	.macro CHECK n, condition
	movb $'0' + \n / 10, number
	movb $'0' + \n % 10, number + 1
	j\condition 77f
	jmp fail
77:
	.endm

	.text
	.globl _start
_start:	cld
	mov $stack_top, %esp
	mov $way_out, %esi			/* the bytes as they are */
	mov $before, %edi
	mov $before_end - before, %ecx
	rep movsb
	HCALL 1, $data				/* LGUEST_INIT */
	mov %eax, answer
	HCALL 7, $0x69, $stack_top, $1		/* SET_STACK */
	mov $magic, %eax			/* a processor's own data */
	mov %ax, percpu + 2
	shr $16, %eax
	mov %al, percpu + 4
	HCALL 18, $27, percpu, percpu + 4	/* LOAD_GDT_ENTRY */
	SET_GATE 100, entry_100, 0xae00		/* ring 1, an interrupt's */
	SET_GATE 101, entry_101, 0xae00
	SET_GATE 0x80, entry_80
	SET_GATE 32, entry_32, 0x8e00

	/* Back to the kernel: registers, flags, interrupts on and off. */
	mov $1000, %ebp
1:	movl $512, data
	call trap_and_compare
	CHECK 1, e
#if VARIANT != 1
	testl $512, data			/* all flags may be there */
	CHECK 2, ne
#endif
	movl $0, data
	call trap_and_compare
	CHECK 3, e
#if VARIANT != 1
	testl $512, data
	CHECK 4, e
#endif
	dec %ebp
	jnz 1b
	cmpl $4000, hits
	CHECK 5, e

	/* To a program and back, with its flags and its interrupts on. */
	mov %cr3, %eax
	mov $1024 + 16 * 256, %ecx		/* all pages are for it */
2:	orl $4, -4(%eax,%ecx,4)
	loop 2b
	HCALL 5, $1				/* FLUSH_TLB */
	mov $3000, %ebp
3:	movl $0, data
	mov %esp, kernel_stack
	pushl $0x7b
	pushl $USER_STACK
	pushl $0xad7				/* all arithmetic flags, IF */
	pushl $0x73
	pushl $program
	mov $0x12345678, %eax
	jmp *high_way_out
back_from_program:
	mov kernel_stack, %esp
	CHECK 6, e
	dec %ebp
	jnz 3b

#if VARIANT != 1
	/* Interrupts at every point of the way, till two hundred have come. */
	movl $512, data
	movl $0, data + 4			/* blocked_interrupts */
	mov $1000, %esi
	movl $0, clocks
4:	mov clocks, %edi
	HCALL 9, %esi				/* SET_CLOCKEVENT */
	add $37, %esi
	and $8191, %esi
	or $1024, %esi
	mov $400000, %ebp
5:	movl $512, data
	call trap_and_compare
	CHECK 7, e
	cmp clocks, %edi
	jne 6f
	dec %ebp
	CHECK 8, ne				/* the clock was lost */
	jmp 5b
6:	cmp $200, %edi
	jb 4b
#endif

	/* The ends of a queue, more often than the ring has slots. */
	xor %ebp, %ebp
7:	.irp end, end_of_changes, end_of_switch, no_end
	mov %ebp, %ecx
	and $63, %ecx
	movb $0, data + 24(%ecx)		/* TS 0, in the next slot */
	imul $20, %ecx, %edx
	movl $8, data + RING(%edx)
	mov $0x11112222, %eax
	mov $0x77778888, %ebx
	mov $0x9999aaaa, %esi
	mov $0xbbbbcccc, %edi
	mov %esp, kernel_stack
	call \end
	CHECK 10, e				/* its argument is handed on */
	cmp %esp, kernel_stack
	CHECK 11, e
	cmp $0x77778888, %ebx
	CHECK 12, e
	cmp $0x9999aaaa, %esi
	CHECK 13, e
	cmp $0xbbbbcccc, %edi
	CHECK 14, e
	mov %ebp, %ecx
	and $63, %ecx
	cmpb $0xff, data + 24(%ecx)		/* it has been served */
	CHECK 15, e
	inc %ebp
	.endr
	cmp $300, %ebp
	jb 7b

	call say_what_has_changed
	HCALL 2, $power_down, $1		/* SHUTDOWN */
fail:	HCALL 2, $failed, $1
	jmp fail

	/* Traps, with registers to be compared; ZF if all is as it was. */
trap_and_compare:
	push %ebp
	push %esi
	mov $0x11112222, %eax
	mov $0x33334444, %ecx
	mov $0x55556666, %edx
	mov $0x77778888, %ebx
	mov %esp, %ebp
	mov $0x9999aaaa, %esi
	stc
	int $100
	jnc 1f
	stc
	int $101
	jnc 1f
	cmp %esp, %ebp
	jne 1f
	cmp $0x11112222, %eax
	jne 1f
	cmp $0x33334444, %ecx
	jne 1f
	cmp $0x55556666, %edx
	jne 1f
	cmp $0x77778888, %ebx
	jne 1f
	cmp $0x9999aaaa, %esi
1:	pop %esi
	pop %ebp
	ret

	/* The ways in: constants, one or two jumps, and all registers. */
entry_100:
	push $-100
	jmp near
	.skip 200, 0x90
entry_101:
	push $0
	push $entry_101
	.byte 0xe9				/* a far one, though near */
	.long 1f - . - 4
1:	jmp behind_constants
entry_80:
	push %eax
	jmp system_call
entry_32:
	push $-32
	incl %ss:clocks
	jmp way_in
near:	.byte 0xe9
	.long way_in - . - 4
behind_constants:
	add $4, %esp
	jmp way_in
way_in:	cld
	push $0
	push %fs
	push %es
	push %ds
	push %eax
	push %ebp
	push %edi
	push %esi
	push %edx
	push %ecx
	push %ebx
load_data:
	mov $0x7b, %edx
	mov %edx, %ds
	mov %edx, %es
load_percpu:
	mov $0xd8, %edx
	mov %edx, %fs
	cmpl $0x600d, %fs:0			/* is it ours? */
	jne 1f
	incl hits
1:
	pop %ebx
	pop %ecx
	pop %edx
	pop %esi
	pop %edi
	pop %ebp
	pop %eax
	pop %ds
	pop %es
	pop %fs
	add $8, %esp
	.byte 0x2e, 0xff, 0x25			/* jmp *%cs:, as patched in */
	.long high_way_out

	/* A program has come back. ZF if it was the right one. */
system_call:
	mov $0x7b, %ecx				/* another register */
	mov %ecx, %ds
	mov %ecx, %es
	pop %eax
	mov %eax, result
	mov 8(%esp), %edx			/* its flags */
	cmp $0x12345678, %eax
	jne back_from_program
	and $0xad7, %edx
	cmp $0xad7, %edx
	jmp back_from_program

program:
	mov %eax, %ss:-64(%esp)			/* flags are as they came */
	int $0x80

	.balign 16
	.skip 16, 0x90
way_out_first:
	nop					/* VARIANT 5 begins here */
	push %eax
	mov 12(%esp), %eax
way_out:
#if VARIANT == 3
	.byte 0x3e, 0xa3
#else
	.byte 0x36, 0xa3			/* mov %eax, %ss:irq_enabled */
#endif
#if VARIANT == 1
	.long data + HIGH + 12
#elif VARIANT == 2
	.long data
#else
	.long data + HIGH
#endif
	pop %eax
	iret
way_out_end:
	nop

	/*
	 * Two functions as Linux has them, and one that goes on where they
	 * jump away.
	 */
	.macro FLUSH
	mov %esi, %eax
	mov %esi, %ebx
	mov %esi, %ecx
	mov %esi, %edx
	int $0x1f
	.endm

	.skip 3000, 0x90
end_of_changes:
	push %esi
	xor %esi, %esi
	push %ebx
changes_flush:
	FLUSH
	pop %ebx
	pop %esi
	.byte 0xe9
	.long changed - . - 4
end_of_switch:
	push %edi
	mov %eax, %edi
	push %esi
	xor %esi, %esi
	push %ebx
switch_flush:
	FLUSH
	pop %ebx
	mov %edi, %eax
	pop %esi
	pop %edi
	.byte 0xe9
	.long switched - . - 4
no_end:	push %esi
	xor %esi, %esi
	push %ebx
no_flush:
	FLUSH
	pop %ebx
	pop %esi
changed:
	mov $0x11112222, %eax
switched:
	cmp $0x11112222, %eax
	ret

	/* Which of the two has the Host changed? And how many ends? */
say_what_has_changed:
	mov $way_out, %esi
	mov $before, %edi
	mov $before_end - before, %ecx
	repe cmpsb
	setne %al
	movzbl %al, %eax
	mov load_data + 1, %ecx
	cmp $0x7b, %ecx
	je 1f
	or $2, %eax
	cmp $0x2b, %ecx
	je 1f
	jmp fail				/* to what? */
1:	mov load_percpu + 1, %ecx
	cmp $0xd8, %ecx
	je 1f
	or $4, %eax
	cmp $0xdf, %ecx
	CHECK 9, e
1:	cmpl $0, answer
	je 2f
	or $8, %eax				/* there are gates */
2:	add $'0', %eax
	cmp $'9', %eax
	jbe 3f
	add $'a' - '9' - 1, %eax
3:	mov %al, said
	mov $'0', %al
	.irp flush, changes_flush, switch_flush, no_flush
	cmpw $0xf389, \flush + 2		/* mov %esi, %ebx */
	setne %cl
	add %cl, %al
	.endr
	mov %al, said + 1
	HCALL 17, $said				/* NOTIFY: early console */
	ret

	.data
	.balign 8
data:	.long 0, -1, 0, 0, 0, 0
	.fill 64, 1, 0xff
	.fill 64 * 5, 4, 0
	.long 0, 0
#if VARIANT == 4
	.long way_out + HIGH, way_out_end + HIGH + 1
#elif VARIANT == 5
	.long way_out + HIGH - 1, way_out_end + HIGH
#elif VARIANT == 6
	.long MEMORY + HIGH - 4, MEMORY + HIGH + 4
#elif VARIANT == 7
	.long way_out, way_out_end
#else
	.long way_out + HIGH, way_out_end + HIGH
#endif
	.long HIGH, 0x80
before:	.skip way_out_end - way_out
before_end:
	.balign 4
high_way_out:
	.long way_out + HIGH - 5		/* push, mov */
answer:	.long 0
percpu:	.long 0x0000ffff, 0x008f9200	/* of 16 bits, as Linux has it */
magic:	.long 0x600d
hits:	.long 0
clocks:	.long 0
result:	.long 0
kernel_stack:
	.long 0
said:	.asciz "00\n"
power_down:
	.asciz "Power down"
failed:	.ascii "step "
number:	.asciz "00"
	.balign 16
user_stack:
	.fill 256, 1, 0
	.fill 4096, 1, 0
stack_top:
	.section .note.GNU-stack, "", @progbits
