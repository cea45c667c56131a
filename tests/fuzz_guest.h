/*
 * What the fuzzers of the Guest's kernel share: parts of it are compiled as
 * a 32-bit program for the host, and this stands in for the rest of it. The
 * C library's headers and the kernel's do not go together, so the few
 * functions that are wanted from the library are declared here.
 */
#ifndef TESTS_FUZZ_GUEST_H
#define TESTS_FUZZ_GUEST_H
#include "guest/kernel.h"

void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void free(void *p);
void abort(void) __attribute__((noreturn));
int vsnprintf(char *to, size_t n, const char *format, va_list ap);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(bool good)
{
	if (!good)
		abort();
}

uint32_t irq_off(void)
{
	return 0;
}

void irq_restore(uint32_t was)
{
	(void)was;
}

void process_sleep(const void *on, uint64_t until_us)
{
	(void)on, (void)until_us;
	abort();			/* nobody would wake us */
}

void process_wake(const void *on)
{
	(void)on;
}

void *page_alloc(void)
{
	return calloc(1, PAGE_SIZE);	/* the sanitizer guards its ends */
}

void page_free(void *page)
{
	free(page);
}

int format_text(char *to, uint32_t size, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(to, size, format, ap);
	va_end(ap);
	return n;
}

void print(const char *format, ...)
{
	(void)format;
}

void panic(const char *format, ...)
{
	(void)format;
	abort();
}
#endif
