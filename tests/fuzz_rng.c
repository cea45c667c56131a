/*
 * A libFuzzer target: the entropy device with a random ring, and a source
 * that gives what it likes. Random bytes go into buffers of the Guest and
 * nowhere else, and no more of them than is said.
 */
#include <err.h>
#include <sys/random.h>
#include <sys/types.h>
#include <unistd.h>
#include "tests/fuzz_device.h"

static ssize_t fake_read(int fd, void *to, size_t n);
static ssize_t fake_getrandom(void *to, size_t n, unsigned int flags);
#define read fake_read
#define getrandom fake_getrandom
#define warnx(...) ((void)0)
#include "launcher/rng.c"
#undef read
#undef getrandom

#define SOURCE	3

static bool enabled;
static int gives;			/* bytes, 0: the end, or -errno */
static uint64_t given, returned;

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
static void taken(const struct virtqueue *vq, const struct chain *c)
{
	(void)vq, (void)c;
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
	const struct vring_used *used = (void *)(rings[0] + 2 * 4096);

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
	struct vring_desc *desc = (void *)rings[0];
	struct vring_avail *avail = (void *)(rings[0] + 4096);
	uint16_t seen = 0;

	if (!ram) {
		ram = malloc(RAM);
		dev.ops = &rng_ops;
	}
	virtqueue_create(&dev.queue[0], rings[0], RAM, 1);
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
