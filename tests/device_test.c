/* The device page: its bytes, features, reset, notifications, and lies. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "launcher/device.h"
#include "launcher/guest.h"
#include "tests/tap.h"

#define RAM	65536u
#include "tests/machine.h"

static unsigned int interrupts[32];

void guest_interrupt(unsigned int irq)
{
	interrupts[irq]++;
}

void guest_break_out(bool on)
{
	(void)on;
}

static unsigned int kicked, reset;

static void kick(struct device *dev, struct virtqueue *vq)
{
	struct chain c;

	kicked |= 1u << (vq - dev->queue);
	while (device_pop(dev, vq, &c))
		virtqueue_push(vq, c.head, c.in_len);
	device_interrupt(vq);
}

static void was_reset(struct device *dev)
{
	(void)dev;
	reset++;
}

static const struct device_ops ops = {
	.name = "toy", .type = 9, .num_queues = 2,
	.features = 0x01000005,
	.queue = { { "left", kick }, { "right", kick } },
	.reset = was_reset,
};
static const struct device_ops plain = { .name = "plain", .type = 4 };
static struct device *dev;

/* Notifies addr in a child; its exit status, its words into said. */
static int notify(uint32_t addr, char *said, size_t size)
{
	int p[2], status;
	ssize_t n, all = 0;

	if (pipe(p) == -1)
		abort();
	fflush(stdout);
	if (fork() == 0) {
		dup2(p[1], 1);
		dup2(p[1], 2);
		devices_notify(addr);
		_exit(0);
	}
	close(p[1]);
	while ((n = read(p[0], said + all, size - 1 - (size_t)all)) > 0)
		all += n;
	said[all] = '\0';
	close(p[0]);
	wait(&status);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool refuses(uint32_t addr, const char *about)
{
	char said[65536];
	int status = notify(addr, said, sizeof(said));

	if (status == 1 && strstr(said, about) && strchr(said, '\n') ==
	    said + strlen(said) - 1)
		return true;
	printf("# status %d: %s\n", status, said);
	return false;
}

static void test_page(void)
{
	static const uint8_t expected[] = {
		9, 2, 4, 3, 0,				/* the head */
		0, 1, 1, 0, 17, 0, 0, 0,		/* 256, 1, pfn */
		0, 1, 2, 0, 20, 0, 0, 0,
		5, 0, 0, 1, 0, 0, 0, 0,			/* features */
		'a', 'b', 'c',				/* configuration */
		4, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,	/* the next */
		0					/* the end */
	};

	devices_create();
	dev = device_new(&ops, "abc", 3);
	device_new(&plain, NULL, 0);
	ok(memcmp(mem + RAM, expected, sizeof(expected)) == 0,
	   "the bytes of the page");
	ok(dev->address == RAM && dev->queue[1].address == RAM + 4 * 4096,
	   "their addresses");
}

static void test_features(void)
{
	uint8_t *accepted = mem + RAM + 5 + 16 + 4, *status = mem + RAM + 4;

	*status = 3;
	accepted[0] = 4;
	accepted[3] = 1;
	devices_notify(RAM);
	ok(dev->accepted == 0x01000004 && dev->queue[1].notify_on_empty,
	   "features are read when the driver says so");
	accepted[1] = 0x10;
	ok(refuses(RAM, "toy: the Guest accepted features 0x1001004, of "
		   "which 0x1000 were never offered"), "a feature too many");
	accepted[1] = 0;
	mem[RAM + 1] = 200;
	mem[RAM + 2] = 255;
	devices_notify(RAM);
	ok(dev->accepted == 0x01000004, "lengths on the page are not believed");
	mem[RAM + 1] = 2;
	mem[RAM + 2] = 4;
	mem[RAM + 4 * 4096 + 7] = 77;
	mem[RAM + 4 * 4096 + 4096 + 2] = 7;
	*status = 0;
	devices_notify(RAM);
	ok(dev->accepted == 0 && accepted[3] == 0 && reset == 1,
	   "a reset forgets the features");
	ok(mem[RAM + 4 * 4096 + 7] == 0 && mem[RAM + 4 * 4096 + 4098] == 0 &&
	   !dev->queue[1].notify_on_empty, "and empties the rings");
}

static void test_notifications(void)
{
	struct vring_avail *avail = (void *)(mem + RAM + 5 * 4096);
	struct vring_desc *desc = (void *)(mem + RAM + 4 * 4096);
	char said[256];

	devices_notify(RAM + 4 * 4096);
	ok(kicked == 2 && !interrupts[2], "an empty queue is kicked");
	desc[0].len = 5;
	avail->idx = 1;
	devices_notify(RAM + 4 * 4096);
	ok(interrupts[2] == 1 && !interrupts[1], "its own interrupt follows");
	avail->idx = 500;
	ok(refuses(RAM + 4 * 4096, "toy: right: the available index jumped "
		   "from 1 to 500"), "a lie ends it, with all the names");
	strcpy((char *)mem + 100, "first words\n");
	ok(notify(100, said, sizeof(said)) == 0 &&
	   strcmp(said, "first words\n") == 0, "early console");
	memcpy(mem + RAM - 3, "end", 3);
	ok(refuses(RAM - 3, "no text in its memory"), "text without an end");
	ok(refuses(0xFFFFFFFF, "the Guest notified 0xffffffff"),
	   "an address outside");
	ok(refuses(RAM + 1, "no device"), "beside a descriptor");
	ok(refuses(RAM + 4 * 4096 + 4, "no ring"), "inside a ring");
	mem[RAM + 4] = VIRTIO_FAILED;
	ok(notify(RAM, said, sizeof(said)) == 0 && strstr(said, "given up"),
	   "a driver that failed is reported, not punished");
	ok(notify(200, said, sizeof(said)) == 0 && !said[0], "empty text");
}

/* Whatever is notified: service, or one line and status 1. */
static void test_anything(void)
{
	unsigned int served = 0, refused = 0, wrong = 0;
	char said[70000];

	for (uint32_t a = RAM - 600; a < RAM + 8 * 4096; a += 101) {
		int status = notify(a, said, sizeof(said));

		served += status == 0;
		refused += status == 1 && strstr(said, "the Guest notified");
		wrong += status != 0 && !(status == 1 && strchr(said, '\n')
			== said + strlen(said) - 1);
	}
	ok(wrong == 0 && served && refused,
	   "anything can be notified: %u served, %u refused", served,
	   refused);
}

static void test_status(void)
{
	uint8_t *accepted = mem + RAM + 5 + 16 + 4, *status = mem + RAM + 4;
	char said[256];
	unsigned int wrong = 0;

	memset(accepted, 0, 4);
	for (unsigned int s = 0; s < 256; s++) {
		*status = (uint8_t)s;
		wrong += notify(RAM, said, sizeof(said)) != 0
			|| (!!strstr(said, "given up") != !!(s & 128));
	}
	ok(wrong == 0, "any status, in any order");
	*status = 0;
	devices_notify(RAM);
	accepted[0] = 4;
	for (int i = 0; i < 3; i++) {
		*status = 7;
		devices_notify(RAM);
	}
	ok(dev->accepted == 4, "to accept three times is to accept once");
	*status = 0;
	devices_notify(RAM);
	kicked = 0;
	devices_notify(RAM + 4096);
	ok(kicked == 1, "a kick before the driver is ready is served");
	*status = 0;
	devices_notify(RAM);
	*status = 3;
	devices_notify(RAM);
	accepted[0] = 4;
	accepted[3] = 1;
	devices_notify(dev->queue[0].address);
	ok(dev->accepted == 0x01000004 && dev->queue[0].notify_on_empty,
	   "with the features that stand on the page, if none were told");
}

static int crowd(void)
{
	devices_create();
	for (int i = 0; i < 1000; i++)
		device_new(&plain, NULL, 0);
	return 0;
}

int main(int argc, char *argv[])
{
	if (argc > 1 && strcmp(argv[1], "crowd") == 0)
		return crowd();
	if (argc > 1) {
		devices_create();
		device_watch_fd(device_new(&plain, NULL, 0), atoi(argv[1]));
		return 0;
	}
	test_page();
	test_features();
	test_notifications();
	test_anything();
	test_status();
	return done();
}
