/*
 * The network device with a driver made by hand, honest and lying. Runs in a
 * network namespace of its own (tests/net.t sees to that), on a real tap.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "contract/net.h"
#include "launcher/device.h"
#include "launcher/guest.h"
#include "launcher/net.h"
#include "launcher/options.h"
#include "launcher/waker.h"
#include "tests/tap.h"

#define RAM	(1u << 20)
#include "tests/machine.h"

/* ---- what the device is told is a machine ---- */
static unsigned int interrupts[LGUEST_IRQS], wakes;

void guest_interrupt(unsigned int irq)
{
	interrupts[irq]++;
}

void waker_wake(void)
{
	wakes++;
}

bool waker_running(void)
{
	return false;
}

void waker_check(void)
{
}

void verbose(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("# ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
}

/* ---- a driver ---- */
struct ring {
	struct vring_desc *desc;
	struct vring_avail *avail;
	volatile struct vring_used *used;
	uint32_t address, next;
};

static struct ring rx, tx;
static int wire;			/* the other end of the tap */
static struct lguest_device_desc *page = (void *)(mem + RAM);

static void ring(struct ring *r, int n)
{
	struct lguest_vqconfig c;

	memcpy(&c, (uint8_t *)(page + 1) + n * sizeof(c), sizeof(c));
	r->address = c.pfn * 4096;
	r->desc = (void *)(mem + r->address);
	r->avail = (void *)(mem + r->address + 4096);
	r->used = (void *)(mem + r->address + 8192);
	r->next = 0;
}

static void piece(struct ring *r, uint32_t addr, uint32_t len, int flags)
{
	r->desc[r->next % 256] = (struct vring_desc){ addr, len,
		(uint16_t)flags, (uint16_t)((r->next + 1) % 256) };
	r->next++;
}

/* A buffer: a header of 10 bytes, and len for the frame. */
static void offer(struct ring *r, uint32_t addr, uint32_t len, int flags)
{
	r->avail->ring[r->avail->idx % 256] = (uint16_t)(r->next % 256);
	piece(r, addr, 10, flags | VRING_DESC_F_NEXT);
	piece(r, addr + 10, len, flags);
	r->avail->idx++;
}

static void room(unsigned int n, uint32_t len)
{
	for (unsigned int i = 0; i < n; i++)
		offer(&rx, 0x10000 + rx.next % 256 * 2048, len,
		      VRING_DESC_F_WRITE);
}

static void status(uint8_t s)
{
	page->status = s;
	devices_notify(RAM);
}

static void features(uint32_t f)
{
	memcpy((uint8_t *)(page + 1) + 2 * sizeof(struct lguest_vqconfig) + 4,
	       &f, 4);
}

static bool listening(void)
{
	for (int i = 0; i < DEVICE_FD_WORDS; i++)
		if (devices.infds[i])
			return true;
	return false;
}

static void send_frame(unsigned int n, size_t len)
{
	uint8_t frame[2000];

	memset(frame, (int)n, len);
	memset(frame, 0xff, 6);
	frame[12] = 0x88;		/* a protocol for experiments */
	frame[13] = 0xb5;
	if (send(wire, frame, len, 0) != (ssize_t)len)
		err(1, "frame of %zu", len);
}

static void send_frames(unsigned int n, size_t len)
{
	for (unsigned int i = 0; i < n; i++)
		send_frame(i, len);
	usleep(20000);
}

/* The driver begins anew; nothing is in the tap. */
static void begin(void)
{
	status(0);
	ring(&rx, 0);
	ring(&tx, 1);
	memset(interrupts, 0, sizeof(interrupts));
	features(1u << NET_F_MAC);
	status(7);
}

static void test_page(void)
{
	uint8_t *config = (uint8_t *)(page + 1)
		+ 2 * sizeof(struct lguest_vqconfig) + 8;

	ok(page->type == 1 && page->num_vq == 2 && page->config_len == 6,
	   "a device of type 1 with two queues and six bytes more");
	ok(memcmp(config, "\2\0\0\0\0\5", 6) == 0, "the address asked for");
	ok(!listening(), "nobody listens before there is a driver");
}

static void test_receive(void)
{
	begin();
	send_frames(5, 100);
	ok(rx.used->idx == 0 && !listening(), "no buffers: frames wait");
	room(3, 1514);
	devices_notify(rx.address);
	ok(rx.used->idx == 3 && !listening(), "three buffers: three of five");
	ok(rx.used->ring[0].len == 110 && mem[0x10000 + 10 + 50] == 0 &&
	   mem[0x10000 + 4 * 2048 + 10 + 50] == 2, "in order, and whole");
	ok(interrupts[1] == 1, "one interrupt for the three");
	ok(!(rx.used->flags & VRING_USED_F_NO_NOTIFY), "a kick is wanted");
	room(100, 1514);
	devices_notify(rx.address);
	ok(rx.used->idx == 5 && listening(), "more buffers: the rest, and it "
	   "listens");
	ok(rx.used->flags & VRING_USED_F_NO_NOTIFY, "kicks are not wanted");
	send_frames(98, 60);
	devices_ready();
	ok(rx.used->idx == 103 && !listening() && interrupts[1] == 3,
	   "98 at once, with one interrupt, and then no buffer is left");
	send_frames(20, 60);
	ok(rx.used->idx == 103, "a frame without buffer waits");
	room(128, 1514);
	devices_notify(rx.address);
	ok(rx.used->idx == 123, "until there is one");
}

static void test_sizes(void)
{
	begin();
	room(4, 200);
	devices_notify(rx.address);
	send_frame(1, 200);
	send_frame(2, 201);
	send_frame(3, 199);
	usleep(20000);
	devices_ready();
	ok(rx.used->idx == 2 && rx.used->ring[0].len == 210 &&
	   rx.used->ring[1].len == 209 && mem[0x10000 + 2 * 2048 + 150] == 3,
	   "a frame that fits exactly fits, one too long is left out");
	begin();
	rx.avail->ring[0] = 0;
	piece(&rx, 0x20000, 3, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT);
	piece(&rx, 0x30000, 8, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT);
	for (int i = 0; i < 253; i++)
		piece(&rx, 0x40000 + (uint32_t)i * 100, 1,
		      VRING_DESC_F_WRITE | VRING_DESC_F_NEXT);
	piece(&rx, 0x80000, 600, VRING_DESC_F_WRITE);
	rx.avail->idx = 1;
	devices_notify(rx.address);
	send_frame(9, 855);
	usleep(20000);
	devices_ready();
	/* bytes 0-2 and 3-10 of header and frame, 253 single ones, the rest */
	ok(rx.used->idx == 0, "a frame one too long for 256 pieces");
	send_frame(9, 854);
	usleep(20000);
	devices_ready();
	ok(rx.used->idx == 1 && rx.used->ring[0].len == 864 &&
	   mem[0x30000 + 7] == 0xff && mem[0x40000 + 13 * 100] == 9 &&
	   mem[0x40000 + 252 * 100] == 9 && mem[0x80000 + 599] == 9,
	   "and one that fills them to the last byte");
}

static uint16_t buffers(unsigned int n)
{
	uint16_t number;

	memcpy(&number, mem + 0x10000 + n * 4096 + 10, 2);
	return number;
}

static void merged(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		rx.avail->ring[rx.avail->idx % 256] =
			(uint16_t)(rx.next % 256);
		piece(&rx, 0x10000 + rx.next % 32 * 4096, 1000,
		      VRING_DESC_F_WRITE);
		rx.avail->idx++;
	}
	devices_notify(rx.address);
}

