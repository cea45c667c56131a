/*
 * The memory of a machine without a Host, for the tests of devices: RAM bytes
 * (the test says how many), and device pages behind them; and a Guest that
 * goes on while the Launcher works for it, as one could that has become its
 * Host.
 */
#ifndef TESTS_MACHINE_H
#define TESTS_MACHINE_H
#include <string.h>
#include "launcher/memory.h"
#include "launcher/virtqueue.h"

static uint8_t mem[RAM + 256 * 4096] __attribute__((aligned(4096)));
static unsigned int pages_used;
static uint8_t *endless;		/* this ring, or none */

/*
 * From now on, and whenever the Launcher looks at its memory, there is more
 * in this ring: chain 0, which has been offered and has come back.
 */
static void __attribute__((unused)) offer_without_end(uint8_t *ring)
{
	struct vring_avail *avail = (void *)(ring + 4096);

	memset(avail->ring, 0, sizeof(avail->ring));
	avail->idx++;
	endless = ring;
}

void *memory_at(uint32_t addr, uint32_t len)
{
	if (endless) {
		struct vring_avail *avail = (void *)(endless + 4096);
		struct vring_used *used = (void *)(endless + 8192);

		avail->idx = (uint16_t)(used->idx + 2);
	}
	return addr <= RAM && len <= RAM - addr ? mem + addr : NULL;
}

uint32_t memory_ram(void)
{
	return RAM;
}

void *memory_device_pages(unsigned int count, uint32_t *addr)
{
	*addr = RAM + pages_used * 4096;
	pages_used += count;
	return mem + *addr;
}
#endif
