/*
 * A libFuzzer target: the input is a disk, a header and a chain of lengths.
 * Whatever the parser makes of it must stay within the chain's pieces and
 * the disk, and be a job that the I/O thread can do.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "launcher/block.h"
#include "launcher/device.h"
#include "launcher/options.h"

/* The parser calls nothing; the rest of block.c wants these to link. */
void verbose(const char *fmt, ...)
{
	(void)fmt;
	abort();
}

struct device *device_new(const struct device_ops *ops, const void *config,
			  uint8_t len)
{
	(void)ops, (void)config, (void)len;
	abort();
}

bool device_pop(struct device *dev, struct virtqueue *vq, struct chain *c)
{
	(void)dev, (void)vq, (void)c;
	abort();
}

void device_lie(struct device *dev, struct virtqueue *vq, const char *what)
{
	(void)dev, (void)vq, (void)what;
	abort();
}

void device_interrupt(struct virtqueue *vq)
{
	(void)vq;
	abort();
}

void device_watch_fd(struct device *dev, int fd)
{
	(void)dev, (void)fd;
	abort();
}

void device_enable_fd(int fd)
{
	(void)fd;
	abort();
}

void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	(void)vq, (void)head, (void)written;
	abort();
}

static struct chain c;
static struct block_request r;
static uint8_t *piece[VRING_SIZE];

static void require(bool good)
{
	if (!good)
		abort();
}

/* Are bytes [at, at+len) in one piece of those that may be used so? */
static bool inside(const uint8_t *at, size_t len, bool in)
{
	unsigned int first = in ? c.outs : 0, n = in ? c.ins : c.outs;

	for (unsigned int i = first; i < first + n; i++) {
		const uint8_t *base = c.piece[i].iov_base;
		size_t have = c.piece[i].iov_len;

		if (at >= base && at < base + have)
			return len <= have - (size_t)(at - base);
	}
	return false;
}

static void check(const struct block_disk *disk)
{
	uint64_t len = 0;

	require(r.status_at == (uint8_t *)c.piece[c.outs + c.ins - 1].iov_base
		+ c.piece[c.outs + c.ins - 1].iov_len - 1);
	if (r.job == BLOCK_REFUSE) {
		require(r.status != VIRTIO_BLK_S_OK);
		return;
	}
	require(r.status == VIRTIO_BLK_S_OK && r.pieces <= VRING_SIZE);
	for (unsigned int i = 0; i < r.pieces; i++) {
		uint8_t *at = r.piece[i].iov_base;

		require(r.piece[i].iov_len > 0);
		require(inside(at, r.piece[i].iov_len, r.job != BLOCK_WRITE));
		require(at + r.piece[i].iov_len <= r.status_at
			|| at > r.status_at);
		at[0]++;		/* the sanitizer looks as well */
		at[r.piece[i].iov_len - 1]++;
		len += r.piece[i].iov_len;
	}
	require(len == r.len);
	if (r.job == BLOCK_READ || r.job == BLOCK_WRITE)
		require(r.offset % 512 == 0 && len % 512 == 0
			&& r.offset / 512 <= disk->sectors
			&& len / 512 <= disk->sectors - r.offset / 512);
	if (r.job == BLOCK_WRITE)
		require(!disk->read_only);
	*r.status_at = r.status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct block_disk disk;
	uint8_t head[16];
	size_t taken = 0;

	if (size < 8 + 1 + 16)
		return 0;
	memcpy(&disk.sectors, data, 8);
	disk.sectors >>= data[8] & 63;
	disk.sectors &= (1ull << 54) - 1;
	disk.read_only = data[8] & 64;
	disk.write_through = data[8] & 128;
	memcpy(head, data + 9, 16);
	data += 25;
	size -= 25;
	c = (struct chain){ .head = 3 };
	/* Two bytes a piece: bit 15 its direction, the rest its length. */
	for (; size >= 2 && c.outs + c.ins < VRING_SIZE; data += 2, size -= 2) {
		unsigned int word = data[0] | (unsigned int)data[1] << 8;
		size_t len = (word & 0x1fff) + 1;
		bool in = word & 0x8000;
		uint8_t *p;

		if (!in && c.ins)
			break;
		p = piece[c.outs + c.ins] = calloc(1, len);
		for (size_t i = 0; !in && i < len && taken < 16; i++)
			p[i] = head[taken++];
		c.piece[c.outs + c.ins] = (struct iovec){ p, len };
		*(in ? &c.in_len : &c.out_len) += (uint32_t)len;
		*(in ? &c.ins : &c.outs) += 1;
	}
	if (c.outs + c.ins && !block_parse(&c, &disk, &r))
		check(&disk);
	for (unsigned int i = 0; i < c.outs + c.ins; i++)
		free(piece[i]);
	return 0;
}
