/*
 * The memory of a machine without a Host, for the tests of devices: RAM bytes
 * (the test says how many), and device pages behind them.
 */
#ifndef TESTS_MACHINE_H
#define TESTS_MACHINE_H
#include "launcher/memory.h"

static uint8_t mem[RAM + 256 * 4096] __attribute__((aligned(4096)));
static unsigned int pages_used;

void *memory_at(uint32_t addr, uint32_t len)
{
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
