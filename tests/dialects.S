/*
 * A Guest that speaks one of the contract's dialects (-DDIALECT=2008, 2010
 * or 2011) and checks that it is understood. Used by dialects.t. It stays at
 * its physical addresses, ends with `Power down' if all is well, and with
 * the number of the step that failed if not.
 */
#if DIALECT == 2008
# define WORDS 4
# define STATUS 20
# define RING 84
#else
# define WORDS 5
# define STATUS 24
# define RING 88
#endif
#define FACTS (RING + 64 * WORDS * 4)
#define PGDIR (FACTS + 8)
#if DIALECT == 2011
# define NOIRQ (FACTS + 8)
#else
# define NOIRQ (FACTS + 12)
#endif
#define HIGH 0xC0000000

	.macro ARGUMENTS nr, a=$0, b=$0, c=$0
	mov $\nr, %eax
#if DIALECT == 2008
	mov \a, %edx
	mov \b, %ebx
	mov \c, %ecx
#else
	mov \a, %ebx
	mov \b, %ecx
	mov \c, %edx
#endif
	.endm

	.macro HCALL nr, a=$0, b=$0, c=$0
	ARGUMENTS \nr, \a, \b, \c
	int $0x1f
	.endm

	/* Put a hypercall into slot n of the ring. */
	.macro QUEUE n, nr, a, b, c
	movl $\nr, data + RING + \n * WORDS * 4
#if DIALECT == 2008
	movl \a, data + RING + \n * WORDS * 4 + 12	/* edx */
	movl \b, data + RING + \n * WORDS * 4 + 4	/* ebx */
	movl \c, data + RING + \n * WORDS * 4 + 8	/* ecx */
#else
	movl \a, data + RING + \n * WORDS * 4 + 4
	movl \b, data + RING + \n * WORDS * 4 + 8
	movl \c, data + RING + \n * WORDS * 4 + 12
#endif
	movb $0, data + STATUS + \n
	.endm

	/* The two halves of an interrupt gate for an address. */
	.macro GATE target, low, high
	mov $\target, %eax
	mov %eax, \high
	mov %eax, \low
	andl $0xffff, \low
	orl $0x610000, \low
	andl $0xffff0000, \high
	orl $0xae00, \high			/* present, ring 1 may call */
	.endm

	.macro CHECK n, condition
	movb $'0' + \n / 10, number
	movb $'0' + \n % 10, number + 1
	j\condition 1f
	jmp fail
1:
	.endm

	.text
	.globl _start
_start:	cld
	mov $stack_top, %esp

	HCALL 1, $data				/* LGUEST_INIT */
	cmpl $0x400000, data + FACTS
	CHECK 1, e				/* reserve_mem */
	cmpl $0, data + FACTS + 4
	CHECK 2, ne				/* tsc_khz */
	cmpl $1000000000, data + 12
	CHECK 17, a				/* the time */
#if DIALECT != 2011
	mov %cr3, %eax
	cmp %eax, data + PGDIR
	CHECK 3, e
#endif
	cmpl $0x600d, magic + HIGH
	CHECK 4, e				/* the first tables */

	/* Calls in the ring are served in order, before the one that asks. */
	GATE wrong, gate1, gate1 + 4
	GATE handler, gate2, gate2 + 4
	mov gate1, %esi
	mov gate1 + 4, %edi
	QUEUE 0, 6, $100, %esi, %edi
	mov gate2, %esi
	mov gate2 + 4, %edi
	QUEUE 1, 6, $100, %esi, %edi
	HCALL 0
	cmpl $-1, data + STATUS
	CHECK 5, e
	movl $0, hits
	int $100
	cmpl $1, hits
	CHECK 6, e

	/* Segments: a descriptor that begins at magic. */
	mov $magic, %eax
	mov %ax, descriptor + 2
	shr $16, %eax
	mov %al, descriptor + 4
#if DIALECT == 2008
	HCALL 3, $gdt, $32
#else
	HCALL 18, $26, descriptor, descriptor + 4
#endif
	mov $26 * 8 + 1, %eax
	mov %ax, %fs
	cmpl $0x600d, %fs:0
	CHECK 7, e