static void test_merged(void)
{
	begin();
	status(0);
	features(1u << NET_F_MRG_RXBUF);
	status(7);
	merged(65);
	send_frames(1, 100);
	devices_ready();
	ok(rx.used->idx == 0 && !listening(),
	   "merged: less room than for the longest frame");
	merged(3);
	ok(rx.used->idx == 1 && rx.used->ring[0].len == 112 &&
	   buffers(0) == 1 && listening(), "a short one takes one buffer");
	send_frame(7, 1514);
	usleep(20000);
	devices_ready();
	ok(rx.used->idx == 3 && rx.used->ring[1].len == 1000 &&
	   rx.used->ring[2].len == 526 && buffers(1) == 2 &&
	   mem[0x10000 + 4096 + 999] == 7 && mem[0x10000 + 8192 + 525] == 7,
	   "a long one takes two");
	ok(rx.used->ring[0].id == 0 && rx.used->ring[1].id == 1 &&
	   rx.used->ring[2].id == 2 && !listening(), "in their order");
	merged(1);
	send_frame(8, 988);
	usleep(20000);
	devices_ready();
	ok(rx.used->idx == 4 && rx.used->ring[3].len == 1000 &&
	   buffers(3) == 1 && mem[0x10000 + 3 * 4096 + 999] == 8,
	   "one that fills a buffer takes no second");
	begin();
	room(1, 1514);
	devices_notify(rx.address);
	send_frames(1, 100);
	devices_ready();
	ok(rx.used->ring[0].len == 110, "after a reset the header is short");
}

