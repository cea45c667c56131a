/*
 * A libFuzzer target: any bytes as a kernel, with any initrd. What the parser accepts must be
 * true of the bytes, what the planner accepts must fit, and copying it must
 * stay in bounds (the sanitizers watch).
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "contract/lguest.h"
#include "launcher/loader.h"

#define CHECK(x) do { if (!(x)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_kernel(const struct kernel *k, const uint8_t *image,
			 size_t size)
{
	CHECK(k->segments > 0 && k->segments <= KERNEL_SEGMENTS);
	CHECK(k->line_max <= COMMAND_LINE_MAX);
	for (unsigned int i = 0; i < k->segments; i++) {
		const struct kernel_segment *s = &k->segment[i];
		uint8_t *copy = malloc(s->bytes + 1u);

		CHECK(s->offset <= size && s->bytes <= size - s->offset);
		CHECK((uint64_t)s->address + s->memory <= UINT32_MAX);
		CHECK(copy);
		memcpy(copy, image + s->offset, s->bytes);
		free(copy);
	}
}

static bool apart(uint32_t a, uint32_t an, uint32_t b, uint32_t bn)
{
	return (uint64_t)a + an <= b || (uint64_t)b + bn <= a || !an || !bn;
}

static void check_plan(const struct boot_plan *p, const struct kernel *k)
{
	for (unsigned int i = 0; i < p->claims; i++)
		for (unsigned int j = 0; j < i; j++)
			CHECK(apart(p->claim[i].from, p->claim[i].bytes,
				    p->claim[j].from, p->claim[j].bytes));
	CHECK(p->pgdir % 4096 == 0 && p->initrd % 4096 == 0);
	for (unsigned int i = 0; i < k->segments; i++) {
		const struct kernel_segment *s = &k->segment[i];

		CHECK((uint64_t)s->address + s->memory <= p->ram);
		CHECK(s->address >= p->lowest);
		for (unsigned int j = 0; j < p->claims; j++)
			CHECK(apart(s->address, s->memory, p->claim[j].from,
				    p->claim[j].bytes));
	}
}

static void check_all_plans(const struct kernel *k)
{
	static const uint32_t mib[] = { 1, 2, 16, 64, 2047 };
	static const uint32_t initrd[] = {
		0, 1, 4096, 0xf0000, 15 << 20, 0x7fffffff
	};

	for (unsigned int i = 0; i < 5 * 6 * 2; i++) {
		struct boot_plan p = {
			.ram = mib[i % 5] << 20,
			.pfn_limit = (mib[i % 5] << 8) + LGUEST_DEVICE_PAGES,
			.boot_params = i < 30 ? 0 : 0x90000,
			.initrd_bytes = initrd[i / 5 % 6],
			.line_bytes = i * 40,
		};

		if (!plan_boot(&p, k))
			check_plan(&p, k);
	}
}

/* The last ten bytes also choose memory, initrd and command line. */
static void check_a_plan(const struct kernel *k, const uint8_t *end)
{
	struct boot_plan p = { .boot_params = end[-1] & 1 ? 0x90000 : 0 };
	uint16_t mib, line;

	memcpy(&mib, end - 10, 2);
	memcpy(&line, end - 8, 2);
	memcpy(&p.initrd_bytes, end - 6, 4);
	p.ram = (mib % LGUEST_MAX_MIB + 1u) << 20;
	p.pfn_limit = (p.ram >> 12) + LGUEST_DEVICE_PAGES;
	p.line_bytes = line;
	if (!plan_boot(&p, k)) {
		check_plan(&p, k);
		CHECK(p.line_bytes <= k->line_max);
		CHECK((uint64_t)p.initrd + p.initrd_bytes <= p.ram);
	} else {
		CHECK(strlen(p.complaint.text) < sizeof(p.complaint.text) - 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kernel k;
	const char *why = kernel_parse(data, size, &k);

	if (why) {
		CHECK(why == k.complaint.text && *why);
		CHECK(strlen(why) < sizeof(k.complaint.text) - 1);
		return 0;
	}
	check_kernel(&k, data, size);
	check_all_plans(&k);
	check_a_plan(&k, data + size);
	return 0;
}
