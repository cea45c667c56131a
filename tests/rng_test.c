/* Entropy: buffers are filled, from the kernel or from a file, and no more. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "launcher/device.h"
#include "launcher/guest.h"
#include "launcher/rng.h"
#include "tests/tap.h"

#define RAM	(1u << 20)
#include "tests/machine.h"

static unsigned int interrupts;

void guest_interrupt(unsigned int irq)
{
	(void)irq;
	interrupts++;
}

void guest_break_out(bool on)
{
	(void)on;
}

#define RING	(RAM + 4096)
static struct vring_desc *ring = (void *)(mem + RING);
static struct vring_avail *avail = (void *)(mem + RING + 4096);
static struct vring_used *used = (void *)(mem + RING + 8192);
static const char *place;

static char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", place, name);
	return path;
}

static void offer(unsigned int i, uint32_t at, uint32_t len,
		  unsigned int flags)
{
	ring[i] = (struct vring_desc){ at, len, (uint16_t)flags,
				       (uint16_t)(i + 1) };
	if (flags & VRING_DESC_F_NEXT)
		return;
	while (i && ring[i - 1].flags & VRING_DESC_F_NEXT)
		i--;
	avail->ring[avail->idx % 256] = (uint16_t)i;
	avail->idx++;
}

static unsigned int zeroes(uint32_t at, uint32_t len)
{
	unsigned int n = 0;

	while (len--)
		n += mem[at++] == 0;
	return n;
}

static int kernel(void)
{
	rng_create(NULL);
	offer(0, 0x1000, 1000, VRING_DESC_F_WRITE);
	devices_notify(RING);
	ok(used->idx == 1 && used->ring[0].len == 1000
	   && zeroes(0x1000, 1000) < 40 && zeroes(0x1000 + 1000, 1000) == 1000,
	   "a buffer is filled, and no more than it");
	ok(interrupts == 1, "with one interrupt");
	offer(0, 0x2000, 100, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT);
	offer(1, 0x3000, 100, VRING_DESC_F_WRITE);
	devices_notify(RING);
	ok(used->idx == 2 && used->ring[1].len == 200
	   && zeroes(0x2000, 100) < 20 && zeroes(0x3000, 100) < 20,
	   "two pieces");
	ok(memcmp(mem + 0x2000, mem + 0x3000, 100) != 0, "that differ");
	offer(0, 0x10000, 0x80000, VRING_DESC_F_WRITE);
	devices_notify(RING);
	ok(used->idx == 3 && used->ring[2].len == 4096
	   && zeroes(0x11000, 0x1000) == 0x1000,
	   "of half a mebibyte, 4096 bytes");
	alarm(60);
	offer_without_end(mem + RING);
	devices_notify(RING);
	ok(used->idx == 3 + VRING_SIZE,
	   "of a ring that never ends, one round: %d", used->idx - 3);
	return done();
}

static int lie(void)
{
	rng_create(NULL);
	offer(0, 0x1000, 16, 0);
	devices_notify(RING);
	return 0;
}

static int from_file(void)
{
	int fd = open(path_of("bytes"), O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (write(fd, "0123456789abcdefghij", 20) != 20)
		return 2;
	rng_create(path_of("bytes"));
	ok(used->idx == 0, "nothing is read before it is wanted");
	offer(0, 0x1000, 16, VRING_DESC_F_WRITE);
	devices_notify(RING);
	devices_ready();
	ok(used->idx == 1 && used->ring[0].len == 16
	   && memcmp(mem + 0x1000, "0123456789abcdef", 16) == 0,
	   "a file's bytes");
	offer(0, 0x1000, 16, VRING_DESC_F_WRITE);
	offer(1, 0x2000, 16, VRING_DESC_F_WRITE);
	devices_notify(RING);
	devices_ready();
	ok(used->idx == 2 && used->ring[1].len == 4
	   && memcmp(mem + 0x1000, "ghij", 4) == 0, "its last ones");
	devices_ready();
	devices_notify(RING);
	ok(used->idx == 2, "then none, and the buffer is kept");
	return done();
}

static int from_pipe(void)
{
	struct lguest_device_desc *desc = (void *)(mem + RAM);
	int fd;

	if (mkfifo(path_of("pipe"), 0600) == -1)
		return 2;
	rng_create(path_of("pipe"));
	offer(0, 0x1000, 16, VRING_DESC_F_WRITE);
	devices_notify(RING);
	devices_ready();
	ok(used->idx == 0, "an empty pipe delays the buffer");
	fd = open(path_of("pipe"), O_WRONLY);
	if (write(fd, "abc", 3) != 3)
		return 2;
	devices_ready();
	ok(used->idx == 1 && used->ring[0].len == 3
	   && memcmp(mem + 0x1000, "abc", 4) == 0, "until there is a byte");
	/* A buffer is taken and held; then the driver resets the device. */
	offer(0, 0x4000, 16, VRING_DESC_F_WRITE);
	devices_notify(RING);
	desc->status = 0;
	devices_notify(RAM);
	offer(0, 0x5000, 16, VRING_DESC_F_WRITE);
	devices_notify(RING);
	if (write(fd, "def", 3) != 3)
		return 2;
	devices_ready();
	ok(used->idx == 1 && memcmp(mem + 0x5000, "def", 3) == 0
	   && zeroes(0x4000, 16) == 16, "after a reset only new buffers");
	return done();
}

int main(int argc, char *argv[])
{
	const char *what = argc > 2 ? argv[2] : "kernel";

	place = argc > 1 ? argv[1] : ".";
	devices_create();
	if (strcmp(what, "lie") == 0)
		return lie();
	if (strcmp(what, "file") == 0)
		return from_file();
	if (strcmp(what, "pipe") == 0)
		return from_pipe();
	return kernel();
}
