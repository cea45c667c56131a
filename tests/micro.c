/*
 * What a kernel's services cost, on whatever kernel this runs.
 *
 *	micro [ROUNDS]		lines of `name: nanoseconds', the best round's
 *	micro parts		what a trap of the Host is made of
 *
 * Static, it is also the whole user space of a Guest: as process 1 it prints
 * between two marks and switches the machine off. tests/bench runs it on the
 * host, and in whatever other machine there is to be compared with.
 */
#define _GNU_SOURCE
#include <err.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };
static const char *self;

static double now(void)			/* nanoseconds */
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *anonymous(size_t len, int flags)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       flags | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	return p;
}

static void nothing(int sig)
{
	(void)sig;
}

static void signals(int n)
{
	signal(SIGUSR1, nothing);
	while (n--)
		raise(SIGUSR1);
}

static void calls(int n)
{
	while (n--)
		syscall(SYS_getppid);
}

#ifdef __i386__
/* As programs did before there was a vDSO, and some still do. */
static void old_calls(int n)
{
	while (n--) {
		int number = SYS_getppid;

		asm volatile("int $0x80" : "+a" (number) : : "memory");
	}
}

/* As programs do since: by a call into a page that the kernel provides. */
static void vdso_calls(int n)
{
	unsigned long entry = getauxval(AT_SYSINFO);

	while (entry && n--) {
		int number = SYS_getppid;

		asm volatile("call *%1" : "+a" (number) : "r" (entry)
			     : "memory", "ecx", "edx");
	}
}
#endif

static void faults(int n)
{
	size_t len = (size_t)n * PAGE;
	char *p = anonymous(len, MAP_PRIVATE);

	madvise(p, len, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < len; i += PAGE)
		*(volatile char *)(p + i) = 1;
	munmap(p, len);
}

/* A fault, its handler, and back: the handler makes good what was wrong. */
static char *forbidden;

static void permit(int sig)
{
	(void)sig;
	mprotect(forbidden, PAGE, PROT_READ | PROT_WRITE);
}

static void handled_faults(int n)
{
	forbidden = anonymous(PAGE, MAP_PRIVATE);
	signal(SIGSEGV, permit);
	while (n--) {
		mprotect(forbidden, PAGE, PROT_NONE);
		*(volatile char *)forbidden = 1;
	}
	signal(SIGSEGV, SIG_DFL);
	munmap(forbidden, PAGE);
}

static cpu_set_t stay(void)
{
	cpu_set_t before, one;
	int cpu = sched_getcpu();

	CPU_ZERO(&before);
	sched_getaffinity(0, sizeof(before), &before);
	CPU_ZERO(&one);
	CPU_SET(cpu < 0 ? 0 : cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	return before;
}

static void switches(int n)
{
	cpu_set_t before = stay();
	pid_t pid = fork();

	for (n /= 2; n; n--)
		sched_yield();
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	sched_setaffinity(0, sizeof(before), &before);
}

/* One byte to and fro; a switch is half of it. */
static void pipes(int n)
{
	cpu_set_t before = stay();
	int to[2], fro[2];
	char byte = 0;
	pid_t pid;

	if (pipe(to) == -1 || pipe(fro) == -1 || (pid = fork()) == -1)
		err(1, "pipe");
	if (pid == 0) {
		close(to[1]);
		while (read(to[0], &byte, 1) == 1 &&
		       write(fro[1], &byte, 1) == 1)
			;
		_exit(0);
	}
	for (n /= 2; n; n--)
		if (write(to[1], &byte, 1) != 1 || read(fro[0], &byte, 1) != 1)
			errx(1, "the pipe broke");
	close(to[0]), close(to[1]), close(fro[0]), close(fro[1]);
	waitpid(pid, NULL, 0);
	sched_setaffinity(0, sizeof(before), &before);
}

static void forks(int n)
{
	while (n--) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

static void execs(int n)
{
	while (n--) {
		pid_t pid = fork();

		if (pid == 0) {
			execl(self, "true", (char *)NULL);
			_exit(1);
		}
		waitpid(pid, NULL, 0);
	}
}

static void computing(int n)
{
	static volatile uint32_t seed = 1;
	uint32_t x = seed;

	for (long i = 0; i < n * 1000l; i++)
		x = x * 1664525 + 1013904223;
	seed = x;
}

static void floating(int n)
{
	static volatile double start = 1.0;
	double x = start;

	for (long i = 0; i < n * 1000l; i++)
		x = x * 0.999 + 0.5;
	start = x;
}

static void copying(int n)
{
	static char from[65536], to[65536];

	while (n--) {
		memcpy(to, from, sizeof(to));
		asm volatile("" : : "r" (to) : "memory");
	}
}

/* ---- what a trap of the Host is made of ---- */
static void step_over(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)sig, (void)info;
#ifdef __x86_64__
	u->uc_mcontext.gregs[REG_RIP] += 2;	/* int n has two bytes */
#else
	u->uc_mcontext.gregs[REG_EIP] += 2;
#endif
}

static void take(int sig, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler,
				    .sa_flags = SA_SIGINFO };

	sigaction(sig, &action, NULL);
}

