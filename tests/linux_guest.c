/*
 * A program for a Linux Guest, used by linux.t. It needs no C library, so
 * that it runs on every kernel that was ever a Guest:
 *
 *	linux_guest tls|fpu|avx|signals|memory SECONDS	check one thing
 *	linux_guest stress SECONDS			all of them at once
 *	linux_guest bench				what things cost, in ns
 *	linux_guest date				seconds since 1970
 *
 * It prints `ok WHAT' or `not ok WHAT: WHY' and exits with 0 or 1.
 */
#include <stdint.h>

enum {
	SYS_EXIT = 1, SYS_FORK = 2, SYS_READ = 3, SYS_WRITE = 4,
	SYS_WAITPID = 7, SYS_EXECVE = 11, SYS_GETPID = 20, SYS_KILL = 37,
	SYS_PIPE = 42, SYS_MMAP = 90, SYS_MUNMAP = 91, SYS_CLONE = 120,
	SYS_MPROTECT = 125, SYS_YIELD = 158, SYS_SIGACTION = 174,
	SYS_FUTEX = 240, SYS_SET_THREAD_AREA = 243, SYS_CLOCK_GETTIME = 265
};

static long sys(long nr, long a, long b, long c, long d, long e)
{
	long result;

	asm volatile("int $0x80" : "=a" (result)
		     : "a" (nr), "b" (a), "c" (b), "d" (c), "S" (d), "D" (e)
		     : "memory");
	return result;
}
#define sys0(nr)		sys(nr, 0, 0, 0, 0, 0)
#define sys1(nr, a)		sys(nr, (long)(a), 0, 0, 0, 0)
#define sys2(nr, a, b)		sys(nr, (long)(a), (long)(b), 0, 0, 0)
#define sys3(nr, a, b, c)	sys(nr, (long)(a), (long)(b), (long)(c), 0, 0)

/* ---- what a C library would have ------------------------------------- */
void *memset(void *to, int c, unsigned long n);
void *memset(void *to, int c, unsigned long n)
{
	void *start = to;

	asm volatile("rep stosb" : "+D" (to), "+c" (n) : "a" (c) : "memory");
	return start;
}

void *memcpy(void *to, const void *from, unsigned long n);
void *memcpy(void *to, const void *from, unsigned long n)
{
	void *start = to;

	asm volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (n)
		     : : "memory");
	return start;
}

static void say(const char *s)
{
	long n = 0;

	while (s[n])
		n++;
	sys3(SYS_WRITE, 1, s, n);
}

static void say_number(uint32_t n, uint32_t base)
{
	char text[12], *p = text + sizeof(text) - 1;

	*p = '\0';
	do
		*--p = "0123456789abcdef"[n % base];
	while (n /= base);
	say(p);
}

static void finish(int status)
{
	for (;;)
		sys1(SYS_EXIT, status);
}

static const char *subject;

static void wrong(const char *why, uint32_t got, uint32_t wanted)
{
	say("not ok ");
	say(subject);
	say(": ");
	say(why);
	say(", got ");
	say_number(got, 16);
	say(", wanted ");
	say_number(wanted, 16);
	say("\n");
	finish(1);
}

static void want(const char *why, uint32_t got, uint32_t wanted)
{
	if (got != wanted)
		wrong(why, got, wanted);
}

static uint64_t now(void)	/* ns */
{
	struct { long sec, nsec; } t = { 0, 0 };

	sys2(SYS_CLOCK_GETTIME, 1 /* CLOCK_MONOTONIC */, &t);
	return (uint64_t)t.sec * 1000000000u + (uint64_t)t.nsec;
}

static uint64_t end_of_test;

static int more(void)
{
	return now() < end_of_test;
}

static void *map(uint32_t size, int prot, int flags)
{
	uint32_t a[6] = { 0, size, (uint32_t)prot, (uint32_t)flags | 0x20,
			  (uint32_t)-1, 0 };
	long p = sys1(SYS_MMAP, a);

	if (p < 0 && p > -4096)
		wrong("mmap", (uint32_t)p, 0);
	return (void *)p;
}
#define memory_map(size) map(size, 3, 2)	/* read, write; private */

