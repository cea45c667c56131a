/*
 * Disks: the parser of requests on honest ones and on lies, and a whole disk
 * with its I/O thread, driven through a real device page by a driver that
 * is this program. block_test PLACE: files are made in the directory PLACE.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "launcher/block.h"
#include "launcher/device.h"
#include "launcher/guest.h"
#include "launcher/options.h"
#include "tests/tap.h"

#define RAM	(8u << 20)
#include "tests/machine.h"

#define SECTORS	2048u		/* of the disk that most tests use */
#define F(n)	(1u << VIRTIO_BLK_F_ ## n)

static unsigned int interrupts;
static const char *place;

void guest_interrupt(unsigned int irq)
{
	(void)irq;
	interrupts++;
}

void guest_break_out(bool on)
{
	(void)on;
}

void verbose(const char *fmt, ...)
{
	(void)fmt;
}

/* ---- the parser ---- */

static struct block_disk disk = { .sectors = SECTORS };
static struct block_request r;
static struct virtio_blk_header *header = (void *)mem;

struct parts {
	uint32_t out[17], in[4];	/* lengths, ended by 0 */
};

static const char *parse(uint32_t type, uint64_t sector, struct parts p)
{
	static struct chain c;
	uint32_t at = 0;

	*header = (struct virtio_blk_header){ type, 0, sector };
	c = (struct chain){ .head = 7 };
	for (int i = 0; i < 17 && p.out[i]; at += p.out[i++]) {
		c.piece[c.outs++] = (struct iovec){ mem + at, p.out[i] };
		c.out_len += p.out[i];
	}
	at = 0x10000;
	for (int i = 0; i < 4 && p.in[i]; at += p.in[i++]) {
		c.piece[c.outs + c.ins++] =
			(struct iovec){ mem + at, p.in[i] };
		c.in_len += p.in[i];
	}
	memset(&r, 0xEE, sizeof(r));
	return block_parse(&c, &disk, &r);
}

#define P(...) (struct parts){ __VA_ARGS__ }

static void lie(const char *about, uint32_t type, struct parts p)
{
	const char *l = parse(type, 0, p);

	ok(l && strstr(l, about), "a lie: %s", about);
	if (l && !strstr(l, about))
		printf("# %s\n", l);
}

static void test_lies(void)
{
	lie("header is shorter than 16", 0, P({ 15 }, { 512, 1 }));
	lie("header is shorter than 16", 0, P({ 0 }, { 512, 1 }));
	lie("no room for its status", 0, P({ 16 }, { 0 }));
	lie("no room for its status", 1, P({ 16, 512 }, { 0 }));
	lie("header that wants none", 0, P({ 17 }, { 512, 1 }));
	lie("header that wants none", 0, P({ 16, 512 }, { 512, 1 }));
	lie("returns none", 1, P({ 16, 512 }, { 2 }));
	lie("returns none", 1, P({ 16 }, { 512, 1 }));
	lie("header that wants none", 4, P({ 16, 512 }, { 1 }));
	lie("returns none", 4, P({ 16 }, { 512, 1 }));
	lie("header that wants none", 8, P({ 16, 20 }, { 1 }));
	lie("no whole number of sectors", 0, P({ 16 }, { 511, 1 }));
	lie("no whole number of sectors", 0, P({ 16 }, { 513, 1 }));
	lie("no whole number of sectors", 1, P({ 16, 100 }, { 1 }));
}

static void refused(const char *what, uint32_t type, uint64_t sector,
		    unsigned int status, struct parts p)
{
	const char *l = parse(type, sector, p);

	ok(!l && r.job == BLOCK_REFUSE && r.status == status, "%s", what);
}

static void test_refusals(void)
{
	const uint64_t e = SECTORS, io = VIRTIO_BLK_S_IOERR;

	refused("read at the end", 0, e, io, P({ 16 }, { 512, 1 }));
	refused("read across the end", 0, e - 1, io, P({ 16 }, { 1024, 1 }));
	refused("write at the end", 1, e, io, P({ 16, 512 }, { 1 }));
	refused("write across the end", 1, e - 1, io, P({ 16, 1024 }, { 1 }));
	refused("a sector whose byte is 2^64", 0, 1ull << 55, io,
		P({ 16 }, { 512, 1 }));
	refused("the last sector of 64 bits", 0, ~0ull, io,
		P({ 16 }, { 512, 1 }));
	refused("an unknown type", 77, 0, VIRTIO_BLK_S_UNSUPP,
		P({ 16, 3 }, { 1 }));
	refused("a SCSI command", 2, 0, VIRTIO_BLK_S_UNSUPP,
		P({ 16, 6 }, { 96, 17 }));
	disk.read_only = true;
	refused("a write to a read-only disk", 1, 0, io,
		P({ 16, 512 }, { 1 }));
	ok(!parse(0, 0, P({ 16 }, { 512, 1 })) && r.job == BLOCK_READ,
	   "but it can be read");
	disk.read_only = false;
}