/* A hypercall's own trap: int $0x1F, a signal, and its return. */
static void int_signals(int n)
{
	take(SIGSEGV, step_over);
	while (n--)
		asm volatile("int $0x1F");
	signal(SIGSEGV, SIG_DFL);
}

static void refused(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info, (void)context;
}

/*
 * A system call that a filter turns into a signal. It is made as a Guest's
 * program makes it: the instruction alone may cost more than all the rest.
 */
#define GETPPID_I386	64	/* semget on x86-64, which nobody here wants */

static void filter_signals(int n)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, GETPPID_I386, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(f) / sizeof(f[0]), f };
	static bool filtered;

	take(SIGSYS, refused);
	if (!filtered) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
			err(1, "no seccomp");
		filtered = true;
	}
	while (n--) {
		int number = GETPPID_I386;

		asm volatile("int $0x80" : "+a" (number) : : "memory", "cc"
#ifdef __x86_64__
			     , "r8", "r9", "r10", "r11"
#endif
			     );
	}
}

/*
 * From one process to another and back: two hand-overs. Who waits sleeps, or
 * yields, or spins, for which the other needs a processor of its own; with a
 * hog, a third process wants the processor all the time.
 */
enum waiting { SLEEP, YIELD, SPIN };

static void wait_for(uint32_t *word, uint32_t value, enum waiting how)
{
	while (__atomic_load_n(word, __ATOMIC_SEQ_CST) != value)
		if (how == SLEEP)
			syscall(SYS_futex, word, FUTEX_WAIT, !value, NULL);
		else if (how == YIELD)
			sched_yield();
}

/* To another processor than that of stay(). */
static void move(void)
{
	cpu_set_t others;

	memset(&others, 0xFF, sizeof(others));
	CPU_CLR(sched_getcpu(), &others);
	if (sched_setaffinity(0, sizeof(others), &others))
		err(1, "no other processor");
}

static void hand_over(int n, enum waiting how, bool with_hog)
{
	cpu_set_t before = stay();
	uint32_t *word = anonymous(PAGE, MAP_SHARED);
	pid_t hog = with_hog ? fork() : -1, pid;
	uint32_t mine;

	while (hog == 0)
		;
	pid = fork();
	mine = pid == 0;
	if (mine && how == SPIN)
		move();
	for (n /= 2; n; n--) {
		wait_for(word, mine, how);
		__atomic_store_n(word, !mine, __ATOMIC_SEQ_CST);
		if (how == SLEEP)
			syscall(SYS_futex, word, FUTEX_WAKE, 1);
	}
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	if (hog > 0) {
		kill(hog, SIGKILL);
		waitpid(hog, NULL, 0);
	}
	munmap(word, PAGE);
	sched_setaffinity(0, sizeof(before), &before);
}

static void hand_overs(int n)
{
	hand_over(n, SLEEP, false);
}

static void yielding(int n)
{
	hand_over(n, YIELD, false);
}

static void spinning(int n)
{
	hand_over(n, SPIN, false);
}

static void sleeping_beside_hog(int n)
{
	hand_over(n, SLEEP, true);
}