static uint32_t random_state = 1;

static uint32_t random_number(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

/* ---- children, which say by their status how it went ----------------- */
static int children;

static int forked(void)		/* true in the child */
{
	long pid = sys0(SYS_FORK);

	if (pid < 0)
		wrong("fork", (uint32_t)pid, 0);
	if (pid)
		children++;
	else
		children = 0;
	return !pid;
}

static void join(void)
{
	int status = 0, bad = 0;

	for (; children; children--) {
		if (sys3(SYS_WAITPID, -1, &status, 0) < 0)
			wrong("waitpid", 0, 1);
		if (status)
			bad = status;
	}
	if (bad)
		wrong("a child's status", (uint32_t)bad, 0);
}

/* ---- threads, each with a block of its own behind %gs ----------------- */
struct user_desc {
	uint32_t entry, base, limit, flags;
};

struct thread {
	uint32_t self;		/* must be first: %gs:0 */
	uint32_t count;		/* %gs:4 */
	uint32_t wanted;	/* what %gs:0 should be at the start */
	volatile uint32_t done;	/* futex; the kernel clears it at the end */
	void (*run)(struct thread *);
	struct user_desc tls;
	uint8_t *stack;
};

static uint32_t tls_entry = (uint32_t)-1;

static void describe(struct user_desc *d, const void *base)
{
	*d = (struct user_desc){ tls_entry, (uint32_t)base, 0xfffff, 0x51 };
}

static uint32_t gs_word(uint32_t offset)
{
	uint32_t v;

	asm volatile("movl %%gs:(%1), %0" : "=r" (v) : "r" (offset));
	return v;
}

static void tls_begin(struct thread *main_thread)
{
	long error;

	main_thread->self = (uint32_t)main_thread;
	describe(&main_thread->tls, main_thread);
	error = sys1(SYS_SET_THREAD_AREA, &main_thread->tls);
	if (error)
		wrong("set_thread_area", (uint32_t)error, 0);
	tls_entry = main_thread->tls.entry;
	asm volatile("movw %w0, %%gs" : : "r" (tls_entry << 3 | 3));
	want("%gs:0 after loading it", gs_word(0), main_thread->self);
}

void thread_main(struct thread *t, uint32_t first);
void thread_main(struct thread *t, uint32_t first)
{
	want("%gs:0 at a thread's first instruction", first, t->wanted);
	t->run(t);
	finish(0);
}

/*
 * The instruction behind the system call reads %gs:0, in parent and child.
 * CLONE_VM FS FILES SIGHAND THREAD SYSVSEM SETTLS CHILD_CLEARTID.
 */
static void thread_start(struct thread *t, void (*run)(struct thread *))
{
	uint32_t *top, parent_saw = 0;
	long pid;

	t->self = t->wanted = (uint32_t)t;
	t->run = run;
	t->done = 1;
	describe(&t->tls, t);
	if (!t->stack)
		t->stack = memory_map(16384);
	top = (uint32_t *)(t->stack + 16384) - 4;
	top[0] = (uint32_t)t;
	asm volatile("int $0x80\n\t"
		     "movl %%gs:0, %%edx\n\t"
		     "testl %%eax, %%eax\n\t"
		     "jnz 1f\n\t"
		     "popl %%eax\n\t"
		     "pushl %%edx\n\t"
		     "pushl %%eax\n\t"
		     "call thread_main\n"
		     "1:"
		     : "=a" (pid), "+d" (parent_saw)
		     : "a" (SYS_CLONE), "b" (0x2d0f00), "c" (top),
		       "S" (&t->tls), "D" (&t->done) : "memory");
	if (pid < 0)
		wrong("clone", (uint32_t)pid, 0);
	want("%gs:0 of the parent", parent_saw, gs_word(0));
}

static void thread_join(struct thread *t)
{
	uint32_t v;

	while ((v = t->done))
		sys(SYS_FUTEX, (long)&t->done, 0, (long)v, 0, 0);
}

static void tls_thread(struct thread *t)
{
	for (uint32_t i = 1; i <= 20000; i++) {
		asm volatile("incl %gs:4");
		if (t->count != i || gs_word(0) != t->self)
			wrong("%gs while threads run", gs_word(0), t->self);
		if (i % 1024 == 0)
			sys0(SYS_YIELD);
	}
	/* A first access that writes, and one below the base. */
	asm volatile("movw %w0, %%gs\n\tmovl $7, %%gs:4"
		     : : "r" (tls_entry << 3 | 3) : "memory");
	want("a write through %gs just loaded", t->count, 7);
	asm volatile("movw %w0, %%gs" : : "r" (tls_entry << 3 | 3));
	want("below %gs", gs_word((uint32_t)-4), 0x600d);
}

static struct { uint32_t below; struct thread t; } threads[6];

static void check_tls(void)
{
	static struct thread me;

	tls_begin(&me);
	for (int i = 0; i < 6; i++)
		threads[i].below = 0x600d;
	do {
		for (int i = 0; i < 6; i++) {
			threads[i].t.count = 0;
			thread_start(&threads[i].t, tls_thread);
		}
		for (int i = 0; i < 6; i++)
			thread_join(&threads[i].t);
		want("%gs:0 when the threads are gone", gs_word(0), me.self);
	} while (more());
}

/* ---- floating point ---------------------------------------------------- */
struct fpu { uint32_t xmm[8][4]; uint32_t st[4]; uint32_t mxcsr; };

static void fpu_load(const struct fpu *f)
{
	asm volatile("ldmxcsr 144(%0)\n\t"
		     "movups (%0), %%xmm0\n\tmovups 16(%0), %%xmm1\n\t"
		     "movups 32(%0), %%xmm2\n\tmovups 48(%0), %%xmm3\n\t"
		     "movups 64(%0), %%xmm4\n\tmovups 80(%0), %%xmm5\n\t"
		     "movups 96(%0), %%xmm6\n\tmovups 112(%0), %%xmm7\n\t"
		     "fninit\n\tfildl 140(%0)\n\tfildl 136(%0)\n\t"
		     "fildl 132(%0)\n\tfildl 128(%0)" : : "r" (f));
}

static void fpu_store(struct fpu *f)
{
	asm volatile("stmxcsr 144(%0)\n\t"
		     "movups %%xmm0, (%0)\n\tmovups %%xmm1, 16(%0)\n\t"
		     "movups %%xmm2, 32(%0)\n\tmovups %%xmm3, 48(%0)\n\t"
		     "movups %%xmm4, 64(%0)\n\tmovups %%xmm5, 80(%0)\n\t"
		     "movups %%xmm6, 96(%0)\n\tmovups %%xmm7, 112(%0)\n\t"
		     "fistpl 128(%0)\n\tfistpl 132(%0)\n\tfistpl 136(%0)\n\t"
		     "fistpl 140(%0)" : : "r" (f) : "memory");
}

static void fpu_keeps(uint32_t seed)
{
	struct fpu f, g;
	uint32_t *w = (uint32_t *)&f, *v = (uint32_t *)&g;

	for (unsigned int i = 0; i < 36; i++)
		w[i] = seed * 0x01010101 + i;
	f.mxcsr = 0x1f80 | (seed & 3) << 13;	/* a rounding mode each */
	fpu_load(&f);
	if (seed & 4)
		sys0(SYS_YIELD);
	for (uint32_t n = random_number() % 100000; n; n--)
		asm volatile("");
	fpu_store(&g);
	for (unsigned int i = 0; i < 37; i++)
		if (v[i] != w[i])
			wrong(i < 32 ? "a word of xmm" : i < 36 ?
			      "an x87 register" : "mxcsr", v[i], w[i]);
}

static void check_fpu(void)
{
	for (uint32_t seed = 1; seed <= 8; seed++)
		if (forked()) {
			random_state = seed;
			while (more())
				fpu_keeps(seed);
			finish(0);
		}
	join();
}

/*
 * The upper halves of the AVX registers: a Guest's kernel of this age does
 * not save them, so they may vanish at any time, but nobody may ever see
 * another program's.
 */
static int have_avx(void)
{
	uint32_t a = 1, b, c = 0, d;

	asm volatile("cpuid" : "+a" (a), "=b" (b), "+c" (c), "=d" (d));
	return (c >> 27 & 3) == 3;	/* OSXSAVE, AVX */
}

static uint32_t upper_halves(void)
{
	uint32_t w[4];

	asm volatile(".macro or_upper n\n\t"
		     "vextractf128 $1, %%ymm\\n, %%xmm1\n\t"
		     "orps %%xmm1, %%xmm0\n\t"
		     ".endm\n\t"
		     "vextractf128 $1, %%ymm0, %%xmm0\n\t"
		     "or_upper 2\n\tor_upper 3\n\tor_upper 4\n\t"
		     "or_upper 5\n\tor_upper 6\n\tor_upper 7\n\t"
		     "movups %%xmm0, %0\n\t"
		     ".purgem or_upper" : "=m" (w) : : "memory");
	return w[0] | w[1] | w[2] | w[3];
}

static void upper_fill(void)
{
	/* Compare `always true': all ones. */
	asm volatile("vcmpps $15, %ymm0, %ymm0, %ymm0\n\t"
		     "vmovaps %ymm0, %ymm2\n\tvmovaps %ymm0, %ymm3\n\t"
		     "vmovaps %ymm0, %ymm4\n\tvmovaps %ymm0, %ymm5\n\t"
		     "vmovaps %ymm0, %ymm6\n\tvmovaps %ymm0, %ymm7");
}

static void check_avx(void)
{
	if (!have_avx()) {
		say("skip avx: this processor has none\n");
		finish(0);
	}
	/* One process after the other, so that the next gets what was left. */
	do {
		if (forked()) {
			upper_fill();
			finish(0);
		}
		join();
		if (forked()) {
			want("upper halves at birth", upper_halves(), 0);
			finish(0);
		}
		join();
	} while (now() + 1000000000u < end_of_test);
	for (int i = 0; i < 4; i++)
		if (forked()) {
			while (more()) {
				if (i & 1)
					upper_fill();
				else
					want("upper halves", upper_halves(), 0);
				if (i & 2)
					sys0(SYS_YIELD);
			}
			finish(0);
		}
	join();
}

/* ---- signals ------------------------------------------------------------ */
struct siginfo { int signo, code_or_errno, code; uint32_t addr; };
struct ucontext { uint32_t flags, link, stack[3], reg[19]; };
enum { REG_EIP = 14 };

static volatile uint32_t hits, last_signal, last_address, skip;

static void handler(int sig, struct siginfo *info, struct ucontext *u)
{
	hits++;
	last_signal = (uint32_t)sig;
	last_address = info->addr;
	u->reg[REG_EIP] += skip;
}

void restorer(void);
asm(".globl restorer\nrestorer: movl $173, %eax\n\tint $0x80");

static void take(int sig)
{
	struct { uint32_t handler, flags, restorer, mask[2]; } a = {
		(uint32_t)handler, 0x04000004, (uint32_t)restorer, { 0, 0 }
	};
	long error = sys(SYS_SIGACTION, sig, (long)&a, 0, 8, 0);

	if (error)
		wrong("sigaction", (uint32_t)error, 0);
}

static void check_signals(void)
{
	uint8_t *page = map(4096, 0, 2);
	uint32_t round = 0, quotient;

	take(11);
	take(8);
	take(4);
	take(10);
	take(5);
	do {
		hits = 0;
		skip = 2;	/* movb (%0), %%al */
		asm volatile("movb (%0), %%al" : : "r" (page) : "eax");
		want("SIGSEGV", last_signal, 11);
		want("its address", last_address, (uint32_t)page);
		asm volatile("divl %1" : "=a" (quotient)
			     : "r" (0), "a" (1), "d" (0));
		want("SIGFPE of a division", last_signal, 8);
		asm volatile("ud2");
		want("SIGILL", last_signal, 4);
		asm volatile("int $14");
		want("SIGSEGV of an int $14", last_signal, 11);
		asm volatile("movw %w0, %%fs" : : "a" (0x68) : "memory");
		want("SIGSEGV of a kernel's segment", last_signal, 11);
		skip = 0;
		asm volatile("int3");
		want("SIGTRAP", last_signal, 5);
		sys2(SYS_KILL, sys0(SYS_GETPID), 10);
		want("SIGUSR1", last_signal, 10);
		want("signals in all", hits, 7);
		asm volatile("fninit\n\tfldcw %0\n\tfldz\n\tfld1\n\t"
			     "fdivp\n\t" : : "m" (*(uint16_t[]){ 0x37b }));
		skip = 1;
		asm volatile("fwait\n\tnop");
		want("SIGFPE of the x87", last_signal, 8);
		asm volatile("fninit");
	} while (++round < 3 || more());
}

/* ---- memory -------------------------------------------------------------- */
#define PAGES 64

static void fill(uint32_t *p, uint32_t pages, uint32_t seed)
{
	for (uint32_t i = 0; i < pages; i++)
		p[i * 1024 + seed % 1024] = seed + i;
}

static void filled(const uint32_t *p, uint32_t pages, uint32_t seed)
{
	for (uint32_t i = 0; i < pages; i++)
		want("a word in memory", p[i * 1024 + seed % 1024], seed + i);
}

/* A child writes to what it shares; the parent must not see it. */
static void cow(uint32_t *p, uint32_t seed)
{
	fill(p, PAGES, seed);
	for (uint32_t child = 1; child <= 3; child++)
		if (forked()) {
			filled(p, PAGES, seed);
			fill(p, PAGES, seed ^ child << 16);
			sys0(SYS_YIELD);
			filled(p, PAGES, seed ^ child << 16);
			finish(0);
		}
	filled(p, PAGES, seed);
	fill(p, PAGES, ~seed);
	join();
	filled(p, PAGES, ~seed);
}

static void check_memory(void)
{
	take(11);
	do {
		uint32_t seed = random_number(), hole;
		uint32_t *p = memory_map(PAGES * 4096), *q;

		cow(p, seed);
		hole = random_number() % PAGES;
		fill(p, PAGES, seed);
		sys3(SYS_MPROTECT, p + hole * 1024, 4096, 1);
		hits = 0;
		skip = 2;
		asm volatile("movl %0, (%1)"	/* 89 01 */
			     : : "a" (1), "c" (p + hole * 1024) : "memory");
		want("a write to a read-only page", hits, 1);
		want("its address", last_address, (uint32_t)(p + hole * 1024));
		filled(p, PAGES, seed);
		sys3(SYS_MPROTECT, p + hole * 1024, 4096, 3);
		fill(p + hole * 1024, 1, seed);
		sys2(SYS_MUNMAP, p + hole * 1024, 4096);
		q = memory_map(4096);
		want("a new page", q[seed % 1024], 0);
		sys2(SYS_MUNMAP, q, 4096);
		sys2(SYS_MUNMAP, p, PAGES * 4096);
	} while (more());
}

/* ---- everything at once ---------------------------------------------------- */
static void check_execs(const char *self)
{
	const char *const args[] = { self, "true", 0 };
	const char *const none[] = { 0 };

	do {
		for (int i = 0; i < 4; i++)
			if (forked()) {
				sys3(SYS_EXECVE, self, args, none);
				finish(9);
			}
		join();
	} while (more());
}

static const struct check { const char *name; void (*run)(void); } checks[] = {
	{ "tls", check_tls }, { "fpu", check_fpu }, { "avx", check_avx },
	{ "signals", check_signals }, { "memory", check_memory },
};

static void stress(const char *self)
{
	for (unsigned int i = 0; i < 5; i++)
		if (forked()) {
			subject = checks[i].name;
			random_state = i + 1;
			checks[i].run();
			finish(0);
		}
	if (forked()) {
		subject = "execs";
		check_execs(self);
		finish(0);
	}
	join();
}

/* ---- what things cost -------------------------------------------------------- */
static uint32_t sysinfo;	/* the vDSO's entry, from the kernel */

static long vdso_getpid(void)
{
	long result;

	asm volatile("call *%1" : "=a" (result)
		     : "r" (sysinfo), "a" (SYS_GETPID) : "memory");
	return result;
}

static uint64_t bench_start;

static void bench_end(const char *what, uint32_t times)
{
	uint64_t ns = now() - bench_start;	/* less than 4 s */

	say(what);
	say(" ");
	say_number((uint32_t)ns / times, 10);
	say(" ns\n");
}

static void bench_pipe(void)
{
	int a[2], b[2];
	char c = 0;

	sys1(SYS_PIPE, a);
	sys1(SYS_PIPE, b);
	if (forked()) {
		for (int i = 0; i < 2000; i++) {
			sys3(SYS_READ, a[0], &c, 1);
			sys3(SYS_WRITE, b[1], &c, 1);
		}
		finish(0);
	}
	bench_start = now();
	for (int i = 0; i < 2000; i++) {
		sys3(SYS_WRITE, a[1], &c, 1);
		sys3(SYS_READ, b[0], &c, 1);
	}
	bench_end("pipe-switch", 4000);
	join();
}

static void bench(const char *self)
{
	const char *const args[] = { self, "true", 0 };
	const char *const none[] = { 0 };
	volatile uint8_t *p;

	bench_start = now();
	for (int i = 0; i < 20000; i++)
		sys0(SYS_GETPID);
	bench_end("getpid", 20000);
	bench_start = now();
	for (int i = 0; i < 20000 && sysinfo; i++)
		vdso_getpid();
	bench_end("getpid-vdso", 20000);
	p = memory_map(4096 * 2000);
	bench_start = now();
	for (int i = 0; i < 2000; i++)
		p[i * 4096] = 1;
	bench_end("page-fault", 2000);
	sys2(SYS_MUNMAP, p, 4096 * 2000);
	bench_start = now();
	for (int i = 0; i < 200; i++) {
		if (forked())
			finish(0);
		join();
	}
	bench_end("fork-exit-wait", 200);
	bench_start = now();
	for (int i = 0; i < 200; i++) {
		if (forked()) {
			sys3(SYS_EXECVE, self, args, none);
			finish(9);
		}
		join();
	}
	bench_end("fork-exec-wait", 200);
	take(11);
	skip = 2;
	p = map(4096, 0, 2);
	bench_start = now();
	for (int i = 0; i < 2000; i++)
		asm volatile("movb (%0), %%al" : : "r" (p) : "eax");
	bench_end("SIGSEGV-round", 2000);
	bench_pipe();
}

/* ---- the beginning ------------------------------------------------------------ */
static int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static uint32_t number(const char *s)
{
	uint32_t n = 0;

	while (*s >= '0' && *s <= '9')
		n = n * 10 + (uint32_t)(*s++ - '0');
	return n;
}

static void run(const char *self, const char *what)
{
	subject = what;
	if (same(what, "true"))
		finish(0);
	if (same(what, "date")) {
		struct { uint32_t sec, nsec; } t = { 0, 0 };

		sys2(SYS_CLOCK_GETTIME, 0, &t);
		say_number(t.sec, 10);
		say("\n");
		finish(0);
	}
	if (same(what, "bench")) {
		bench(self);
		return;
	}
	if (same(what, "stress"))
		stress(self);
	for (unsigned int i = 0; i < 5; i++)
		if (same(what, checks[i].name))
			checks[i].run();
	say("ok ");
	say(what);
	say("\n");
}

void begin(uint32_t *stack);
void begin(uint32_t *stack)
{
	uint32_t argc = *stack, *aux = stack + argc + 2;
	char **argv = (char **)(stack + 1);

	while (*aux++)
		;
	for (; aux[0]; aux += 2)
		if (aux[0] == 32)	/* AT_SYSINFO */
			sysinfo = aux[1];
	if (argc > 2)
		end_of_test = now() + number(argv[2]) * 1000000000ull;
	run(argv[0], argc > 1 ? argv[1] : "true");
	finish(0);
}

asm(".globl _start\n_start: movl %esp, %eax\n\tpushl %eax\n\tcall begin");
