/*
 * Fuzz what reads a snapshot: any bytes, with their sum put right. What is
 * accepted must have all its parts within its bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#define SNAPSHOT_ONLY_CHECK
#include "launcher/snapshot.c"

static uint64_t use(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t all = 0;

	while (len--)
		all += *p++;
	return all;
}

/* Reads every byte that a restore would read; the sanitizer looks on. */
static uint64_t use_parts(const struct parts *p)
{
	uint64_t all = use(p->words, p->head->words_len);
	const uint8_t *at = p->runs;

	for (const char *w = p->words; w < p->words + p->head->words_len && *w;
	     w += strlen(w) + 1)
		all++;
	all += use(p->device, p->head->devices * sizeof(*p->device));
	all += use(p->state, sizeof(*p->state));
	for (const struct run *r = (const void *)at; r->count;
	     r = (const void *)at) {
		if (r->pfn + (uint64_t)r->count > p->head->pages)
			abort();
		at += sizeof(*r);
		all += use(at, (size_t)r->count * SNAPSHOT_PAGE);
		at += (size_t)r->count * SNAPSHOT_PAGE;
	}
	return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static volatile uint64_t sink;
	size_t pages = size > 8 ? data[0] % 3 : 0, len;
	uint8_t *file;
	struct parts p;
	uint64_t sum;

	if (size < 9)
		return 0;
	/* a byte of the input tells how many pages follow it at the end */
	len = (size - 1) + pages * SNAPSHOT_PAGE;
	file = calloc(1, len);
	memcpy(file, data + 1, size - 1);
	memcpy(file, SNAPSHOT_MAGIC, size - 1 < 16 ? size - 1 : 16);
	if (data[0] & 0x80 && size - 1 > 8 && pages)
		memcpy(file + len - 16, &(struct run){ 0, 0 }, 8);
	if (len > 8) {
		sum = sum_over(SUM_START, file, len - 8);
		memcpy(file + len - 8, &sum, 8);
	}
	if (!check_snapshot(file, len, &p))
		sink += use_parts(&p);
	free(file);
	return 0;
}
