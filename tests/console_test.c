/*
 * The console with a Guest that is played by this program: it gives receive
 * buffers and transmits what it finds in them. tests/console.t types.
 *
 *	console_test echo BUFFERS SIZE	echoes; Q: power off, E: error, !: hang,
 *					S: the window's size
 *	console_test hang		gives no buffers until SIGUSR1
 *	console_test flood BYTES	transmits, then powers off
 *	console_test reset		resets while a chain is half written
 *	console_test lie WHICH		1: writable transmit, 2: readable receive
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "host/rawsys.h"
#include "launcher/console.h"
#include "launcher/device.h"
#include "launcher/guest.h"
#include "launcher/waker.h"

#define FUTEX_WAIT	0
#define FUTEX_WAKE	1
#define RAM		(1u << 20)
#include "tests/machine.h"

#define RING(q)		(RAM + 4096 + (uint32_t)(q) * 3 * 4096)

static unsigned int broken_out, pending;

void guest_interrupt(unsigned int irq)
{
	pending |= 1u << irq;
}

void guest_break_out(bool on)
{
	__atomic_store_n(&broken_out, on, __ATOMIC_SEQ_CST);
	raw_futex(&broken_out, FUTEX_WAKE, 1);
	while (on && __atomic_load_n(&broken_out, __ATOMIC_SEQ_CST))
		raw_futex(&broken_out, FUTEX_WAIT, 1);
}

void guest_close(void)
{
}

/* --- the Guest's driver ---------------------------------------------------------- */
static volatile sig_atomic_t go = 1;
static unsigned int buffers, size, seen;

static void describe(int q, unsigned int i, uint32_t addr, uint32_t len,
		     unsigned int flags)
{
	struct vring_desc *d = (void *)(mem + RING(q));

	d[i] = (struct vring_desc){ addr, len, (uint16_t)flags, 0 };
}

static void offer(int q, unsigned int head)
{
	struct vring_avail *a = (void *)(mem + RING(q) + 4096);

	a->ring[a->idx++ % VRING_SIZE] = (uint16_t)head;
}

/* The Guest sleeps: serves what the Waker wakes us for. */
static void serve(void)
{
	if (!__atomic_load_n(&broken_out, __ATOMIC_SEQ_CST)) {
		raw_futex(&broken_out, FUTEX_WAIT, 0);
		return;
	}
	devices_ready();
	guest_break_out(false);
}

/* Transmits, when what went before is out. */
static void transmit(const void *text, uint32_t len)
{
	volatile struct vring_used *u = (void *)(mem + RING(1) + 8192);
	volatile struct vring_avail *a = (void *)(mem + RING(1) + 4096);

	while (u->idx != a->idx)
		serve();
	memcpy(mem + 0x80000, text, len);
	describe(1, 0, 0x80000, len, 0);
	offer(1, 0);
	devices_notify(RING(1));
}

static void give_buffers(void)
{
	for (unsigned int i = 0; i < buffers; i++) {
		describe(0, i, 0x1000 + i * size, size, VRING_DESC_F_WRITE);
		offer(0, i);
	}
	if (buffers)
		devices_notify(RING(0));
}

static void power_off(void)
{
	devices_stop();
	waker_close();
	exit(0);
}

/* From the device page: head, two queues, features twice, and then. */
static void show_size(void)
{
	uint16_t size[2];
	char line[40];

	memcpy(size, mem + RAM + 5 + 16 + 8, sizeof(size));
	transmit(line, (uint32_t)snprintf(line, sizeof(line), "[%u x %u]",
					  size[0], size[1]));
}

static void heard(const uint8_t *text, uint32_t len)
{
	transmit(text, len);
	for (uint32_t i = 0; i < len; i++) {
		if (text[i] == 'Q')
			power_off();
		if (text[i] == 'E')
			errx(1, "as you wish");
		if (text[i] == '!')
			go = 0;
		if (text[i] == 'S')
			show_size();
	}
}

/* Interrupt 1: buffers came back. Echo them, and give them again. */
static void received(void)
{
	struct vring_used *u = (void *)(mem + RING(0) + 8192);
	bool any = false;

	while (seen != u->idx) {
		struct vring_used_elem e = u->ring[seen++ % VRING_SIZE];

		seen &= 0xFFFF;
		heard(mem + 0x1000 + e.id * size, e.len);
		if (go)
			offer(0, e.id);
		any = true;
	}
	if (any && go)
		devices_notify(RING(0));
}

static void wake_up(int sig)
{
	(void)sig;
	go = 1;
}

static void run(void)
{
	bool gone = go;

	for (;;) {
		if (go && !gone) {
			gone = true;
			buffers = 2;
			size = 10;
			give_buffers();
		}
		if (pending & 2) {
			pending &= ~2u;
			received();
			continue;
		}
		serve();
	}
}

static void flood(size_t n)
{
	char line[1000];

	for (size_t i = 0; i < n; i += sizeof(line)) {
		memset(line, 'a' + (int)(i / sizeof(line) % 26), sizeof(line));
		transmit(line, sizeof(line));
	}
	power_off();
}

/* The half that was written stays; the other half is somebody else's. */
static void reset_half_way(void)
{
	struct lguest_device_desc *page = (void *)(mem + RAM);

	memset(mem + 0x80000, 'a', 0x40000);
	describe(1, 0, 0x80000, 0x40000, 0);
	offer(1, 0);
	devices_notify(RING(1));
	page->status = 0;
	devices_notify(RAM);
	memset(mem + 0x80000, 'X', 0x40000);
	for (int i = 0; i < 50; i++) {
		usleep(10000);
		devices_ready();
	}
	transmit("after", 5);
	power_off();
}

int main(int argc, char *argv[])
{
	const char *what = argc > 1 ? argv[1] : "";

	while (open("/dev/null", O_RDWR) < 3)
		;		/* as main does */
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = wake_up }, NULL);
	devices_create();
	console_create();
	waker_start();
	fprintf(stderr, "ready\n");
	if (strcmp(what, "flood") == 0)
		flood((size_t)atol(argv[2]));
	if (strcmp(what, "reset") == 0)
		reset_half_way();
	if (strcmp(what, "lie") == 0) {
		int q = argv[2][0] == '1';

		describe(q, 0, 0x1000, 1, q ? VRING_DESC_F_WRITE : 0);
		offer(q, 0);
		if (q)
			devices_notify(RING(q));
	}
	if (strcmp(what, "echo") == 0) {
		buffers = (unsigned int)atoi(argv[2]);
		size = (unsigned int)atoi(argv[3]);
		give_buffers();
	}
	if (strcmp(what, "hang") == 0)
		go = 0;
	run();
	return 0;
}
