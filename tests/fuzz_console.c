/*
 * A libFuzzer target: the console with random rings, typed bytes and a slow
 * reader. No byte is written that is not in the Guest's memory, what was
 * typed comes out in order, and the console listens exactly if it has room.
 */
#include <sys/types.h>
#include <unistd.h>
#include "tests/fuzz_device.h"

static ssize_t fake_read(int fd, void *to, size_t n);
static ssize_t fake_write(int fd, const void *from, size_t n);
#define read fake_read
#define write fake_write
#include "launcher/console.c"
#undef read
#undef write

#define ROOM	3	/* what the console thinks room_fd is */

static bool enabled[4];
static unsigned int at_once;		/* bytes that a write takes; 0: none */
static int next_read;			/* bytes, 0: the end, or -errno */
static uint64_t typed, delivered, written, offered;

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
static void taken(const struct virtqueue *vq, const struct chain *c)
{
	if (vq == &dev.queue[1] && !c->ins)
		offered += c->out_len;
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
	struct step s;

	if (!ram)
		begin();
	start_anew();
	if (setjmp(lie))
		return 0;
	while (next_step(&s, &data, &size)) {
		if (drive(&s, &data, &size, 90, 1 + (s.op & 62)))
			continue;
		act(s.op, s.i);
		if (s.op % 8 == 7 && !(s.i & 1))
			seen = 0;
		check_received(&seen);
		check();
	}
	return 0;
}