static void test_reset(void)
{
	begin();
	room(2, 1514);
	devices_notify(rx.address);
	ok(listening(), "it listens");
	memset(mem + 0x10000, 0x55, 4096);
	status(0);
	ok(!listening(), "not after a reset");
	send_frames(3, 300);
	devices_ready();
	begin();
	usleep(20000);
	devices_ready();
	room(1, 1514);
	devices_notify(rx.address);
	ok(rx.used->idx == 0, "frames for the driver before are forgotten");
	ok(mem[0x10000 + 20] == 0x55, "the buffer it held is not touched");
	send_frames(1, 300);
	devices_ready();
	ok(rx.used->idx == 1, "the next one is not");
}

/* Does the tap take large TCP frames uncut? */
static bool takes_large(void)
{
	struct { uint32_t command, value; } get = { 0x1e, 0 };	/* GTSO */
	struct ifreq ifr = { .ifr_name = "tap0" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ifr.ifr_data = (void *)&get;
	if (ioctl(fd, 0x8946, &ifr) == -1)	/* SIOCETHTOOL */
		err(1, "ethtool");
	close(fd);
	return get.value;
}

static void test_offloads(void)
{
	static const uint32_t odd[] = {
		1u << NET_F_GUEST_TSO4, 1u << NET_F_GUEST_ECN,
		1u << NET_F_GUEST_CSUM | 1u << NET_F_GUEST_ECN,
		1u << NET_F_GUEST_CSUM | 1u << NET_F_GUEST_TSO6 |
			1u << NET_F_GUEST_ECN,
		0, 0x3b83 | 1u << VIRTIO_F_NOTIFY_ON_EMPTY };

	for (unsigned int i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		status(0);
		features(odd[i]);
		status(7);
	}
	ok(takes_large(), "offloads that make no sense alone are survived");
	begin();
	ok(!takes_large(), "a driver that accepts none gets none");
	features(1u << NET_F_GUEST_CSUM | 1u << NET_F_GUEST_TSO4);
	status(7);
	ok(takes_large(), "one that does gets them");
	status(0);
	ok(!takes_large(), "a reset takes them back");
}

static void transmit(const struct net_hdr *hdr, uint32_t len)
{
	memcpy(mem + 0x1000, hdr, sizeof(*hdr));
	memset(mem + 0x1000 + 10, 0xff, 6);
	mem[0x1000 + 10 + 12] = 0x88;
	mem[0x1000 + 10 + 13] = 0xb5;
	offer(&tx, 0x1000, len, 0);
	devices_notify(tx.address);
}

static bool arrives(size_t len)
{
	uint8_t frame[2000];
	ssize_t n = recv(wire, frame, sizeof(frame), MSG_DONTWAIT);

	return n == (ssize_t)len;
}

static void test_transmit(void)
{
	static const struct net_hdr plain, odd[] = {
		{ .gso_type = 77, .gso_size = 10 },
		{ .gso_type = NET_GSO_TCPV4, .gso_size = 0 },
		{ .flags = NET_HDR_NEEDS_CSUM, .csum_start = 60000 },
		{ .flags = NET_HDR_NEEDS_CSUM, .csum_start = 0xffff,
		  .csum_offset = 0xffff },
		{ .gso_type = NET_GSO_TCPV6, .gso_size = 1, .hdr_len = 65535 },
	};
	unsigned int i;

	begin();
	transmit(&plain, 100);
	ok(tx.used->idx == 1 && arrives(100), "a frame goes out");
	ok(interrupts[2] == 1, "and an interrupt says that it has");
	tx.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	for (i = 0; i < sizeof(odd) / sizeof(*odd); i++)
		transmit(&odd[i], 100);
	ok(tx.used->idx == 1 + i && interrupts[2] == 1,
	   "headers that make no sense: buffers come back, no interrupt");
	do
		usleep(1000);
	while (recv(wire, mem, 1, MSG_DONTWAIT) >= 0);
	transmit(&plain, 13);
	transmit(&plain, 1);
	transmit(&plain, 900000);
	ok(tx.used->idx == 4 + i, "so do frames too short and too long");
	transmit(&plain, 60);
	ok(arrives(60), "and the next good one goes out");
	for (int n = 0; n < 128; n++)
		offer(&tx, 0x1000, 60, 0);
	devices_notify(tx.address);
	ok(tx.used->idx == (uint16_t)(5 + i + 128), "128 frames for one kick");
	status(0);
	ring(&tx, 1);
	features(1u << VIRTIO_F_NOTIFY_ON_EMPTY);
	status(7);
	tx.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	interrupts[2] = 0;
	transmit(&plain, 60);
	ok(interrupts[2] == 1, "NOTIFY_ON_EMPTY: one, although unwanted");
}

/* ---- frames of 64 KiB that nobody cuts, and those that must be cut ---- */
#define GSO_SIZE	1400
#define TCP_DATA	(65535 - 14 - 40 - 20)	/* more the kernel cuts */
#define CWR		0x80		/* in the TCP header's flags */

struct large {
	uint8_t type;			/* gso_type */
	uint32_t accept;		/* what the driver needs for it */
};

static struct { struct net_hdr hdr; uint8_t frame[NET_FRAME_MAX]; } large;
static uint8_t came[sizeof(large) + 100];

static uint32_t ip_bytes(uint8_t type)
{
	return (type & ~NET_GSO_ECN) == NET_GSO_TCPV6 ? 40 : 20;
}

/* Bytes of the frame, which is for nobody on this host. */
static uint32_t make_large(uint8_t type)
{
	uint32_t ip = ip_bytes(type), seed = type;
	uint8_t *at = large.frame;

	memset(&large, 0, 10 + 14 + ip + 20);
	large.hdr = (struct net_hdr){ NET_HDR_NEEDS_CSUM, type,
		(uint16_t)(34 + ip), GSO_SIZE, (uint16_t)(14 + ip), 16 };
	memcpy(at, "\2\0\0\0\0\7\2\0\0\0\0\6", 12);
	at[12] = ip == 40 ? 0x86 : 0x08;
	at[13] = ip == 40 ? 0xdd : 0x00;
	at += 14;
	at[0] = ip == 40 ? 0x60 : 0x45;
	at[ip == 40 ? 6 : 9] = 6;	/* TCP */
	at[ip == 40 ? 7 : 8] = 64;
	*(uint16_t *)(at + (ip == 40 ? 4 : 2)) =
		htons((uint16_t)(TCP_DATA + 20 + (ip == 40 ? 0 : ip)));
	at += ip;
	at[12] = 0x50;
	at[13] = (uint8_t)(0x10 | (type & NET_GSO_ECN ? CWR : 0));
	for (uint32_t i = 0; i < TCP_DATA; i++) {
		seed = seed * 1664525 + 1013904223;
		at[20 + i] = (uint8_t)(seed >> 24);
	}
	return 14 + ip + 20 + TCP_DATA;
}

/* A socket with vnet headers, for one protocol. */
static int large_wire(uint8_t type)
{
	uint16_t protocol = htons(ip_bytes(type) == 40 ? 0x86dd : 0x0800);
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = protocol };
	int s = socket(AF_PACKET, SOCK_RAW, protocol);

	at.sll_ifindex = (int)if_nametoindex("tap0");
	if (s < 0 || bind(s, (void *)&at, sizeof(at)) == -1 ||
	    setsockopt(s, SOL_PACKET, 15 /* PACKET_VNET_HDR */, &(int){ 1 },
		       sizeof(int)) == -1 ||
	    setsockopt(s, SOL_SOCKET, SO_SNDBUF, &(int){ 1 << 20 },
		       sizeof(int)) == -1)
		err(1, "a socket with vnet headers");
	return s;
}

