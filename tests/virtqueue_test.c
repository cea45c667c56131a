/* The virtqueue walker on honest chains, on every lie, and on a moving ring. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "launcher/memory.h"
#include "launcher/virtqueue.h"
#include "tests/tap.h"

#define RAM	(1u << 20)
#define RING	RAM		/* the rings lie behind it */

static uint8_t mem[RAM + 3 * 4096] __attribute__((aligned(4096)));
static bool show;		/* print the lies, for the book */
static struct virtqueue vq;
static struct chain c;
static struct vring_desc *desc = (void *)(mem + RING);
static struct vring_avail *avail = (void *)(mem + RING + 4096);
static struct vring_used *used = (void *)(mem + RING + 8192);

void *memory_at(uint32_t addr, uint32_t len)
{
	return addr <= RAM && len <= RAM - addr ? mem + addr : NULL;
}

uint32_t memory_ram(void)
{
	return RAM;
}

static void start(void)
{
	virtqueue_create(&vq, mem + RING, RING, 1);
}

static void describe(unsigned int i, uint64_t addr, uint32_t len,
		     unsigned int flags, unsigned int next)
{
	desc[i] = (struct vring_desc){ addr, len, (uint16_t)flags,
				       (uint16_t)next };
}

static void offer(unsigned int head)
{
	avail->ring[avail->idx % VRING_SIZE] = (uint16_t)head;
	avail->idx++;
}

static bool lies(const char *about)
{
	enum virtqueue_answer a = virtqueue_pop(&vq, &c);

	if (a == VIRTQUEUE_LIE && show)
		printf("lguest: console: transmit: %s\n", vq.lie);
	if (a == VIRTQUEUE_LIE && strstr(vq.lie, about))
		return true;
	printf("# answer %d, lie \"%s\", expected \"%s\"\n", a, vq.lie, about);
	return false;
}

static void test_honest(void)
{
	start();
	ok(virtqueue_pop(&vq, &c) == VIRTQUEUE_EMPTY, "a new queue is empty");
	describe(7, 0x1000, 10, VRING_DESC_F_NEXT, 2);
	describe(2, 0x2000, 20, VRING_DESC_F_NEXT, 9);
	describe(9, 0x3000, 30, VRING_DESC_F_WRITE, 0);
	offer(7);
	ok(virtqueue_pop(&vq, &c) == VIRTQUEUE_CHAIN, "a chain of three");
	ok(c.head == 7 && c.outs == 2 && c.ins == 1, "two out, one in");
	ok(c.out_len == 30 && c.in_len == 30, "their lengths add up");
	ok(c.piece[0].iov_base == mem + 0x1000 && c.piece[0].iov_len == 10 &&
	   c.piece[1].iov_base == mem + 0x2000 && c.piece[1].iov_len == 20 &&
	   c.piece[2].iov_base == mem + 0x3000 && c.piece[2].iov_len == 30,
	   "its pieces, in order");
	ok(virtqueue_pop(&vq, &c) == VIRTQUEUE_EMPTY, "and no more");
	virtqueue_push(&vq, 7, 30);
	ok(used->idx == 1 && used->ring[0].id == 7 && used->ring[0].len == 30,
	   "it comes back in the used ring");
	start();
	describe(0, RAM - 1, 1, 0, 0);
	offer(0);
	ok(virtqueue_pop(&vq, &c) == VIRTQUEUE_CHAIN, "memory's last byte");
	describe(0, 0, RAM, VRING_DESC_F_WRITE, 0);
	offer(0);
	ok(virtqueue_pop(&vq, &c) == VIRTQUEUE_CHAIN, "all of memory");
}

static void test_full(void)
{
	unsigned int i;
	bool good = true;

	start();
	for (i = 0; i < VRING_SIZE; i++)
		describe(i, i * 16, 16, i == 255 ? 0 : VRING_DESC_F_NEXT,
			 i + 1);
	offer(0);
	ok(virtqueue_pop(&vq, &c) == VIRTQUEUE_CHAIN && c.outs == 256 &&
	   c.out_len == 4096, "a chain of all 256 descriptors");
	start();
	describe(3, 0, 1, VRING_DESC_F_WRITE, 0);
	for (i = 0; i < 256; i++)
		offer(3);
	for (i = 0; i < 256; i++)
		good &= virtqueue_pop(&vq, &c) == VIRTQUEUE_CHAIN;
	ok(good && virtqueue_pop(&vq, &c) == VIRTQUEUE_EMPTY,
	   "a ring that is full");
	for (i = 0; i < 70000; i++) {
		offer(3);
		good &= virtqueue_pop(&vq, &c) == VIRTQUEUE_CHAIN;
		virtqueue_push(&vq, c.head, i);
		good &= used->ring[i % 256].len == i;
	}
	ok(good && used->idx == 70000 - 65536, "indices wrap at 65536");
}

