/*
 * A libFuzzer target: the console with random rings, typed bytes and a slow
 * reader. No byte is written that is not in the Guest's memory, what was
 * typed comes out in order, and the console listens exactly if it has room.
 */
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#include "launcher/device.h"
#include "launcher/memory.h"

static ssize_t fake_read(int fd, void *to, size_t n);
static ssize_t fake_write(int fd, const void *from, size_t n);
#define read fake_read
#define write fake_write
#include "launcher/console.c"
#undef read
#undef write

#define RAM	(1u << 20)
#define ROOM	3	/* what the console thinks room_fd is */

static uint8_t *ram;
static uint8_t rings[2][3 * 4096] __attribute__((aligned(4096)));
static struct device dev;
static jmp_buf lie;
static bool enabled[4];
static unsigned int at_once;		/* bytes that a write takes; 0: none */
static int next_read;			/* bytes, 0: the end, or -errno */
static uint64_t typed, delivered, written, offered;

static void require(bool good)
{
	if (!good)
		abort();
}

static ssize_t fake_read(int fd, void *to, size_t n)
{
	size_t got = next_read < 0 ? 0 : (size_t)next_read;

	require(fd == STDIN_FILENO && n > 0);
	if (next_read < 0) {
		errno = -next_read;
		return -1;
	}
	if (got > n)
		got = n;
	for (size_t i = 0; i < got; i++)
		((uint8_t *)to)[i] = (uint8_t)(typed++ * 7);
	return (ssize_t)got;
}

static ssize_t fake_write(int fd, const void *from, size_t n)
{
	const uint8_t *p = from;
	static volatile uint8_t sum;

	require(fd == STDOUT_FILENO && p >= ram && n <= RAM &&
		(size_t)(p - ram) <= RAM - n);
	if (at_once == 0) {
		errno = EAGAIN;
		return -1;
	}
	if (n > at_once)
		n = at_once;
	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + p[i]);	/* the sanitizer looks as well */
	written += n;
	return (ssize_t)n;
}

/* ---- what a device calls ---- */
void *memory_at(uint32_t addr, uint32_t len)
{
	return addr <= RAM && len <= RAM - addr ? ram + addr : NULL;
}

uint32_t memory_ram(void)
{
	return RAM;
}

struct device *device_new(const struct device_ops *ops, const void *config,
			  uint8_t config_len)
{
	(void)ops, (void)config, (void)config_len;
	abort();
}

bool device_pop(struct device *d, struct virtqueue *vq, struct chain *c)
{
	enum virtqueue_answer a = virtqueue_pop(vq, c);

	if (a == VIRTQUEUE_LIE)
		device_lie(d, vq, vq->lie);
	if (a == VIRTQUEUE_CHAIN && vq == &dev.queue[1] && !c->ins)
		offered += c->out_len;
	return a == VIRTQUEUE_CHAIN;
}

void device_interrupt(struct virtqueue *vq)
{
	virtqueue_wants_interrupt(vq);
}

void device_lie(struct device *d, struct virtqueue *vq, const char *what)
{
	require(d == &dev && vq >= d->queue && vq <= d->queue + 1 && *what);
	longjmp(lie, 1);
}

void device_watch_fd(struct device *d, int fd)
{
	(void)d, (void)fd;
	abort();
}

void device_enable_fd(int fd)
{
	require(!enabled[fd]);
	enabled[fd] = true;
}

void device_disable_fd(int fd)
{
	require(enabled[fd]);
	enabled[fd] = false;
}

bool device_write_all(int fd, const void *data, size_t len)
{
	at_once = RAM;
	return fake_write(fd, data, len) == (ssize_t)len;
}

void guest_close(void)
{
}

void waker_close(void)
{
}

/* ---- the fuzzer's part ---- */

/* All that came back in the receive queue must be what was typed, in order. */
static void check_received(uint16_t *seen)
{
	const struct vring_used *used = (void *)(rings[0] + 2 * 4096);

	while (*seen != dev.queue[0].next_used) {
		uint32_t n = used->ring[*seen % VRING_SIZE].len;

		require(n > 0 && n <= HELD_MAX);
		delivered += n;
		++*seen;
	}
	require(delivered + held_len == typed);
	for (size_t i = 0; i < held_len; i++)
		require(held[i] == (uint8_t)((delivered + i) * 7));
}

static void act(unsigned int op, unsigned int n)
{
	static const int errors[] = { -EAGAIN, -EINTR, -EIO, 0 };

	at_once = op & 8 ? n * n : n & 3 ? RAM : 0;
	switch (op & 7) {
	case 0:
	case 1:
		next_read = (int)n;
		if (n > 250)
			next_read = errors[n & 3];
		if (enabled[STDIN_FILENO])
			console_readable(&dev, STDIN_FILENO);
		break;
	case 2:
	case 3:
		console_deliver(&dev, &dev.queue[0]);
		break;
	case 4:
	case 5:
		console_transmit(&dev, &dev.queue[1]);
		break;
	case 6:
		if (enabled[ROOM])
			console_readable(&dev, ROOM);
		break;
	case 7:
		virtqueue_reset(&dev.queue[n & 1]);
		if (n & 1) {
			console_reset(&dev);
			offered = written;
		}
		break;
	}
}

static void check(void)
{
	uint64_t left = 0;

	require(held_len <= HELD_MAX);
	require(enabled[STDIN_FILENO] == listening);
	require(listening == (held_len < HELD_MAX && !input_ended));
	require(enabled[ROOM] == have_text);
	for (unsigned int i = text_piece; have_text && i < text.outs; i++)
		left += text.piece[i].iov_len;
	require(written + left == offered);
}

static void begin(void)
{
	ram = malloc(RAM);
	memset(ram, 0, RAM);
	console = &dev;
	dev.ops = &console_ops;
	room_fd = ROOM;
}

static void start_anew(void)
{
	virtqueue_create(&dev.queue[0], rings[0], RAM, 1);
	virtqueue_create(&dev.queue[1], rings[1], RAM + 3 * 4096, 2);
	console_reset(&dev);
	held_len = 0;
	input_ended = false;
	typed = delivered = written = offered = 0;
	listen_to_input(true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint16_t seen = 0;

	if (!ram)
		begin();
	start_anew();
	if (setjmp(lie))
		return 0;
	while (size >= 3) {
		unsigned int op = data[0], i = data[1], q = data[2] & 1;
		struct vring_desc *desc = (void *)rings[q];
		struct vring_avail *avail = (void *)(rings[q] + 4096);

		data += 3;
		size -= 3;
		if (op < 90 && size >= 16) {
			memcpy(&desc[i], data, 16);
			data += 16;
			size -= 16;
		} else if (op < 160) {	/* a descriptor that makes sense */
			desc[i] = (struct vring_desc){ i * 2048, 1 + (op & 62),
				op & 1, (uint16_t)(i + 1) };
			if (q == 0)
				desc[i].flags |= VRING_DESC_F_WRITE;
		} else if (op < 200) {
			avail->ring[avail->idx++ % VRING_SIZE] = (uint16_t)i;
		} else {
			act(op, i);
			if (op % 8 == 7 && !(i & 1))
				seen = 0;
			check_received(&seen);
			check();
		}
	}
	return 0;
}