static void begin_with(uint32_t accept)
{
	begin();
	features(accept | 1u << NET_F_MAC);
	status(7);
}

static void put_large(int s, uint32_t len)
{
	if (send(s, &large, 10 + len, 0) != (ssize_t)(10 + len))
		err(1, "a large frame");
	usleep(20000);
	devices_ready();
}

static bool same_large(const uint8_t *got, uint32_t len)
{
	const struct net_hdr *h = (const void *)got;

	return h->flags == large.hdr.flags && h->gso_type == large.hdr.gso_type
		&& h->gso_size == GSO_SIZE
		&& h->csum_start == large.hdr.csum_start
		&& h->csum_offset == large.hdr.csum_offset
		&& memcmp(got + 10, large.frame, len) == 0;
}

/* All of the data, in order, and CWR in none but the first. */
static bool cut_right(uint32_t len)
{
	uint32_t head = len - TCP_DATA, at = 0;
	unsigned int i;

	for (i = 0; i < rx.used->idx; i++) {
		uint32_t id = rx.used->ring[i].id;
		const uint8_t *f = mem + rx.desc[id].addr + 10;
		uint32_t n = rx.used->ring[i].len - 10 - head;
		bool cwr = f[head - 20 + 13] & CWR;

		if (n > GSO_SIZE || at + n > TCP_DATA ||
		    memcmp(f + head, large.frame + head + at, n) != 0 ||
		    cwr != (i == 0 && (large.hdr.gso_type & NET_GSO_ECN)))
			return false;
		at += n;
	}
	return at == TCP_DATA && i == (TCP_DATA + GSO_SIZE - 1) / GSO_SIZE;
}

