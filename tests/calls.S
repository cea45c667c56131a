/*
 * A Guest that leaves its kernel as Linux does, and makes hypercalls as Linux
 * does. Used by dialects.t. If it has gates, the Host may put a call in the
 * place of a hypercall's number; what becomes of registers, flags, stack and
 * interrupts must be the same either way. It prints a line of what hypercalls
 * have printed, and how many of its sites were changed, of the four that may
 * be; or the number of the step that failed.
 *
 * -DLOST: it calls the gate from a place that is no such site. -DOTHER: it
 * leaves its kernel in another way, and so is no Linux.
 */
#define RING 88
#define HIGH 0xC0000000

	.macro HCALL nr, a=$0, b=$0, c=$0
	mov \a, %ebx
	mov \b, %ecx
	mov \c, %edx
	xor %eax, %eax			/* so that this is no site */
	add $\nr, %eax
	int $0x1f
	.endm

	.macro CHECK n, condition
	movb $'0' + \n, number
	j\condition 77f
	jmp fail
77:
	.endm

	.text
	.globl _start
_start:	cld
	mov $stack_top, %esp
	HCALL 1, $data				/* LGUEST_INIT */
	HCALL 7, $0x61, $stack_top, $1		/* SET_STACK */
	mov $entry_32, %ecx
	mov %ecx, %edx
	and $0xffff, %ecx
	or $0x610000, %ecx
	and $0xffff0000, %edx
	or $0x8e00, %edx
	HCALL 6, $32, %ecx, %edx		/* LOAD_IDT_ENTRY: the clock */

	/* At the lower address nothing is changed, whatever it looks like. */
	mov $flush, %eax
	call *%eax
	mov $high, %eax
	add $HIGH, %eax
	jmp *%eax
high:
#ifdef LOST
	mov $0xFFC00060, %eax
	call *%eax
#endif
	mov $3, %ebp				/* by trap, then through the gate */
1:	mov %esp, %edi
	mov $flush + HIGH, %eax
	call *%eax
	cmp %esp, %edi
	CHECK 1, e

	.irp site, one_move, three_moves, from_memory
	mov $letter, %edi
	mov $pointer, %esi
	push %ebp
	mov $0, %ebx
	mov $0, %ecx
	mov $0, %edx
	stc
	mov $\site + HIGH, %eax
	call *%eax
	CHECK 2, c
	incb letter
	cmp %edi, %ebx
	CHECK 3, e
	.if \site == three_moves
	cmp %esi, %ecx
	CHECK 4, e
	cmp %ebp, %edx
	CHECK 5, e
	.endif
	pop %ebp
	.endr
	dec %ebp
	jnz 1b

	/* As somebody who was interrupted behind the number would go on. */
	mov $17, %eax
	mov $letter, %edi
	mov $behind_number, %ecx
	add $HIGH, %ecx
	call *%ecx
	cmp %edi, %ebx
	CHECK 6, e

	/*
	 * Other code at the address of a site, as of a module in the place of
	 * one that is gone; and again, more often than the Host has places.
	 */
	mov $30, %ebp
5:	movb $0xb8, one_move			/* mov $17, %eax */
	movl $17, one_move + 1
	xorb $0xfb ^ 0xf3, one_move + 6		/* mov %edi or %esi, %ebx */
	mov $2, %edx				/* by trap, then the gate */
6:	mov $letter, %edi
	mov $nothing, %esi
	testl $1, %ebp
	jz 7f
	xchg %edi, %esi
7:	mov $one_move + HIGH, %eax
	call *%eax
	cmp $nothing, %ebx
	CHECK 9, e
	dec %edx
	jnz 6b
	dec %ebp
	jnz 5b

#ifndef OTHER
	/* Interrupts at every point, and they make hypercalls, too. */
	movl $0, data + 4			/* blocked_interrupts */
	mov $1000, %esi
2:	mov clocks, %edi
	HCALL 9, %esi				/* SET_CLOCKEVENT */
	add $37, %esi
	and $8191, %esi
	or $1024, %esi
	mov $400000, %ebp
3:	movl $512, data
	mov $0x11112222, %ebx
	mov $flush + HIGH, %ecx
	call *%ecx
	mov $data + RING, %ecx
	cmp $1, %ebx
	CHECK 7, e
	cmp clocks, %edi
	jne 4f
	dec %ebp
	CHECK 8, ne				/* the clock was lost */
	jmp 3b
4:	cmp $200, %edi
	jb 2b
#endif

	/* How many of the sites are calls now? */
	mov $'0', %al
	.irp site, flush_number, one_move, three_moves, from_memory
	cmpb $0xe8, \site
	sete %cl
	add %cl, %al
	.endr
	mov %al, changed
	HCALL 17, $changed			/* NOTIFY: early console */
	HCALL 2, $power_down, $1		/* SHUTDOWN */
fail:	HCALL 2, $failed, $1
	jmp fail

	.skip 16, 0x90
flush:	push %ecx
	push %edx
	mov $1, %ebx				/* everything */
flush_number:
	mov $5, %eax				/* FLUSH_TLB */
	int $0x1f
	pop %edx
	pop %ecx
	ret
	.skip 16, 0x90
one_move:
	mov $17, %eax				/* NOTIFY: a letter */
behind_number:
	mov %edi, %ebx
	int $0x1f
	ret
	.skip 16, 0x90
three_moves:
	mov $17, %eax
	mov %edi, %ebx
	mov %esi, %ecx
	mov %ebp, %edx
	int $0x1f
	ret
	.skip 16, 0x90
from_memory:
	mov $17, %eax
	mov (%esi), %ebx			/* not between registers */
	int $0x1f
	ret

	.skip 16, 0x90
entry_32:
	incl %ss:clocks
	push %eax
	push %ebx
	mov $flush + HIGH, %eax
	call *%eax
	pop %ebx
	pop %eax
	push %eax
	mov 12(%esp), %eax
	jmp *high_way_out
	.skip 16, 0x90
way_out:
	.byte 0x36, 0xa3			/* mov %eax, %ss:irq_enabled */
#ifdef OTHER
	.long data + HIGH + 12
#else
	.long data + HIGH
#endif
	pop %eax
	iret
way_out_end:
	nop

	.data
	.balign 8
data:	.long 0, -1, 0, 0, 0, 0
	.fill 64, 1, 0xff
	.fill 64 * 5, 4, 0
	.long 0, 0
	.long way_out + HIGH, way_out_end + HIGH
	.long HIGH, 0x80
high_way_out:
	.long way_out + HIGH
pointer:
	.long letter
clocks:	.long 0
letter:	.asciz "a"
nothing:
	.asciz ""
changed:
	.asciz "0\n"
power_down:
	.asciz "Power down"
failed:	.ascii "step "
number:	.asciz "0"
	.balign 16
	.fill 8192, 1, 0
stack_top:
	.section .note.GNU-stack, "", @progbits
