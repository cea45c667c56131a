/*
 * A libFuzzer target: the input is a list of descriptors, 16 bytes each in
 * the rings' own format behind an index, for the ring or for indirect tables,
 * and of offers. Whatever comes out of the walker must lie in memory, and be
 * counted right.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "launcher/memory.h"
#include "launcher/virtqueue.h"

#define RAM	65536u

static uint8_t *ram;
static uint8_t rings[3 * 4096] __attribute__((aligned(4096)));
static struct virtqueue vq;
static struct chain c;

void *memory_at(uint32_t addr, uint32_t len)
{
	return addr <= RAM && len <= RAM - addr ? ram + addr : NULL;
}

uint32_t memory_ram(void)
{
	return RAM;
}

static void check(void)
{
	uint64_t in = 0, out = 0;

	if (c.outs + c.ins == 0 || c.outs + c.ins > VRING_SIZE ||
	    c.head >= VRING_SIZE)
		abort();
	for (unsigned int i = 0; i < c.outs + c.ins; i++) {
		volatile uint8_t *p = c.piece[i].iov_base;
		size_t len = c.piece[i].iov_len;

		if (len == 0 || p < ram || len > RAM ||
		    (size_t)(p - ram) > RAM - len)
			abort();
		p[0]++;			/* the sanitizer looks as well */
		p[len - 1]++;
		*(i < c.outs ? &out : &in) += len;
	}
	if (in != c.in_len || out != c.out_len)
		abort();
}

static void drain(void)
{
	for (unsigned int n = 0; ; n++) {
		switch (virtqueue_pop(&vq, &c)) {
		case VIRTQUEUE_CHAIN:
			if (n > VRING_SIZE)
				abort();
			check();
			virtqueue_push(&vq, c.head, c.in_len);
			virtqueue_wants_interrupt(&vq);
			break;
		case VIRTQUEUE_LIE:
			if (!vq.lie[0])
				abort();
			return;
		case VIRTQUEUE_EMPTY:
			return;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vring_desc *desc = (void *)rings;
	struct vring_avail *avail = (void *)(rings + 4096);

	if (!ram)
		ram = malloc(RAM);	/* with red zones at both ends */
	virtqueue_create(&vq, rings, 0, 1);
	while (size >= 2) {
		unsigned int op = data[0], i = data[1];

		data += 2;
		size -= 2;
		if (op < 128 && size >= 16) {
			if (op < 80)
				memcpy(&desc[i], data, 16);
			else
				memcpy(ram + i * 16 + op % 2, data, 16);
			data += 16;
			size -= 16;
		} else if (op < 224) {
			avail->ring[avail->idx++ % VRING_SIZE] =
				(uint16_t)(i | (op & 1u) << 8);
		} else if (op < 240) {
			avail->flags = (uint16_t)i;
			vq.notify_on_empty = op & 1;
			vq.indirect = op & 2;
		} else {
			drain();
		}
	}
	drain();
	return 0;
}