#if DIALECT == 2010
	/* One call is made by another instruction. */
	mov gate2, %esi
	mov gate2 + 4, %edi
	ARGUMENTS 6, $101, %esi, %edi
	.byte 0x0f, 0x01, 0xc1			/* vmcall */
	int $101
	cmpl $2, hits
	CHECK 8, e
#endif
	/* The kernel's own system call, on the stack it has. */
	mov gate2, %esi
	mov gate2 + 4, %edi
	HCALL 6, $0x80, %esi, %edi
	movl $0, hits
	mov %esp, %ebp
	int $0x80
	cmp %esp, %ebp
	CHECK 9, e
	cmpl $1, hits
	CHECK 10, e

	/* An alarm, asleep. */
	movl $0, data + 4			/* blocked_interrupts */
	HCALL 6, $32, %esi, %edi
	movl $512, data
	movl $0, hits
	HCALL 9, $1000000			/* SET_CLOCKEVENT */
	HCALL 10				/* HALT */
	cmpl $1, hits
	CHECK 11, e

	/* One that comes while interrupts are off waits, and is not lost. */
	movl $0, data
	movl $0, hits
	HCALL 9, $1000
	mov $5, %ecx
	call spin
	cmpl $0, hits
	CHECK 12, e
#if DIALECT == 2008
	cmpl $-1, data + STATUS			/* no irq_pending there */
	CHECK 13, e
#else
	cmpl $512, data + 20
	CHECK 13, e
#endif
	movl $512, data
	mov $2000, %ecx				/* at most so many ms */
	call await
	cmpl $1, hits
	CHECK 14, e

	/* And one that comes in the range where none may. */
	movl $512, data
	movl $0, hits
	HCALL 9, $1000
quiet_from:
	mov $5, %ecx
	call quiet_spin
	mov hits, %eax
	jmp quiet_to
	.globl quiet_spin
quiet_spin:
	call spin_here
	ret
spin_here:
	mov data + FACTS + 4, %eax
	imul %ecx, %eax
	mov %eax, %ecx
	rdtsc
	mov %eax, %esi
1:	rdtsc
	sub %esi, %eax
	cmp %ecx, %eax
	jb 1b
	ret
quiet_to:
	test %eax, %eax
	CHECK 15, z
	mov $2000, %ecx
	call await
	cmpl $1, hits
	CHECK 16, e

	HCALL 17, $fine				/* NOTIFY: early console */
	HCALL 2, $power_down, $1		/* SHUTDOWN */
fail:	HCALL 2, $failed, $1
	jmp fail

wrong:	movl $0, hits
	iret
handler:
	incl hits
	iret

spin:	jmp spin_here			/* ecx: ms */

	/* Until hits is not zero, or ecx milliseconds are over. */
await:	push %ecx
	mov $1, %ecx
	cmpl $0, hits
	jne 1f
	call spin_elsewhere
	pop %ecx
	loop await
	ret
1:	pop %ecx
	ret
spin_elsewhere:
	mov data + FACTS + 4, %eax
	mov %eax, %ecx
	rdtsc
	mov %eax, %esi
1:	cmpl $0, hits
	jne 2f
	rdtsc
	sub %esi, %eax
	cmp %ecx, %eax
	jb 1b
2:	ret

	.data
	.balign 8
data:	.long 0, -1, 0, 0, 0
#if DIALECT != 2008
	.long 0
#endif
	.fill 64, 1, 0xff
	.fill 64 * WORDS, 4, 0
	.long 0, 0
#if DIALECT != 2011
	.long 0				/* pgdir */
#endif
	.long quiet_from, quiet_to, HIGH, 0x80
gdt:	.fill 26, 8, 0
descriptor:
	.long 0x0000ffff, 0x00cfb300	/* data, ring 1; base filled in */
	.fill 5, 8, 0
gate1:	.long 0, 0
gate2:	.long 0, 0
magic:	.long 0x600d
hits:	.long 0
fine:	.asciz "understood\n"
power_down:
	.asciz "Power down"
failed:	.ascii "step "
number:	.asciz "00"
	.fill 4096, 1, 0
stack_top:
	.section .note.GNU-stack, "", @progbits