static void test_lies(void)
{
	start();
	offer(256);
	ok(lies("descriptor index 256 is beyond the ring's 256"), "head 256");
	start();
	offer(65535);
	ok(lies("index 65535 is beyond"), "head 65535");
	start();
	describe(0, 0, 1, VRING_DESC_F_NEXT, 300);
	offer(0);
	ok(lies("index 300 is beyond"), "next 300");
	start();
	describe(5, 0, 1, VRING_DESC_F_NEXT, 5);
	offer(5);
	ok(lies("begins at descriptor 5 is a loop"), "a loop of one");
	start();
	for (unsigned int i = 0; i < 256; i++)
		describe(i, 0, 1, VRING_DESC_F_NEXT, (i + 1) % 256);
	offer(9);
	ok(lies("begins at descriptor 9 is a loop"), "a loop of 256");
	start();
	avail->idx = 257;
	ok(lies("jumped from 0 to 257"), "an index that jumps too far");
	start();
	avail->idx = 65535;
	ok(lies("jumped from 0 to 65535"), "an index that goes backwards");
}

static void test_addresses(void)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
		const char *what;
	} bad[] = {
		{ RAM, 1, "memory's end" },
		{ RAM - 1, 2, "across memory's end" },
		{ RING, 16, "the ring itself" },
		{ 0xFFFFF000, 0x2000, "a sum that wraps to 0x1000" },
		{ 0xFFFFFFFF, 1, "a sum that wraps to 0" },
		{ 0x1000, 0xFFFFFFFF, "a length of nearly 4 GiB" },
		{ 1, 0xFFFFFFFF, "a length that wraps to 0" },
		{ 0x100000000ull, 16, "an address of 33 bits" },
		{ 0xFFFFFFFF00001000ull, 16, "an address of 64 bits" },
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start();
		describe(0, bad[i].addr, bad[i].len, 0, 0);
		offer(0);
		ok(lies("is not in the Guest's memory"), "%s", bad[i].what);
	}
}

static void test_kinds(void)
{
	start();
	describe(0, 0x1000, 0, VRING_DESC_F_WRITE, 0);
	offer(0);
	ok(lies("descriptor 0 has no length"), "a piece of no bytes");
	start();
	describe(0, 0x1000, 8, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	describe(1, 0x2000, 8, 0, 0);
	offer(0);
	ok(lies("descriptor 1 is to be read but follows"), "out after in");
	start();
	describe(4, 0x1000, 16, VRING_DESC_F_INDIRECT, 0);
	offer(4);
	ok(lies("descriptor 4 is indirect"), "an indirect table");
	start();
	describe(0, 0, RAM, VRING_DESC_F_NEXT, 1);
	describe(1, 0, 1, 0, 0);
	offer(0);
	ok(lies("longer than the Guest's memory"), "lengths that add up");
	start();
	describe(0, 0, RAM, VRING_DESC_F_NEXT, 1);
	describe(1, 0, RAM, VRING_DESC_F_WRITE, 0);
	offer(0);
	ok(virtqueue_pop(&vq, &c) == VIRTQUEUE_CHAIN,
	   "out and in are counted apart");
}

/* A chain through a table: direct descriptor 9 leads to n entries at at. */
static void offer_table(uint64_t at, uint32_t bytes, unsigned int flags)
{
	start();
	vq.indirect = true;
	describe(9, at, bytes, VRING_DESC_F_INDIRECT | flags, 1);
	offer(9);
}

static void entry(uint32_t table, unsigned int i, uint32_t addr,
		  uint32_t len, unsigned int flags, unsigned int next)
{
	struct vring_desc d = { addr, len, (uint16_t)flags, (uint16_t)next };

	memcpy(mem + table + i * sizeof(d), &d, sizeof(d));
}

static void test_indirect(void)
{
	static const uint32_t sizes[] = { 0, 1, 15, 40, 257 * 16, 0xFFFFFFF0 };

	entry(0x3000, 0, 0x1000, 10, VRING_DESC_F_NEXT, 2);
	entry(0x3000, 2, 0x2000, 20, VRING_DESC_F_WRITE, 0);
	offer_table(0x3000, 48, 0);
	ok(show || (virtqueue_pop(&vq, &c) == VIRTQUEUE_CHAIN && c.head == 9
		    && c.outs == 1 && c.ins == 1 && c.in_len == 20),
	   "a chain in a table");
	memmove(mem + 0x3005, mem + 0x3000, 48);
	offer_table(0x3005, 48, 0);
	ok(show || (virtqueue_pop(&vq, &c) == VIRTQUEUE_CHAIN
		    && c.out_len == 10 && c.in_len == 20),
	   "in one that is aligned to nothing");
	entry(0x3000, 0, 0x1000, 10, VRING_DESC_F_NEXT, 1);
	entry(0x3000, 1, 0x4000, 16, VRING_DESC_F_INDIRECT, 0);
	offer_table(0x3000, 48, 0);
	ok(lies("is indirect and in an indirect table"), "a nested table");
	offer_table(0x3000, 48, VRING_DESC_F_NEXT);
	ok(lies("is indirect and goes on"), "a table with a successor");
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		offer_table(0x3000, sizes[i], 0);
		ok(lies("has an indirect table of"), "a table of %u bytes",
		   sizes[i]);
	}
	offer_table(RAM - 16, 32, 0);
	ok(lies("not in memory"), "a table across memory's end");
	offer_table(0x100003000ull, 32, 0);
	ok(lies("not in memory"), "a table at an address of 33 bits");
	entry(0x3000, 0, 0x1000, 10, VRING_DESC_F_NEXT, 3);
	offer_table(0x3000, 48, 0);
	ok(lies("index 3 is beyond the table's 3 entries"), "beyond a table");
	entry(0x3000, 0, 0x1000, 10, VRING_DESC_F_NEXT, 0);
	offer_table(0x3000, 48, 0);
	ok(lies("begins at descriptor 9 is a loop"), "a loop in a table");
	entry(0x3000, 0, RAM, 1, 0, 0);
	offer_table(0x3000, 16, 0);
	ok(lies("is not in the Guest's memory"), "a bad address in a table");
}

