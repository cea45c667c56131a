/* launcher/memory.c: the one check against 64-bit arithmetic, and the pages. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "contract/lguest.h"
#include "launcher/memory.h"
#include "tests/tap.h"

static const uint32_t interesting[] = {
	0, 1, 2, 4095, 4096, 4097, 0xfffff, 0x100000, 0x100001, 0x1ffffe,
	0x1fffff, 0x200000, 0x200001, 0x2fffff, 0x300000, 0x300001,
	0x7fffffff, 0x80000000, 0x80000001, 0xffdfffff, 0xffe00000,
	0xffe00001, 0xfffff000, 0xfffffffe, 0xffffffff
};

#define N	(sizeof(interesting) / sizeof(interesting[0]))

static bool right(uint32_t addr, uint32_t len)
{
	void *want = (uint64_t)addr + len <= memory_ram()
		? memory_base() + addr : NULL;

	if (memory_at(addr, len) == want)
		return true;
	printf("# memory_at(%#x, %#x)\n", addr, len);
	return false;
}

static void check_at(void)
{
	uint64_t x = 88172645463325252u;
	bool good = true;

	for (size_t i = 0; i < N; i++)
		for (size_t j = 0; j < N; j++)
			good = right(interesting[i], interesting[j]) && good;
	ok(good, "memory_at at %zu edges", N * N);
	good = true;
	for (int i = 0; i < 1000000 && good; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		good = right((uint32_t)x >> (x >> 59), (uint32_t)(x >> 32) >>
			     (x >> 54 & 31));
	}
	ok(good, "memory_at at a million random places");
}

static void check_pages(void)
{
	uint32_t a, b;
	uint8_t *p = memory_device_pages(1, &a), *q, *r;
	bool zero = true;

	ok(a == memory_ram() && p == memory_base() + a,
	   "the first device page is behind the RAM");
	memset(p, 0xff, 4096);
	q = memory_device_pages(3, &b);
	for (int i = 0; i < 3 * 4096; i++)
		zero = zero && q[i] == 0;
	ok(b == a + 4096 && q == p + 4096 && zero, "then three zeroed ones");
	ok(!memory_at(a, 1) && !memory_at(b, 4096),
	   "no device page can be reached as RAM");
	r = memory_device_pages(252, &a);
	r[252 * 4096 - 1] = 1;
	ok(a == b + 3 * 4096 && a + 252 * 4096 == memory_pfn_limit() * 4096,
	   "the last one ends at the pfn limit");
}

int main(int argc, char *argv[])
{
	bool shared = argc > 1 && strcmp(argv[1], "shared") == 0;
	struct stat st;
	uint8_t *other;
	uint32_t a;

	memory_create(2, shared);
	ok(memory_ram() == 2 << 20 && memory_pfn_limit() == 512 + 256,
	   "two MiB and 256 pages");
	check_at();
	check_pages();
	if (!shared) {
		ok(memory_fd() == -1, "private memory has no file");
	} else {
		ok(fstat(memory_fd(), &st) == 0 && st.st_size == 3 << 20,
		   "a file of the whole size");
		other = mmap(NULL, 4096, PROT_READ, MAP_SHARED, memory_fd(),
			     0x1ff000);
		*(uint8_t *)memory_at(0x1ff123, 1) = 42;
		ok(other[0x123] == 42, "another mapping sees the same byte");
		ok(ftruncate(memory_fd(), 0) == -1 &&
		   ftruncate(memory_fd(), 4 << 20) == -1, "nobody cuts it");
		ok(fcntl(memory_fd(), F_GETFD) & FD_CLOEXEC,
		   "exec closes it");
	}
	if (argc > 2)
		memory_device_pages(1, &a);	/* one too many: exits */
	return done();
}
