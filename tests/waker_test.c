/*
 * The Waker with a Guest that is only a futex. The first argument says what
 * to do; tests/waker.t runs it in each way and looks at what is left.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "host/rawsys.h"
#include "launcher/device.h"
#include "launcher/guest.h"
#include "launcher/memory.h"
#include "launcher/waker.h"

#define FUTEX_WAIT	0	/* <linux/futex.h> is not for musl */
#define FUTEX_WAKE	1

/* --- what stands in for memory and the Host --------------------------------- */
static uint8_t pages[256 * 4096] __attribute__((aligned(4096)));
static unsigned int broken_out;

void *memory_at(uint32_t addr, uint32_t len)
{
	(void)addr, (void)len;
	return NULL;
}

uint32_t memory_ram(void)
{
	return 0;
}

void *memory_device_pages(unsigned int count, uint32_t *addr)
{
	(void)count, (void)addr;
	return pages;
}

void guest_interrupt(unsigned int irq)
{
	(void)irq;
}

void guest_break_out(bool on)
{
	__atomic_store_n(&broken_out, on, __ATOMIC_SEQ_CST);
	raw_futex(&broken_out, FUTEX_WAKE, 1);
	while (on && __atomic_load_n(&broken_out, __ATOMIC_SEQ_CST))
		raw_futex(&broken_out, FUTEX_WAIT, 1);
}

/* The Guest "runs" until somebody breaks it out. */
static void run_guest(void)
{
	while (!__atomic_load_n(&broken_out, __ATOMIC_SEQ_CST))
		raw_futex(&broken_out, FUTEX_WAIT, 0);
}

/* --- a device with one descriptor -------------------------------------------- */
static int data[2];

static void take(struct device *dev, int fd)
{
	char c;

	(void)dev;
	device_disable_fd(fd);
	if (read(fd, &c, 1) != 1)
		abort();
}

static const struct device_ops ops = { .name = "pipe", .readable = take };

static void event(void)
{
	if (write(data[1], "x", 1) != 1)
		abort();
}

static void start(void)
{
	devices_create();
	if (pipe(data) == -1)
		abort();
	device_watch_fd(device_new(&ops, NULL, 0), data[0]);
	waker_start();
}

/* The Waker's process id, which waker.h does not tell: our only child. */
static int child(void)
{
	char name[64], line[64] = "";
	FILE *f;

	snprintf(name, sizeof(name), "/proc/self/task/%d/children", getpid());
	f = fopen(name, "r");
	if (!f || !fgets(line, sizeof(line), f))
		return 0;
	fclose(f);
	return atoi(line);
}

/* The state of a process as /proc has it; 0 if there is none. */
static char state_of(int pid)
{
	char name[64], line[512] = "";
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	f = fopen(name, "r");
	if (!f || !fgets(line, sizeof(line), f))
		return 0;
	fclose(f);
	return strrchr(line, ')') ? strrchr(line, ')')[2] : 0;
}

static bool asleep(int pid)
{
	return state_of(pid) == 'S';
}

/* --- what to do --------------------------------------------------------------- */
static long round_now;

static void lost(int sig)
{
	char line[80];
	int n = snprintf(line, sizeof(line), "lost in round %ld\n", round_now);

	(void)sig;
	raw_write(1, line, (unsigned long)n);
	waker_close();
	_exit(1);
}

/* On one processor a round costs less; on two they race more. */
static void use_one_processor(bool one)
{
	cpu_set_t set;

	memset(&set, one ? 0 : 0xFF, sizeof(set));
	if (one)
		CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
	sched_setaffinity(child(), sizeof(set), &set);
}

static int rounds(long n, unsigned int limit)
{
	signal(SIGALRM, lost);
	alarm(limit);
	start();
	for (round_now = 0; round_now < n; round_now++) {
		if (round_now % 10000 == 0)
			use_one_processor(round_now % 100000 != 0);
		if (round_now & 1)
			event();
		device_enable_fd(data[0]);
		if (!(round_now & 1))
			event();
		run_guest();
		devices_ready();
		guest_break_out(false);
		/* a break-out for an old copy of the set may follow: fine */
		while (fd_in(devices.infds, data[0])) {
			run_guest();
			devices_ready();
			guest_break_out(false);
		}
	}
	waker_close();
	printf("%ld rounds\n", round_now);
	return 0;
}

static int sees_enabled(void)
{
	start();
	while (!asleep(child()))
		usleep(1000);
	usleep(50000);
	event();
	usleep(50000);
	if (broken_out)
		return 1;		/* not enabled yet: must not be seen */
	device_enable_fd(data[0]);
	run_guest();
	devices_ready();
	guest_break_out(false);
	waker_close();
	puts("seen");
	return 0;
}

static int bad_descriptor(void)
{
	start();
	errno = 4242;
	device_enable_fd(data[0]);
	raw_close(data[0]);		/* the Waker's copy stays open */
	devices.infds[0] |= 1ul << 63 % FD_WORD_BITS;
	devices.max_infd = 63;
	waker_wake();
	run_guest();
	printf("errno %d\n", errno);
	fflush(stdout);
	waker_check();
	return 0;
}

static int late(void)
{
	start();
	device_watch_fd(device_new(&ops, NULL, 0), data[1]);
	return 0;
}

/* Says who we are and, if so told, waits until the Waker is blocked. */
static void introduce(const char *state)
{
	start();
	printf("%d %d\n", getpid(), child());
	fflush(stdout);
	while (!asleep(child()))
		usleep(1000);
	if (strcmp(state, "blocked") == 0) {
		event();
		device_enable_fd(data[0]);
		run_guest();
		while (!asleep(child()))
			usleep(1000);
	}
}

static int again(const char *self, bool close_it, const char *state)
{
	char *argv[] = { (char *)self, "after", NULL };

	introduce(state);
	if (close_it)
		waker_close();
	for (int fd = 3; fd < 64; fd++)
		close(fd);
	execv("/proc/self/exe", argv);
	return 1;
}

int main(int argc, char *argv[])
{
	const char *what = argc > 1 ? argv[1] : "";
	const char *how = argc > 2 ? argv[2] : "";

	if (strcmp(what, "rounds") == 0)
		return rounds(atol(how), (unsigned int)atoi(argv[3]));
	if (strcmp(what, "sees") == 0)
		return sees_enabled();
	if (strcmp(what, "bad") == 0)
		return bad_descriptor();
	if (strcmp(what, "late") == 0)
		return late();
	if (strcmp(what, "exit") == 0) {
		introduce(how);
		return 0;
	}
	if (strcmp(what, "pause") == 0) {
		introduce(how);
		for (;;)
			pause();
	}
	if (strcmp(what, "close") == 0) {
		introduce(how);
		waker_close();
		return waitpid(-1, NULL, 0) != -1 || broken_out;
	}
	if (strcmp(what, "exec") == 0)
		return again(argv[0], true, how);
	if (strcmp(what, "exec-only") == 0)
		return again(argv[0], false, how);
	if (strcmp(what, "after") == 0) {
		usleep(300000);
		printf("child: %d %c\n", child(),
		       child() ? state_of(child()) : '-');
		return 0;
	}
	return 2;
}