static void yielding_beside_hog(int n)
{
	hand_over(n, YIELD, true);
}

static void spinning_beside_hog(int n)
{
	hand_over(n, SPIN, true);
}

static int guest_memory = -1;
enum { REACH = 512 };

static void mappings(int n, bool touch)
{
	static char *at;

	if (guest_memory == -1) {
		guest_memory = (int)syscall(SYS_memfd_create, "micro", 0);
		if (ftruncate(guest_memory, REACH * PAGE))
			err(1, "memfd");
		at = anonymous(2 * REACH * PAGE, MAP_PRIVATE);
		for (int i = 0; i < REACH; i++)	/* pages exist */
			if (pwrite(guest_memory, "", 1, i * PAGE) != 1)
				err(1, "memfd");
	}
	for (int i = 0; i < n; i++) {
		int page = i % REACH;
		char *p = at + 2 * page * PAGE;	/* never two in a row */

		if (mmap(p, PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, guest_memory,
			 page * PAGE) == MAP_FAILED)
			err(1, "mmap");
		if (touch)
			*(volatile char *)p = 1;
	}
}

static void mapping(int n)
{
	mappings(n, false);
}

static void mapping_touched(int n)
{
	mappings(n, true);
}

/* ---- */
struct measure {
	const char *name;
	void (*work)(int times);
	int times;
};

static const struct measure services[] = {
	{ "signal", signals, 2000 },
	{ "system call", calls, 2000 },
#ifdef __i386__
	{ "system call by int 0x80", old_calls, 2000 },
	{ "system call through the vDSO", vdso_calls, 2000 },
#endif
	{ "page fault", faults, 200 },
	{ "handled fault", handled_faults, 200 },
	{ "switch", switches, 400 },
	{ "pipe switch", pipes, 400 },
	{ "fork", forks, 20 },
	{ "exec", execs, 20 },
	{ "loop", computing, 2000 },
	{ "floating point", floating, 2000 },
	{ "copy", copying, 500 },
	{ NULL, NULL, 0 }
};

static const struct measure parts[] = {
	{ "system call", calls, 2000 },
	{ "trap: int, signal, return", int_signals, 2000 },
	{ "hand-over", hand_overs, 2000 },
	{ "hand-over by yielding", yielding, 2000 },
	{ "hand-over by spinning", spinning, 2000 },
	{ "hand-over beside a hog", sleeping_beside_hog, 2000 },
	{ "hand-over by yielding beside a hog", yielding_beside_hog, 100 },
	{ "hand-over by spinning beside a hog", spinning_beside_hog, 2000 },
	{ "mapping", mapping, 2048 },
	{ "mapping and touch", mapping_touched, 2048 },
	{ "filter: call, signal, return", filter_signals, 2000 },
	{ NULL, NULL, 0 }
};

static void measure(const struct measure *m, int rounds)
{
	bool wants_two = m->work == spinning || m->work == spinning_beside_hog;
	double best = 1e18;

	if (wants_two && sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	while (rounds--) {
		double start = now(), ns;

		m->work(m->times);
		ns = (now() - start) / m->times;
		if (ns < best)
			best = ns;
	}
	printf("%s: %.1f\n", m->name, best);
	fflush(stdout);
}

/*
 * Process 1 is special to its kernel (a fault of it is worth a message), so
 * its child measures, and it switches the machine off.
 */
static void alone(void)
{
	sleep(2);		/* a young kernel's clock only ticks */
	printf("micro begins\n");
	fflush(stdout);
	if (fork() == 0)
		return;
	wait(NULL);
	printf("micro ends\n");
	fflush(stdout);
	reboot(RB_POWER_OFF);
	_exit(0);
}

int main(int argc, char *argv[])
{
	const struct measure *m = services;
	int rounds = 5;

	if (strcmp(argv[0], "true") == 0)
		return 0;
	self = argv[0];
	if (argc > 1 && strcmp(argv[1], "parts") == 0)
		m = parts;
	else if (argc > 1 && atoi(argv[1]) > 0)
		rounds = atoi(argv[1]);
	if (getpid() == 1)
		alone();
	for (; m->name; m++)
		measure(m, rounds);
	return 0;
}
