/*
 * What the fuzzers of devices share: the one device under test, the Guest's
 * memory, and of the other files of the Launcher what a device calls.
 */
#ifndef TESTS_FUZZ_DEVICE_H
#define TESTS_FUZZ_DEVICE_H
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "launcher/device.h"
#include "launcher/memory.h"

#define RAM	(1u << 20)

static uint8_t *ram;
static uint8_t rings[2][3 * 4096] __attribute__((aligned(4096)));
static struct device dev;
static jmp_buf lie;

static void require(bool good)
{
	if (!good)
		abort();
}

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

void device_watch_fd(struct device *d, int fd)
{
	(void)d, (void)fd;
	abort();
}

/* The target hears of each chain that its device takes. */
static void taken(const struct virtqueue *vq, const struct chain *c);

bool device_pop(struct device *d, struct virtqueue *vq, struct chain *c)
{
	enum virtqueue_answer a = virtqueue_pop(vq, c);

	if (a == VIRTQUEUE_LIE)
		device_lie(d, vq, vq->lie);
	if (a == VIRTQUEUE_CHAIN)
		taken(vq, c);
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

/* A step of a random driver: what to do, a number, and in which queue. */
struct step {
	unsigned int op, i, q;
};

static inline bool next_step(struct step *s, const uint8_t **data, size_t *size)
{
	if (*size < 3)
		return false;
	*s = (struct step){ (*data)[0], (*data)[1], (*data)[2] & 1 };
	*data += 3;
	*size -= 3;
	return true;
}

/*
 * The driver's part: a descriptor of random bytes (operations below `raw'), one
 * that makes sense, or a head that is offered. False: the device is to act.
 */
static inline bool drive(const struct step *s, const uint8_t **data,
			 size_t *size, unsigned int raw, uint32_t sensible_len)
{
	struct vring_desc *desc = (void *)rings[s->q];
	struct vring_avail *avail = (void *)(rings[s->q] + 4096);

	if (s->op >= 200)
		return false;
	if (s->op < raw && *size >= 16) {
		memcpy(&desc[s->i], *data, 16);
		*data += 16;
		*size -= 16;
	} else if (s->op < 160) {
		desc[s->i] = (struct vring_desc){ s->i * 2048, sensible_len,
			(uint16_t)((s->op & 1) | (s->q ? 0 : VRING_DESC_F_WRITE)),
			(uint16_t)(s->i + 1) };
	} else {
		avail->ring[avail->idx++ % VRING_SIZE] = (uint16_t)s->i;
	}
	return true;
}
#endif