static bool pieces(unsigned int n, uint32_t at, uint32_t len)
{
	return r.pieces == n && r.piece[0].iov_base == mem + at
		&& r.piece[0].iov_len == len;
}

static void test_honest(void)
{
	ok(!parse(0, 3, P({ 16 }, { 1024, 1 })) && r.job == BLOCK_READ
	   && r.offset == 1536 && r.len == 1024 && pieces(1, 0x10000, 1024)
	   && r.status_at == mem + 0x10400 && r.head == 7
	   && !r.sync_before && !r.sync_after, "a read");
	ok(!parse(1, SECTORS - 2, P({ 16, 512, 512 }, { 1 }))
	   && r.job == BLOCK_WRITE && r.offset == (SECTORS - 2) * 512
	   && r.len == 1024 && pieces(2, 16, 512)
	   && r.status_at == mem + 0x10000, "a write of the last sectors");
	ok(!parse(0, 0, P({ 16 }, { 513 })) && pieces(1, 0x10000, 512)
	   && r.status_at == mem + 0x10200, "data and status in one piece");
	ok(!parse(1, 0, P({ 528 }, { 1 })) && pieces(1, 16, 512),
	   "header and data in one piece");
	ok(!parse(1, 0, P({ 5, 9, 2 + 12, 500 }, { 1 }))
	   && pieces(2, 16, 12) && r.len == 512, "a header in three pieces");
	ok(!parse(0, 9, P({ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 },
			  { 512, 1 })) && r.offset == 9 * 512,
	   "a header in sixteen pieces");
	ok(!parse(4, 0, P({ 16 }, { 1 })) && r.job == BLOCK_FLUSH, "a flush");
	ok(!parse(8, 0, P({ 16 }, { 20, 1 })) && r.job == BLOCK_ID
	   && pieces(1, 0x10000, 20), "get-id");
	ok(!parse(0, 0, P({ 16 }, { 1 })) && r.job == BLOCK_READ && r.len == 0,
	   "a read of nothing");
	ok(!parse(1 | VIRTIO_BLK_T_BARRIER, 0, P({ 16, 512 }, { 1 }))
	   && r.job == BLOCK_WRITE && r.sync_before && r.sync_after,
	   "a barrier");
	disk.write_through = true;
	ok(!parse(1, 0, P({ 16, 512 }, { 1 })) && r.sync_after
	   && !r.sync_before, "a driver that cannot flush");
	disk.write_through = false;
	disk.sectors = 1ull << 54;
	ok(!parse(0, (1ull << 54) - 1, P({ 16 }, { 512, 1 }))
	   && r.job == BLOCK_READ && r.offset == ((1ull << 54) - 1) * 512,
	   "offsets of 64 bits");
	disk.sectors = SECTORS;
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static int flipping = 1;

static void *flip(void *unused)
{
	volatile struct virtio_blk_header *h = (void *)mem;

	while (__atomic_load_n(&flipping, __ATOMIC_RELAXED)) {
		h->sector = 1ull << 40;
		h->type = 77;
		h->sector = 1;
		h->type = 0;
	}
	return unused;
}

static void test_moving(void)
{
	static struct chain c = { .outs = 1, .ins = 1, .out_len = 16,
				  .in_len = 513 };
	unsigned long good = 0, bad = 0, wrong = 0;
	long long end = now_ms() + 3000;
	pthread_t t;

	c.piece[0] = (struct iovec){ mem, 16 };
	c.piece[1] = (struct iovec){ mem + 0x10000, 513 };
	pthread_create(&t, NULL, flip, NULL);
	while (now_ms() < end && (good < 10000 || bad < 10000)) {
		if (block_parse(&c, &disk, &r))
			wrong++;
		else if (r.job == BLOCK_READ && r.offset > 512)
			wrong++;	/* 0: two halves, on i386 */
		else if (r.job == BLOCK_READ)
			good++;
		else
			bad++;
	}
	__atomic_store_n(&flipping, 0, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	printf("# %lu reads, %lu refusals\n", good, bad);
	ok(wrong == 0, "a header that changes under our eyes");
}

/* ---- a whole disk ---- */

static struct lguest_device_desc *page, *desc;
static uint8_t *accepted;		/* four bytes of features */
static const struct virtio_blk_config *config;
static struct vring_desc *ring;
static struct vring_avail *avail;
static struct vring_used *used;
static uint32_t ring_address;
static unsigned int next_desc;

static const char *file(const char *name)
{
	static char path[2][256];
	static int which;

	which ^= 1;
	snprintf(path[which], sizeof(path[which]), "%s/%s", place, name);
	return path[which];
}

static int make(const char *name, off_t size)
{
	int fd = open(file(name), O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd == -1 || ftruncate(fd, size) == -1)
		abort();
	return fd;
}

static void create(const char *word)
{
	const struct lguest_vqconfig *q;
	static char words[16][256];
	static int n;

	block_create(strcpy(words[n++ % 16], word));
	desc = page;
	while (((uint8_t *)desc)[5 + 8 + 8 + 24] != 0)
		desc = (void *)((uint8_t *)desc + 5 + 8 + 8 + 24);
	q = (void *)(desc + 1);
	accepted = (uint8_t *)(desc + 1) + 8 + 4;
	config = (void *)(accepted + 4);
	ring_address = q->pfn * 4096;
	ring = (void *)(mem + ring_address);
	avail = (void *)(mem + ring_address + 4096);
	used = (void *)(mem + ring_address + 8192);
	next_desc = 0;
}

static uint32_t address_of(const void *desc_at)
{
	return (uint32_t)((const uint8_t *)desc_at - mem);
}

static void accept(uint32_t features)
{
	memcpy(accepted, &features, 4);
	desc->status = 7;
	devices_notify(address_of(desc));
}

static void reset(void)
{
	desc->status = 0;
	devices_notify(address_of(desc));
	next_desc = 0;
}

struct piece {
	uint32_t at, len;
	unsigned int flags;
};
#define W VRING_DESC_F_WRITE

static unsigned int describe(const struct piece *p, unsigned int n)
{
	unsigned int head = next_desc;

	for (unsigned int i = 0; i < n; i++, next_desc++)
		ring[next_desc % 256] = (struct vring_desc){ p[i].at,
			p[i].len, (uint16_t)(p[i].flags |
				(i + 1 < n ? VRING_DESC_F_NEXT : 0)),
			(uint16_t)((next_desc + 1) % 256) };
	return head % 256;
}

static void offer(unsigned int head)
{
	avail->ring[avail->idx % 256] = (uint16_t)head;
	__atomic_store_n(&avail->idx, (uint16_t)(avail->idx + 1),
			 __ATOMIC_RELEASE);
}

static void wait_for(uint16_t idx)
{
	struct timespec ms = { 0, 200000 };

	for (int i = 0; i < 50000 && used->idx != idx; i++) {
		devices_ready();
		if (used->idx != idx)
			nanosleep(&ms, NULL);
	}
}

/* Header at 0, data where it is said, status at 0x100: the status. */
static int ask(uint32_t type, uint64_t sector, uint32_t at, uint32_t len)
{
	struct piece p[3] = { { 0, 16, 0 }, { at, len, type == 1 ? 0 : W },
			      { 0x100, 1, W } };

	*header = (struct virtio_blk_header){ type, 0, sector };
	mem[0x100] = 0xAA;
	if (len == 0)
		p[1] = p[2];
	offer(describe(p, len ? 3 : 2));
	devices_notify(ring_address);
	wait_for(avail->idx);
	return mem[0x100];
}

static void test_disk(void)
{
	uint8_t back[4096], id[21] = "";
	int fd = make("disk", SECTORS * 512);
	unsigned int before;
	struct stat st;

	create(file("disk"));
	accept(F(FLUSH));
	ok(desc->type == 2 && config->capacity == SECTORS
	   && config->seg_max == 254
	   && config->blk_size == 512, "its configuration");
	memset(mem + 0x2000, 'x', 4096);
	ok(ask(1, 5, 0x2000, 4096) == 0 && pread(fd, back, 4096, 2560) == 4096
	   && memcmp(back, mem + 0x2000, 4096) == 0, "a write");
	ok(used->ring[0].len == 1, "which stored one byte");
	before = interrupts;
	ok(ask(0, 5, 0x4000, 4096) == 0
	   && memcmp(mem + 0x4000, mem + 0x2000, 4096) == 0, "a read");

	ok(used->ring[1].len == 4097, "which stored data and status");
	ok(interrupts > before, "and interrupted");
	ok(ask(4, 0, 0, 0) == 0, "a flush");
	ok(ask(8, 0, 0x6000, 20) == 0
	   && memcmp(memcpy(id, mem + 0x6000, 20), "disk\0\0\0\0", 8) == 0,
	   "get-id");
	ok(ask(99, 0, 0, 0) == VIRTIO_BLK_S_UNSUPP, "an unknown type");
	ok(ask(1, SECTORS - 1, 0x2000, 1024) == VIRTIO_BLK_S_IOERR
	   && ask(1, 1ull << 55, 0x2000, 512) == VIRTIO_BLK_S_IOERR
	   && fstat(fd, &st) == 0 && st.st_size == SECTORS * 512,
	   "a write past the end leaves the file as it is");
	if (ftruncate(fd, 3000) == -1)
		abort();
	ok(ask(0, 4, 0x4000, 4096) == VIRTIO_BLK_S_IOERR,
	   "a file that became shorter: an I/O error, not a wait");
	ok(ask(0, 0, 0x4000, 512) == 0, "and its beginning still works");
	close(fd);
}

static void test_many(void)
{
	int fd = make("many", SECTORS * 512);
	unsigned int i, wrong = 0;
	uint8_t back[512];

	create(file("many"));
	accept(F(FLUSH));
	for (i = 0; i < 85; i++) {
		uint32_t at = 0x100000 + i * 1024;
		struct piece p[3] = { { at, 16, 0 }, { at + 16, 512, 0 },
				      { at + 528, 1, W } };

		*(struct virtio_blk_header *)(mem + at) =
			(struct virtio_blk_header){ 1, 0, i * 3 };
		memset(mem + at + 16, (int)i, 512);
		mem[at + 528] = 0xAA;
		offer(describe(p, 3));
	}
	devices_notify(ring_address);
	wait_for(85);
	for (i = 0; i < 85; i++)
		if (mem[0x100000 + i * 1024 + 528] != 0
		    || pread(fd, back, 512, i * 3 * 512) != 512
		    || back[0] != i || back[511] != i)
			wrong++;
	ok(used->idx == 85 && wrong == 0, "85 writes at once");
	close(fd);
}

/* A reset returns only when the thread has let go of the Guest's memory. */
static void test_reset(void)
{
	unsigned int i, late = 0;

	close(make("reset", 64 << 20));
	create(file("reset"));
	accept(F(FLUSH));
	for (int round = 0; round < 20; round++) {
		struct piece flush[2] = { { 0x80, 16, 0 }, { 0x300, 1, W } };

		/* Behind a flush, no read is done on the spot. */
		*(struct virtio_blk_header *)(mem + 0x80) =
			(struct virtio_blk_header){ 4, 0, 0 };
		offer(describe(flush, 2));
		for (i = 0; i < 63; i++) {
			struct piece p[3] = { { 0, 16, 0 },
				{ 0x100000 + i * 0x10000, 0x10000, W },
				{ 0x200 + i, 1, W } };

			*header = (struct virtio_blk_header){ 0, 0, i * 128 };
			offer(describe(p, 3));
		}
		devices_notify(ring_address);
		reset();
		memset(mem + 0x200, 0x55, 64);
		memset(mem + 0x100000, 0x55, 64 * 0x10000);
		for (i = 0; i < 100000; i++)
			late += mem[0x100000 + i * 41 % (64 * 0x10000)]
				!= 0x55;
		late += used->idx != 0 || mem[0x200] != 0x55;
	}
	ok(late == 0, "20 resets with 63 reads under way");
	accept(F(FLUSH));
	ok(ask(1, 1, 0x2000, 512) == 0, "and the disk works afterwards");
}

/* The newest child: the I/O thread of the disk made last. */
static pid_t newest_thread(void)
{
	char path[64], text[1024] = "", *at = text;
	pid_t last = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	fd = open(path, O_RDONLY);
	if (fd == -1 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	close(fd);
	while (*at) {
		pid_t pid = (pid_t)strtol(at, &at, 10);

		if (pid > last)
			last = pid;
		while (*at == ' ')
			at++;
	}
	return last;
}

/* What the host has in its memory is read though the thread stands still. */
static void test_at_hand(void)
{
	int fd = make("hand", 1 << 20);
	struct iovec v = { mem + 0x9000, 512 };
	struct piece out[3] = { { 0x80, 16, 0 }, { 0x2000, 512, 0 },
				{ 0x300, 1, W } };
	pid_t thread;

	create(file("hand"));
	accept(F(FLUSH));
	memset(mem + 0x2000, 'H', 4096);
	ask(1, 8, 0x2000, 4096);
	thread = newest_thread();
	if (!thread || preadv2(fd, &v, 1, 4096, RWF_NOWAIT) != 512) {
		ok(true, "at hand # skip not on this kernel or file system");
		close(fd);
		return;
	}
	kill(thread, SIGSTOP);
	ok(ask(0, 8, 0x4000, 4096) == 0 && mem[0x4000] == 'H'
	   && mem[0x4fff] == 'H', "what is at hand is read without the thread");
	*(struct virtio_blk_header *)(mem + 0x80) =
		(struct virtio_blk_header){ 1, 0, 100 };
	offer(describe(out, 3));
	*header = (struct virtio_blk_header){ 0, 0, 8 };
	offer(describe((struct piece[]){ { 0, 16, 0 }, { 0x4000, 512, W },
					 { 0x100, 1, W } }, 3));
	devices_notify(ring_address);
	devices_ready();
	ok(used->idx == 2, "but not before what came first");
	kill(thread, SIGCONT);
	wait_for(4);
	ok(used->idx == 4 && used->ring[2].len == 1, "and then in order");
	close(fd);
}

/* Whatever is read ahead, what comes is what was asked for. */
static void test_in_order(void)
{
	int fd = make("order", 1 << 20);
	static uint8_t data[1 << 20];
	unsigned int wrong = 0;
	uint32_t seed = 1;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
	if (pwrite(fd, data, sizeof(data), 0) != sizeof(data))
		abort();
	create(file("order"));
	accept(F(FLUSH));
	for (int round = 0; round < 3; round++) {
		fsync(fd);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		for (uint32_t at = 0; at < sizeof(data); at += 65536)
			wrong += ask(0, at / 512, 0x100000, 65536) != 0
				|| memcmp(mem + 0x100000, data + at, 65536);
		for (uint32_t at = 4096; at < sizeof(data); at += 69632)
			wrong += ask(0, at / 512, 0x100000, 512) != 0
				|| memcmp(mem + 0x100000, data + at, 512);
	}
	ok(wrong == 0, "a disk read from end to end, and here and there");
	close(fd);
}

static void *go_on(void *thread)
{
	struct timespec some = { 0, 300000000 };

	nanosleep(&some, NULL);
	kill(*(pid_t *)thread, SIGCONT);
	return NULL;
}

static void test_reset_waits(void)
{
	struct piece p[3] = { { 0, 16, 0 }, { 0x2000, 512, 0 },
			      { 0x100, 1, W } };
	pid_t thread;
	pthread_t t;
	long long before;

	close(make("stopped", 1 << 20));
	create(file("stopped"));
	accept(F(FLUSH));
	thread = newest_thread();
	if (!thread) {
		ok(true, "a reset waits # skip no list of children in /proc");
		return;
	}
	kill(thread, SIGSTOP);
	*header = (struct virtio_blk_header){ 1, 0, 0 };
	offer(describe(p, 3));
	devices_notify(ring_address);
	pthread_create(&t, NULL, go_on, &thread);
	before = now_ms();
	reset();
	ok(now_ms() - before >= 200, "a reset waits for the thread");
	pthread_join(t, NULL);
	devices_ready();
	ok(used->idx == 0, "and nobody gets the answer");
}

/* What block.t compiles block.c with: at most 100 bytes, and interrupted. */
long short_vector(int number, int fd, const struct iovec *piece,
		  unsigned int count);

long short_vector(int number, int fd, const struct iovec *piece,
		  unsigned int count)
{
	struct iovec v[2] = { piece[0], count > 1 ? piece[1] : piece[0] };
	static unsigned int calls;

	if (++calls % 3 == 0)
		return -EINTR;
	if (v[0].iov_len >= 100) {
		v[0].iov_len = 100;
		count = 1;
	} else if (count > 1) {
		count = 2;
		if (v[1].iov_len > 100 - v[0].iov_len)
			v[1].iov_len = 100 - v[0].iov_len;
	}
	return syscall(number, fd, v, count);
}

static void test_pieces(void)
{
	struct piece out[6] = { { 0, 16, 0 }, { 0x2000, 700, 0 },
				{ 0x3000, 1, 0 }, { 0x4000, 323, 0 },
				{ 0x5000, 512, 0 }, { 0x100, 1, W } };
	struct piece in[5] = { { 0, 16, 0 }, { 0x6000, 33, W },
			       { 0x6021, 1000, W }, { 0x6409, 503, W },
			       { 0x100, 1, W } };
	uint8_t want[1536], got[1536] = "";
	int fd = make("pieces", SECTORS * 512);

	create(file("pieces"));
	accept(F(FLUSH));
	for (unsigned int i = 0; i < sizeof(want); i++) {
		want[i] = (uint8_t)(i * 7 + i / 256);
		mem[i < 700 ? 0x2000 + i : i < 701 ? 0x3000 :
		    i < 1024 ? 0x4000 + i - 701 : 0x5000 + i - 1024] = want[i];
	}
	*header = (struct virtio_blk_header){ 1, 0, 3 };
	mem[0x100] = 0xAA;
	offer(describe(out, 6));
	devices_notify(ring_address);
	wait_for(avail->idx);
	ok(mem[0x100] == 0 && pread(fd, got, 1536, 3 * 512) == 1536
	   && memcmp(got, want, 1536) == 0, "a write in four pieces");
	ok(pread(fd, got, 512, 6 * 512) == 512 && got[0] == 0,
	   "and no byte more");
	*header = (struct virtio_blk_header){ 0, 0, 3 };
	mem[0x100] = 0xAA;
	mem[0x6600] = 0x55;
	offer(describe(in, 5));
	devices_notify(ring_address);
	wait_for(avail->idx);
	ok(mem[0x100] == 0 && memcmp(mem + 0x6000, want, 1536) == 0
	   && mem[0x6600] == 0x55, "a read in three other pieces");
	close(fd);
}

static void test_large(void)
{
	const off_t far = 5ll << 30;
	int fd = make("large", far + 4096);
	uint8_t back[512] = "";

	create(file("large"));
	accept(F(FLUSH));
	memset(mem + 0x2000, 'L', 512);
	ok(ask(1, (uint64_t)far / 512, 0x2000, 512) == 0
	   && pread(fd, back, 512, far) == 512 && back[0] == 'L'
	   && back[511] == 'L', "a write behind 5 GiB");
	ok(pread(fd, back, 512, far % (1ll << 32)) == 512 && back[0] == 0,
	   "and not 4 GiB before it");
	close(fd);
}

static unsigned int indirect(const struct piece *p, unsigned int n,
			     uint32_t table)
{
	struct vring_desc *t = (void *)(mem + table);

	for (unsigned int i = 0; i < n; i++)
		memcpy(&t[i], &(struct vring_desc){ p[i].at, p[i].len,
			(uint16_t)(p[i].flags | (i + 1 < n ?
				VRING_DESC_F_NEXT : 0)),
			(uint16_t)(i + 1) }, 16);
	return describe(&(struct piece){ table, n * 16,
					 VRING_DESC_F_INDIRECT }, 1);
}

static void test_indirect(void)
{
	struct piece p[3] = { { 0, 16, 0 }, { 0x2000, 512, 0 },
			      { 0x100, 1, W } };
	int fd = make("indirect", SECTORS * 512);
	uint8_t back[512] = "";

	create(file("indirect"));
	accept(F(FLUSH) | 1u << VIRTIO_F_RING_INDIRECT_DESC);
	memset(mem + 0x2000, 'I', 512);
	for (uint32_t table = 0x3000; table < 0x3002; table++) {
		*header = (struct virtio_blk_header){ 1, 0, 7 };
		mem[0x100] = 0xAA;
		offer(indirect(p, 3, table));
		devices_notify(ring_address);
		wait_for(avail->idx);
		ok(mem[0x100] == 0 && pread(fd, back, 512, 7 * 512) == 512
		   && back[9] == 'I', "an indirect table at %#x", table);
		memset(mem + 0x2000, 'I', 512);
	}
	offer(describe(p, 1));		/* direct pieces, then a table */
	ring[(next_desc - 1) % 256].flags = VRING_DESC_F_NEXT;
	mem[0x100] = 0xAA;
	indirect(p + 1, 2, 0x3000);
	devices_notify(ring_address);
	wait_for(avail->idx);
	ok(mem[0x100] == 0, "a direct header and an indirect rest");
	close(fd);
}

/* Runs f(arg) in a child: its exit status, its words in said. */
static int run(void (*f)(const char *), const char *arg, char *said,
	       size_t size)
{
	int p[2], status;
	ssize_t n, all = 0;
	pid_t pid;

	if (pipe(p) == -1)
		abort();
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		dup2(p[1], 2);
		close(p[0]);
		close(p[1]);
		f(arg);
		exit(0);
	}
	close(p[1]);
	while ((size_t)all < size - 1
	       && (n = read(p[0], said + all, size - 1 - (size_t)all)) > 0)
		all += n;
	said[all] = '\0';
	close(p[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void says(void (*f)(const char *), const char *arg, int want,
		 const char *about, const char *name)
{
	char said[4096];
	int status = run(f, arg, said, sizeof(said));
	char *end = strchr(said, '\n');

	if (!ok(status == want && strstr(said, about)
		&& (!*about || (end && !end[1])), "%s", name))
		printf("# status %d: %s\n", status, said);
}

static void open_word(const char *word)
{
	create(word);
}

static void test_opening(void)
{
	char word[300];

	close(make("locked", 4096));
	close(make("empty", 0));
	close(make("odd", 700));
	create(file("locked"));
	says(open_word, file("locked"), 1, "in use by another Launcher",
	     "a disk that is in use");
	snprintf(word, sizeof(word), "%s,ro", file("locked"));
	says(open_word, word, 1, "in use by another Launcher",
	     "also if it would only be read");
	close(make("shared", 4096));
	snprintf(word, sizeof(word), "%s,ro", file("shared"));
	create(word);
	ok((*(accepted - 4) & F(RO)) != 0, "a read-only disk says so");
	says(open_word, word, 0, "", "two readers");
	says(open_word, file("shared"), 1, "in use by another Launcher",
	     "a reader and a writer");
	says(open_word, file("none"), 1, "No such file", "a missing file");
	says(open_word, place, 1, "directory", "a directory");
	says(open_word, "/dev/null", 1, "neither a file nor a block device",
	     "/dev/null");
	says(open_word, file("empty"), 1, "not even one sector",
	     "an empty file");
	create(file("odd"));
	ok(config->capacity == 1, "700 bytes are one sector");
}

static void lie_through(const char *what)
{
	struct piece p[3] = { { 0, 16, 0 }, { 0x2000, 512, W },
			      { 0x100, 1, W } };
	unsigned int head;

	create(file("lies"));
	accept(F(FLUSH) | (strcmp(what, "unoffered") ?
			   1u << VIRTIO_F_RING_INDIRECT_DESC : 0));
	*header = (struct virtio_blk_header){ 0, 0, 0 };
	if (strcmp(what, "short") == 0) {
		p[0].len = 10;
		head = describe(p, 3);
	} else if (strcmp(what, "order") == 0) {
		p[2].flags = 0;
		head = describe(p, 3);
	} else {
		head = indirect(p, 3, 0x3000);
		if (strcmp(what, "nested") == 0)
			((struct vring_desc *)(mem + 0x3000))[1].flags |=
				VRING_DESC_F_INDIRECT;
		if (strcmp(what, "odd") == 0)
			ring[head].len = 40;
		if (strcmp(what, "none") == 0)
			ring[head].len = 0;
		if (strcmp(what, "huge") == 0)
			ring[head].len = 257 * 16;
		if (strcmp(what, "outside") == 0)
			ring[head].addr = RAM - 16;
		if (strcmp(what, "wraps") == 0)
			ring[head].addr = 0xFFFFFFFFFFFFFFF0ull;
		if (strcmp(what, "goes on") == 0)
			ring[head].flags |= VRING_DESC_F_NEXT;
		if (strcmp(what, "index") == 0)
			((struct vring_desc *)(mem + 0x3000))[1].next = 3;
		if (strcmp(what, "loop") == 0)
			((struct vring_desc *)(mem + 0x3000))[0].next = 0;
	}
	offer(head);
	devices_notify(ring_address);
}

static void test_device_lies(void)
{
	static const char *const lies[][2] = {
		{ "short", "requests: a request's header is shorter" },
		{ "order", "is to be read but follows one to be written" },
		{ "unoffered", "indirect, which was never offered" },
		{ "nested", "is indirect and in an indirect table" },
		{ "goes on", "is indirect and goes on" },
		{ "odd", "an indirect table of 40 bytes" },
		{ "none", "an indirect table of 0 bytes" },
		{ "huge", "an indirect table of 4112 bytes" },
		{ "outside", "an indirect table at 0x7ffff0, not in memory" },
		{ "wraps", "an indirect table at 0xfffffffffffffff0, not" },
		{ "index", "index 3 is beyond the table's 3 entries" },
		{ "loop", "is a loop" },
	};

	close(make("lies", 4096));
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		says(lie_through, lies[i][0], 1, lies[i][1], lies[i][0]);
}

/* A file may not grow beyond 64 KiB here: a write fails half-way. */
static void hit_limit(const char *unused)
{
	struct rlimit limit = { 65536, 65536 };
	int status;

	(void)unused;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	create(file("limit"));
	accept(F(FLUSH));
	status = ask(1, 127, 0x2000, 1024);
	exit(status == VIRTIO_BLK_S_IOERR && ask(1, 0, 0x2000, 512) == 0
	     ? 0 : 10 + status);
}

static void fill_disk(const char *path)
{
	int status = 0;

	create(path);
	accept(F(FLUSH));
	for (uint64_t s = 0; s < 8192 && status == 0; s += 64)
		status = ask(1, s, 0x100000, 64 * 512);
	exit(status == VIRTIO_BLK_S_IOERR && ask(0, 0, 0x2000, 512) == 0
	     ? 0 : 10 + status);
}

static void lose_thread(const char *unused)
{
	struct timespec ms = { 0, 1000000 };
	pid_t thread;

	(void)unused;
	create(file("thread"));
	thread = newest_thread();
	if (thread == 0)
		_exit(3);
	kill(thread, SIGKILL);
	for (int i = 0; i < 5000; i++) {
		devices_ready();
		nanosleep(&ms, NULL);
	}
}

static void test_failures(void)
{
	const char *tiny = getenv("TINY");	/* a full file system */

	close(make("limit", 1 << 20));
	says(hit_limit, "", 0, "", "a write beyond the limit of a file");
	if (tiny)
		says(fill_disk, tiny, 0, "", "a host disk that is full");
	else
		ok(true, "a host disk that is full # skip no tmpfs here");
	close(make("thread", 4096));
	says(lose_thread, "", 1, "its thread has ended",
	     "a thread that was killed");
}

static void test_end(void)
{
	devices_stop();
	ok(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD,
	   "no thread is left");
	devices_stop();
	says(open_word, file("locked"), 0, "", "and no lock");
}

static void test_endless(void)
{
	uint16_t before;

	make("endless", SECTORS * 512);
	create(file("endless"));
	ask(77, 0, 0x1000, 512);	/* which nobody knows */
	before = used->idx;
	alarm(60);
	offer_without_end((uint8_t *)ring);
	devices_notify(ring_address);
	ok(before == 1 && used->idx == 1 + VRING_SIZE,
	   "of a ring that never ends, one round: %d", used->idx - 1);
}

int main(int argc, char *argv[])
{
	place = argc > 1 ? argv[1] : ".";
	if (argc > 2) {
		devices_create();
		page = (void *)(mem + RAM);
		test_pieces();
		return done();
	}
	test_lies();
	test_refusals();
	test_honest();
	test_moving();
	devices_create();
	page = (void *)(mem + RAM);
	test_device_lies();
	test_failures();
	test_disk();
	test_many();
	test_reset();
	test_at_hand();
	test_in_order();
	test_reset_waits();
	test_pieces();
	test_large();
	test_indirect();
	test_opening();
	test_end();
	test_endless();
	return done();
}
