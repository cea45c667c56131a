/*
 * A libFuzzer target: the entropy device with a random ring, and a source
 * that gives what it likes. Random bytes go into buffers of the Guest and
 * nowhere else, and no more of them than is said.
 */
#include <err.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>
#include <unistd.h>
#include "launcher/device.h"
#include "launcher/memory.h"

static ssize_t fake_read(int fd, void *to, size_t n);
static ssize_t fake_getrandom(void *to, size_t n, unsigned int flags);
#define read fake_read
#define getrandom fake_getrandom
#define warnx(...) ((void)0)
#include "launcher/rng.c"
#undef read
#undef getrandom

#define RAM	(1u << 20)
#define SOURCE	3

static uint8_t *ram;
static uint8_t ring[3 * 4096] __attribute__((aligned(4096)));
static struct device dev;
static jmp_buf lie;
static bool enabled;
static int gives;			/* bytes, 0: the end, or -errno */
static uint64_t given, returned;

static void require(bool good)
{
	if (!good)
		abort();
}

static ssize_t give(void *to, size_t n)
{
	uint8_t *p = to;

	require(n > 0 && n <= RNG_MOST);
	require(p >= ram && (size_t)(p - ram) <= RAM - n);
	if (gives < 0) {
		errno = -gives;
		return -1;
	}
	if (n > (size_t)gives)
		n = (size_t)gives;
	memset(p, 0x5a, n);		/* the sanitizer looks as well */
	given += n;
	return (ssize_t)n;
}

static ssize_t fake_read(int fd, void *to, size_t n)
{
	require(fd == SOURCE);
	return give(to, n);
}

static ssize_t fake_getrandom(void *to, size_t n, unsigned int flags)
{
	require(flags == 0);
	return give(to, n);
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
	return a == VIRTQUEUE_CHAIN;
}

void device_interrupt(struct virtqueue *vq)
{
	virtqueue_wants_interrupt(vq);
}

void device_lie(struct device *d, struct virtqueue *vq, const char *what)
{
	require(d == &dev && vq == d->queue && *what);
	longjmp(lie, 1);
}

void device_watch_fd(struct device *d, int fd)
{
	(void)d, (void)fd;
	abort();
}

void device_enable_fd(int fd)
{
	require(fd == SOURCE);
	enabled = true;
}

void device_disable_fd(int fd)
{
	require(fd == SOURCE && enabled);
	enabled = false;
}

/* ---- the fuzzer's part ---- */
static void check(uint16_t *seen)
{
	const struct vring_used *used = (void *)(ring + 2 * 4096);

	for (; *seen != dev.queue[0].next_used; ++*seen) {
		uint32_t n = used->ring[*seen % VRING_SIZE].len;

		require(n > 0 && n <= RNG_MOST);
		returned += n;
	}
	require(returned == given);
	require(!rng_has_chain || (rng_chain.ins && !rng_chain.outs));
	require(!(enabled && rng_ended && rng_fd < 0));
}

static void act(unsigned int op, unsigned int n, uint16_t *seen)
{
	static const int other[] = { -EAGAIN, -EINTR, -EIO, 0 };

	gives = op & 8 ? 1 << (n & 15) : n > 240 ? other[n & 3] : (int)n;
	switch (op & 7) {
	case 0:
	case 1:
	case 2:
		rng_kick(&dev, &dev.queue[0]);
		break;
	case 3:
	case 4:
		if (enabled)
			rng_readable(&dev, SOURCE);
		break;
	case 5:
		virtqueue_reset(&dev.queue[0]);
		rng_reset(&dev);
		*seen = 0;
		break;
	}
	check(seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vring_desc *desc = (void *)ring;
	struct vring_avail *avail = (void *)(ring + 4096);
	uint16_t seen = 0;

	if (!ram) {
		ram = malloc(RAM);
		dev.ops = &rng_ops;
	}
	virtqueue_create(&dev.queue[0], ring, RAM, 1);
	rng_reset(&dev);
	enabled = rng_ended = false;
	rng_path = "file";
	rng_fd = size && data[0] & 1 ? SOURCE : -1;
	given = returned = 0;
	if (setjmp(lie))
		return 0;
	while (size >= 2) {
		unsigned int op = data[0], i = data[1];

		data += 2;
		size -= 2;
		if (op < 80 && size >= 16) {
			memcpy(&desc[i], data, 16);
			data += 16;
			size -= 16;
		} else if (op < 150) {	/* a descriptor that makes sense */
			desc[i] = (struct vring_desc){ i * 2048,
				1u << (op & 14), VRING_DESC_F_WRITE | (op & 1),
				(uint16_t)(i + 1) };
		} else if (op < 200) {
			avail->ring[avail->idx++ % VRING_SIZE] = (uint16_t)i;
		} else {
			act(op, i, &seen);
		}
	}
	return 0;
}
