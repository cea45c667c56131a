/* Results for prove: call ok() for each, finish with done(). */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int tap_count, tap_failures;

static bool __attribute__((format(printf, 2, 3), unused))
ok(bool good, const char *fmt, ...)
{
	va_list ap;

	if (!good)
		tap_failures++;
	printf("%sok %d - ", good ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	return good;
}

static int __attribute__((unused)) done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failures != 0;
}
#endif