static void test_large(const struct large *l, const char *name)
{
	int s = large_wire(l->type);
	uint32_t len = make_large(l->type);

	begin_with(l->accept);
	offer(&rx, 0x40000, NET_FRAME_MAX, VRING_DESC_F_WRITE);
	devices_notify(rx.address);
	put_large(s, len);
	ok(rx.used->idx == 1 && rx.used->ring[0].len == 10 + len &&
	   same_large(mem + 0x40000, len),
	   "%s: %u bytes to the Guest in one piece", name, len);

	memcpy(mem + 0x40000, &large, 10 + len);
	offer(&tx, 0x40000, len, 0);
	devices_notify(tx.address);
	ok(recv(s, came, sizeof(came), 0) == (ssize_t)(10 + len) &&
	   same_large(came, len), "%s: and from it", name);

	begin_with(l->accept & 1u << NET_F_GUEST_CSUM);
	room(60, 1514);
	devices_notify(rx.address);
	put_large(s, len);
	ok(cut_right(len), "%s: cut for a driver that does not take it", name);
	close(s);
}

static void test_all_large(void)
{
	const uint32_t four = 1u << NET_F_GUEST_CSUM | 1u << NET_F_GUEST_TSO4,
		six = 1u << NET_F_GUEST_CSUM | 1u << NET_F_GUEST_TSO6,
		ecn = 1u << NET_F_GUEST_ECN;

	test_large(&(struct large){ NET_GSO_TCPV4, four }, "TSO4");
	test_large(&(struct large){ NET_GSO_TCPV6, six }, "TSO6");
	test_large(&(struct large){ NET_GSO_TCPV4 | NET_GSO_ECN, four | ecn },
		   "TSO4 with ECN");
	test_large(&(struct large){ NET_GSO_TCPV6 | NET_GSO_ECN, six | ecn },
		   "TSO6 with ECN");
}

