/*
 * A trace as a hostile Host would write it.
 * usage: trace_test FILE SEED: fills a ring with random words, takes out of
 * it what there is, a hundred times, and records that to FILE.
 * usage: trace_test ring: what goes into a ring comes out of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "launcher/trace.h"

static struct trace_ring ring;
static int bad;

static void expect(int good, const char *what)
{
	if (!good)
		printf("not ok: %s\n", what);
	bad |= !good;
}

static void hostile(const char *path, unsigned int seed)
{
	struct trace_record r;
	unsigned char *bytes = (unsigned char *)&ring;

	srandom(seed);
	trace_start(path, true, true);
	for (int round = 0; round < 100; round++) {
		for (size_t i = 0; i < 4096; i++)
			bytes[i] = (unsigned char)random();
		for (size_t i = 0; i < TRACE_RECORDS; i += 1 + i % 3) {
			ring.record[i].what = (uint32_t)random() % 16;
			ring.record[i].value = (uint32_t)random();
			ring.record[i].tsc = (uint64_t)random() <<
					     (random() % 60);
		}
		if (random() % 4)
			ring.head = ring.tail + (uint32_t)random() % 2000;
		for (unsigned int i = 0; i < 2000; i++) {
			if (random() % 500 == 0)
				ring.head = (uint32_t)random();
			if (!trace_take(&ring, &r))
				break;
			trace_host(&r);
		}
		trace_host(NULL);
	}
}

static void honest(void)
{
	struct trace_record r;
	unsigned int told = 0;

	ring.head = ring.tail = 0u - 100;	/* across the wrap of 2^32 */
	for (unsigned int i = 0; i < TRACE_RECORDS; i++)
		told += trace_put(&ring, 7, i);
	expect(told == 2, "a full ring has told twice");
	expect(!trace_put(&ring, 7, 0) && !trace_put(&ring, 7, 0),
	       "and tells nothing when it is full");
	expect(trace_take(&ring, &r) && r.what == TRACE_LOST && r.value == 2,
	       "two records were lost");
	for (unsigned int i = 0; i < TRACE_RECORDS; i++)
		expect(trace_take(&ring, &r) && r.what == 7 && r.value == i,
		       "all others come out in order");
	expect(!trace_take(&ring, &r), "and then no more");
	ring.head += TRACE_RECORDS + 1;
	expect(trace_take(&ring, &r) && r.what == TRACE_LOST &&
	       r.value == TRACE_RECORDS + 1, "too many are lost, all of them");
	expect(!trace_take(&ring, &r), "and then it is empty");
}

int main(int argc, char *argv[])
{
	if (argc == 3)
		hostile(argv[1], (unsigned int)atoi(argv[2]));
	else
		honest();
	return bad;
}
