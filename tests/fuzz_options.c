/*
 * A libFuzzer target: the input is a command line, its words ended by zeroes.
 * It is taken, and then what was taken is in it; or it is refused with a
 * line. (What follows --tunnet= is parsed in tests/fuzz_net.c.)
 */
#include <err.h>
#include <setjmp.h>
#include <stdint.h>

static void refuse(int status, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
static void leave(int status) __attribute__((noreturn));
#define errx refuse
#define err refuse
#define exit leave
#include "launcher/options.c"
#undef exit

/* There is no such file here. */
static char **no_words(const char *path, bool *gates)
{
	(void)gates;
	errx(1, "--restore=%s: cannot open", path);
}

#define WORDS	64

static jmp_buf out;
static char *words[WORDS + 1];
static int count;

static void require(bool good)
{
	if (!good)
		abort();
}

static void refuse(int status, const char *fmt, ...)
{
	char line[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	require(status == 1 && line[0]);
	longjmp(out, 1);
}

static void leave(int status)
{
	require(status == 0);
	longjmp(out, 1);
}

/* A value is a part of one of the words, behind its equals sign. */
static void check_value(const char *name, const char *value)
{
	size_t n = strlen(name);

	for (int i = 1; i < count; i++)
		if (strncmp(words[i], name, n) == 0 && words[i][n] == '='
		    && words[i] + n + 1 == value && *value)
			return;
	abort();
}

static void check(const struct options *o)
{
	const char *line = o->command_line;
	int i = 1;

	require(o->mib >= 1 && o->mib <= LGUEST_MAX_MIB);
	require(o->disks <= LGUEST_IRQS && o->nets <= OPTIONS_NETS);
	if (o->initrd)
		check_value("--initrd", o->initrd);
	if (o->rng_path)
		check_value("--rng", o->rng_path);
	for (unsigned int n = 0; n < o->disks; n++)
		check_value("--block", o->disk[n]);
	for (unsigned int n = 0; n < o->nets; n++)
		check_value("--tunnet", o->tunnet[n]);
	if (o->check)			/* of the machine: there may be no kernel */
		return;
	while (words[i] != o->kernel)
		require(++i < count);
	require(atol(words[i - 1]) == (long)o->mib);
	/* The rest is the command line, with a blank between the words. */
	while (++i < count) {
		size_t n = strlen(words[i]);

		require(strncmp(line, words[i], n) == 0);
		line += n;
		require(*line == (i + 1 < count ? ' ' : '\0'));
		line += *line == ' ';
	}
	require(!*line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *at = text;
	const struct options *o;

	memcpy(text, data, size);
	text[size] = '\0';
	words[0] = (char *)"lguest";
	for (count = 1; count < WORDS && at < text + size; count++) {
		words[count] = at;
		at += strlen(at) + 1;
	}
	words[count] = NULL;
	options = (struct options){ .host = "auto" };
	if (!setjmp(out)) {
		o = options_parse(count, words, "0123", "user dev", no_words);
		check(o);
		free((char *)(uintptr_t)o->command_line);
	}
	free(text);
	return 0;
}