/* In a child: does it end with status 1 and a line about that? */
static void lie(const char *about, void (*tell)(void))
{
	char said[300] = "";
	int p[2], state = 0;
	size_t n = 0;
	ssize_t more;
	pid_t pid;

	if (pipe(p) == -1 || (pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		dup2(p[1], 2);
		begin();
		tell();
		_exit(0);
	}
	close(p[1]);
	while ((more = read(p[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += (size_t)more;
	close(p[0]);
	waitpid(pid, &state, 0);
	if (!ok(WIFEXITED(state) && WEXITSTATUS(state) == 1 &&
		strstr(said, about), "lie: %s", about))
		printf("# status %#x, said: %s\n", state, said);
}

static void one_piece(struct ring *r, uint32_t len, int flags)
{
	r->avail->ring[0] = 0;
	piece(r, 0x1000, len, flags);
	r->avail->idx = 1;
	devices_notify(r->address);
}

static void lie_short_frame(void)
{
	one_piece(&tx, 9, 0);
}

static void lie_short_buffer(void)
{
	one_piece(&rx, 9, VRING_DESC_F_WRITE);
}

static void lie_frame_to_write(void)
{
	one_piece(&tx, 100, VRING_DESC_F_WRITE);
}

static void lie_buffer_to_read(void)
{
	one_piece(&rx, 100, 0);
}

static void lie_outside(void)
{
	offer(&tx, RAM - 50, 100, 0);
	devices_notify(tx.address);
}

static void lie_while_waiting(void)
{
	room(1, 1514);
	devices_notify(rx.address);
	send_frames(2, 100);
	rx.avail->idx = 1000;
	devices_ready();
}

static void lie_features(void)
{
	features(1u << 31);
	status(7);
}

static void test_lies(void)
{
	lie("transmit: a frame is shorter than the ten", lie_short_frame);
	lie("receive: a buffer is shorter than the ten", lie_short_buffer);
	lie("a frame to transmit is marked to be written", lie_frame_to_write);
	lie("a buffer to receive into is marked to be", lie_buffer_to_read);
	lie("is not in the Guest's memory", lie_outside);
	lie("the available index jumped", lie_while_waiting);
	lie("never offered", lie_features);
}

static void test_endless(void)
{
	static const struct net_hdr plain;
	uint16_t before;

	begin();
	transmit(&plain, 60);
	before = tx.used->idx;
	alarm(60);
	offer_without_end((uint8_t *)tx.desc);
	devices_notify(tx.address);
	ok(before == 1 && tx.used->idx == 1 + VRING_SIZE,
	   "of a ring that never ends, one round: %d", tx.used->idx - 1);
}

int main(void)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(0x88b5) };

	devices_create();
	net_create("10.79.0.1:02:00:00:00:00:05");
	wire = socket(AF_PACKET, SOCK_RAW, htons(0x88b5));
	at.sll_ifindex = (int)if_nametoindex("tap0");
	if (wire < 0 || bind(wire, (void *)&at, sizeof(at)) == -1)
		err(1, "the wire");
	test_page();
	test_receive();
	test_sizes();
	test_merged();
	test_reset();
	test_offloads();
	test_transmit();
	test_all_large();
	test_lies();
	test_endless();
	devices_stop();
	return done();
}
