/*
 * A libFuzzer target: --tunnet's words, and the network device with random
 * rings, frames and features. Instead of a tap it has a pair of sockets.
 */
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "tests/fuzz_device.h"

static int fake_ioctl(int fd, unsigned long what, ...);
#define ioctl fake_ioctl
#include "launcher/net.c"

static struct net net;
static int wire;
static bool enabled;

static int fake_ioctl(int fd, unsigned long what, ...)
{
	unsigned int offload;
	va_list ap;

	(void)fd;
	va_start(ap, what);
	offload = va_arg(ap, unsigned int);
	va_end(ap);
	if (what == TUN_SET_HDR_SIZE)
		return 0;
	if (what != TUN_SET_OFFLOAD)
		return -1;
	/* what a real tap insists on */
	if (!(offload & 1) && offload)
		abort();
	if (offload & 8 && !(offload & 6))
		abort();
	return 0;
}

void verbose(const char *fmt, ...)
{
	(void)fmt;
}

static void taken(const struct virtqueue *vq, const struct chain *c)
{
	(void)vq, (void)c;
}

void device_enable_fd(int fd)
{
	if (fd != net.tap || enabled)
		abort();
	enabled = true;
}

void device_disable_fd(int fd)
{
	if (fd != net.tap || !enabled)
		abort();
	enabled = false;
}

static void begin(void)
{
	int pair[2];

	ram = malloc(RAM);
	memset(ram, 0, RAM);
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == -1)
		abort();
	net.tap = pair[0];
	wire = pair[1];
	dev.ops = &net_ops;
	dev.state = &net;
}

static void parse(const uint8_t *data, size_t size)
{
	char text[100] = "";
	struct net_order order;
	const char *why;

	memcpy(text, data, size < 99 ? size : 99);
	why = net_parse(text, &order);
	if (why ? !*why : order.kind == NET_ADDRESS ? order.prefix < 1 ||
	    order.prefix > 31 : !order.name[0] || order.name[15])
		abort();
}

/* What the device holds adds up, and each buffer has room for a header. */
static void check_held(void)
{
	uint32_t room = 0, pieces = 0;

	for (unsigned int i = 0; i < net.holding; i++) {
		if (net.held[i].bytes < 10)
			abort();
		room += net.held[i].bytes;
		pieces += net.held[i].pieces;
	}
	if (room != net.room || pieces != net.pieces)
		abort();
}

static void act(unsigned int op, unsigned int n)
{
	static uint8_t frame[70000];
	static const uint32_t sizes[] = { 10, 24, 70, 1524, 4000, 9000, 65560,
					  66000 };

	switch (op & 7) {
	case 0:
		if (send(wire, frame, sizes[n & 7], MSG_DONTWAIT) < 0)
			return;		/* full, as a tap may be */
		break;
	case 1:
	case 2:
		net_receive(&dev, &dev.queue[0]);
		break;
	case 3:
	case 4:
		net_transmit(&dev, &dev.queue[1]);
		while (recv(wire, frame, sizeof(frame), MSG_DONTWAIT) >= 0)
			;
		break;
	case 5:
		if (enabled)
			net_readable(&dev, net.tap);
		break;
	case 6:
		dev.accepted = (n & 7) << 7 | (n >> 3 & 1) << 1 |
			       (n >> 4 & 1) << NET_F_MRG_RXBUF;
		net_accept(&dev);
		break;
	case 7:
		virtqueue_reset(&dev.queue[0]);
		virtqueue_reset(&dev.queue[1]);
		net_reset(&dev);
		break;
	}
	if (enabled != net.listening || (enabled && !net.holding))
		abort();
	check_held();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct step s;

	if (!ram)
		begin();
	if (size && data[0] == '-') {
		parse(data + 1, size - 1);
		return 0;
	}
	virtqueue_create(&dev.queue[0], rings[0], RAM, 1);
	virtqueue_create(&dev.queue[1], rings[1], RAM + 3 * 4096, 2);
	net_reset(&dev);
	if (setjmp(lie))
		return 0;
	while (next_step(&s, &data, &size))
		if (!drive(&s, &data, &size, 100, s.op & 8 ? 1524 : s.op & 3))
			act(s.op, s.i);
	return 0;
}
