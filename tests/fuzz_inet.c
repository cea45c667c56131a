/*
 * A libFuzzer target: frames for the Guest. What it sends in answer is a
 * frame, no longer than the question and from its own address.
 */
#include "tests/fuzz_guest.h"
#include "guest/net.h"
#include "guest/inet.c"

#define HOST	0x0100000au		/* 10.0.0.1, as on the wire */
#define GUEST	0x0200000au

struct net_info net;
struct process *current;
static struct frame question;
static uint32_t asked;			/* bytes of the question */
static unsigned int answers;

uint64_t clock_us(void)
{
	static uint64_t now;

	return now++;
}

const char *boot_option(const char *name)
{
	return strcmp(name, "ip=") == 0 ? "10.0.0.2/24" : NULL;
}

void net_send(struct frame *f)
{
	const struct ethernet *e = (const void *)f->page[0];

	require(f == &question && f->bytes >= 42 && f->bytes <= asked);
	require(memcmp(e->from, net.mac, 6) == 0);
	require((f->hdr.flags & ~NET_HDR_NEEDS_CSUM) == 0);
	answers++;
}

/* Make the sums right, so that not every frame ends there. */
static void mend(struct frame *f)
{
	struct ip *ip = (void *)f->page[0];
	uint32_t header = (ip->version & 15u) * 4;

	ip->ethernet.type = TYPE_IP;
	ip->to = GUEST;
	if (header >= 20) {
		ip->sum = 0;
		ip->sum = (uint16_t)~fold(add_words(0, f->page[0] + 14,
						    header));
	}
	if (ip->protocol == PROTOCOL_ICMP && f->bytes >= 38) {
		struct icmp *icmp = (void *)ip;
		uint32_t end = 14u + swap16(ip->bytes), all = f->bytes;

		icmp->sum = 0;
		if (end <= all)
			f->bytes = end;
		icmp->sum = (uint16_t)~fold(add_frame(0, f, sizeof *ip));
		f->bytes = all;
	}
}

static void fill(uint32_t at, const uint8_t *from, uint32_t n)
{
	for (uint32_t piece; n; at += piece, from += piece, n -= piece) {
		piece = PAGE_SIZE - at % PAGE_SIZE;
		if (piece > n)
			piece = n;
		memcpy(question.page[at / PAGE_SIZE] + at % PAGE_SIZE, from,
		       piece);
	}
}

static void begin(void)
{
	for (uint32_t i = 0; i < FRAME_PAGES; i++)
		question.page[i] = page_alloc();
	memcpy(net.mac, "\2\0\0\0\0\2", 6);
	inet_setup();
	require(net.address == GUEST && net.netmask == 0x00ffffff);
}

/* Two bytes of length, the header in front of a frame, and the frame, which
 * is repeated if the length wants more. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!question.page[0])
		begin();
	ping.waiting = true;
	while (size > 3 + sizeof question.hdr + 14) {
		uint32_t n = (uint32_t)data[0] | (uint32_t)data[1] << 8;
		uint32_t have = data[2] >> 1;
		bool good = data[2] & 1;

		if (n < 0x8000)		/* most are of an ordinary size */
			n %= 2048;
		data += 3;
		size -= 3;
		memcpy(&question.hdr, data, sizeof question.hdr);
		data += sizeof question.hdr;
		size -= sizeof question.hdr;
		if (have > size || have < 14)
			have = (uint32_t)size;
		question.bytes = n;
		for (uint32_t at = 0; at < n; at += have)
			fill(at, data, n - at < have ? n - at : have);
		if (good)
			mend(&question);
		asked = question.bytes < 42 ? 42 : question.bytes;
		answers = 0;
		inet_receive(&question);
		require(answers <= 1);
		data += have;
		size -= have;
	}
	return 0;
}