static void test_interrupts(void)
{
	start();
	ok(!virtqueue_wants_interrupt(&vq), "no news, no interrupt");
	describe(0, 0, 1, 0, 0);
	offer(0);
	offer(0);
	virtqueue_pop(&vq, &c);
	virtqueue_push(&vq, 0, 0);
	ok(virtqueue_wants_interrupt(&vq), "news");
	ok(!virtqueue_wants_interrupt(&vq), "are told once");
	avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	virtqueue_push(&vq, 0, 0);
	ok(!virtqueue_wants_interrupt(&vq), "not to those who do not want");
	vq.notify_on_empty = true;
	offer(0);
	virtqueue_pop(&vq, &c);
	virtqueue_push(&vq, 0, 0);
	offer(0);
	ok(!virtqueue_wants_interrupt(&vq), "not while some is left");
	virtqueue_push(&vq, 0, 0);
	ok(virtqueue_wants_interrupt(&vq), "but when all was used");
	used->idx = 77;
	virtqueue_push(&vq, 0, 0);
	ok(used->idx == 5, "the used index is never read back");
	virtqueue_reset(&vq);
	ok(used->idx == 0 && avail->idx == 0 && desc[0].len == 0 &&
	   virtqueue_pop(&vq, &c) == VIRTQUEUE_EMPTY, "a reset empties it");
}

/* --- somebody rewrites the ring while we read it --------------------------- */
static int stop_scribbling;	/* atomic: gcc 12 with UBSan hoists a volatile bool */

static void *scribble(void *unused)
{
	volatile struct vring_desc *d = desc;
	unsigned int n = 1;

	(void)unused;
	while (!__atomic_load_n(&stop_scribbling, __ATOMIC_RELAXED)) {
		unsigned int i = n % 4;
		bool bad = (n = n * 1103515245 + 12345) >> 16 & 1;

		d[i].addr = bad ? 0x7FFFFFFF0ull : 0x1000;
		d[i].len = bad ? 0xFFFFFFF0u : 0x100;
		d[i].flags = bad ? 0xFFFF : VRING_DESC_F_NEXT;
		d[i].next = bad ? 60000 : (uint16_t)((i + 1) % 5);
	}
	return unused;
}

static bool inside(const struct chain *ch)
{
	for (unsigned int i = 0; i < ch->outs + ch->ins; i++) {
		const uint8_t *p = ch->piece[i].iov_base;

		if (p < mem || p > mem + RAM ||
		    ch->piece[i].iov_len > (size_t)(mem + RAM - p))
			return false;
	}
	return ch->outs + ch->ins <= VRING_SIZE && ch->head < VRING_SIZE;
}

static void test_moving(void)
{
	pthread_t t;
	unsigned int chains = 0, lied = 0;
	bool good = true;

	start();
	describe(4, 0x1000, 1, VRING_DESC_F_WRITE, 0);
	pthread_create(&t, NULL, scribble, NULL);
	for (unsigned int i = 0; i < 400000; i++) {
		offer(i % 4);
		switch (virtqueue_pop(&vq, &c)) {
		case VIRTQUEUE_CHAIN:
			good &= inside(&c);
			chains++;
			break;
		case VIRTQUEUE_LIE:
			vq.last_avail++;	/* forgive, for the test */
			lied++;
			break;
		case VIRTQUEUE_EMPTY:
			good = false;
		}
	}
	__atomic_store_n(&stop_scribbling, 1, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	printf("# %u chains, %u lies\n", chains, lied);
	ok(good, "a ring rewritten while read: no piece is outside memory");
	ok(lied > 0, "and there were lies to be caught");
}

int main(int argc, char *argv[])
{
	show = argc > 1 && strcmp(argv[1], "show") == 0;
	if (show) {
		test_lies();
		test_addresses();
		test_kinds();
		test_indirect();
		return 0;
	}
	test_honest();
	test_full();
	test_lies();
	test_addresses();
	test_kinds();
	test_indirect();
	test_interrupts();
	test_moving();
	return done();
}
