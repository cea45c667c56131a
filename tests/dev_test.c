/*
 * host/dev.c against a scripted double of /dev/lguest. The linker sends its
 * calls of open, access, write, pread and close here (--wrap), and its header
 * of raw system calls is the one in dev_double. Each call must be the next of
 * the script, with exactly these bytes; a stray one ends the test.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include "host/dev.h"
#include "host/host.h"
#include "host/rawsys.h"
#include "tests/tap.h"

#define WORD	((long)sizeof(unsigned long))
#define FD	77

enum call { END, OPEN, ACCESS, WRITE, PREAD, PWRITE, CLOSE };
static const char *const names[] = {
	"end", "open", "access", "write", "pread", "pwrite", "close"
};

struct step {
	enum call call;
	long arg;		/* flags, mode, or bytes asked for */
	unsigned long words[5];	/* what must be written */
	int n;			/* how many words */
	long answer;		/* -errno or a result */
	const char *reply;	/* what a pread finds... */
	unsigned long word;	/* ...unless this */
};

static const struct step *script;
static const char *expected_path = "/dev/lguest";
static bool trouble;

static void stray(const char *what, const struct step *s, long got, long want)
{
	printf("# %s: %s instead of %s (%ld, expected %ld)\n", what, what,
	       names[s->call], got, want);
	fflush(stdout);
	trouble = true;
}

static const struct step *next(enum call call, int fd)
{
	const struct step *s = script;

	if (s->call != call) {
		printf("# %s where the script has %s\n", names[call],
		       names[s->call]);
		fflush(stdout);
		_exit(99);
	}
	script++;
	if (fd != FD)
		stray("descriptor", s, fd, FD);
	return s;
}

static long give(const struct step *s)
{
	if (s->answer >= 0)
		return s->answer;
	errno = (int)-s->answer;
	return -1;
}

static void check_words(const struct step *s, const void *buf, size_t len)
{
	if ((long)len != s->n * WORD)
		stray("bytes", s, (long)len, s->n * WORD);
	else if (memcmp(buf, s->words, len) != 0)
		for (int i = 0; i < s->n; i++)
			if (((const unsigned long *)buf)[i] != s->words[i])
				stray("word", s, (long)
				      ((const unsigned long *)buf)[i],
				      (long)s->words[i]);
}

int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	const struct step *s = next(OPEN, FD);

	if (strcmp(path, expected_path) != 0)
		stray(path, s, 0, 0);
	if (flags != s->arg)
		stray("flags", s, flags, s->arg);
	return (int)give(s);
}

int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode)
{
	const struct step *s = next(ACCESS, FD);

	if (strcmp(path, expected_path) != 0 || mode != s->arg)
		stray(path, s, mode, s->arg);
	return (int)give(s);
}

ssize_t __wrap_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
	const struct step *s = next(WRITE, fd);

	check_words(s, buf, len);
	return give(s);
}

long raw_pwrite(int fd, const void *buf, unsigned long len, long offset)
{
	const struct step *s = next(PWRITE, fd);

	check_words(s, buf, len);
	if (offset != 0)
		stray("cpu", s, offset, 0);
	return s->answer;
}

ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t offset);
ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t offset)
{
	const struct step *s = next(PREAD, fd);

	if ((long)len != s->arg)
		stray("room", s, (long)len, s->arg);
	if (offset != 0)
		stray("cpu", s, (long)offset, 0);
	if (s->answer > 0 && s->reply)
		memcpy(buf, s->reply, (size_t)s->answer);
	else if (s->answer == WORD)
		memcpy(buf, &s->word, sizeof(s->word));
	return give(s);
}

int __wrap_close(int fd);
int __wrap_close(int fd)
{
	return (int)give(next(CLOSE, fd));
}

/* ---- the pieces of scripts --------------------------------------------- */

static uint8_t memory[16];
static const struct host_start start = {
	.base = memory, .memfd = -1, .pfn_limit = 0x4100,
	.pgdir = 0x3fee000, .start = 0x100000
};
static struct host *h;

#define OPENED	{ .call = OPEN, .arg = O_RDWR | O_CLOEXEC, .answer = FD }
#define BEGIN(result) { .call = WRITE, .n = 5, .answer = (result), .words = \
	{ 0, (unsigned long)memory, 0x4100, 0x3fee000, 0x100000 } }
#define BREAK(on, result) { .call = PWRITE, .n = 2, .words = { 3, on }, \
	.answer = (result) }
#define IRQ(irq, result) { .call = PWRITE, .n = 2, .words = { 2, irq }, \
	.answer = (result) }
#define RUN(result, ...) { .call = PREAD, .arg = WORD, \
	.answer = (result), ##__VA_ARGS__ }
#define LAST(text, len) { .call = PREAD, .arg = HOST_REASON_MAX - 1, \
	.reply = text, .answer = len }
#define SCRIPT(...) (script = (const struct step[]) { __VA_ARGS__, { 0 } }, \
	trouble = false)

static bool played(void)
{
	return !trouble && script->call == END;
}

static void good_calls(void)
{
	struct host_exit e;
	bool fine;

	SCRIPT({ .call = ACCESS, .arg = R_OK | W_OK, .answer = 0 });
	if (WORD == 4) {
		ok(dev_host.present() && played(), "present, by access");
		SCRIPT({ .call = ACCESS, .arg = R_OK | W_OK,
			 .answer = -ENOENT });
		ok(!dev_host.present() && played(), "not present");
	} else {
		ok(!dev_host.present(), "never present for 64 bits");
	}
	ok(!dev_host.shared_memory && dev_host.boot_params == 0 &&
	   strcmp(dev_host.name, "dev") == 0,
	   "private memory, boot_params at 0, its name");

	SCRIPT(OPENED, BEGIN(5 * WORD), BREAK(0, 0));
	h = dev_host.initialize(&start);
	ok(h && played(), "INITIALIZE 0, base, pfnlimit, pgdir, start");

	SCRIPT(RUN(WORD, .word = 0x4001000));
	dev_host.run(h, &e);
	ok(played() && e.why == HOST_NOTIFY && e.address == 0x4001000,
	   "pread of one word: notify");
	SCRIPT(RUN(WORD, .word = 0xffffffff));
	dev_host.run(h, &e);
	ok(played() && e.why == HOST_NOTIFY && e.address == 0xffffffff,
	   "notify, any address");
	SCRIPT(RUN(-EAGAIN));
	dev_host.run(h, &e);
	ok(played() && e.why == HOST_AGAIN, "EAGAIN: again");
	SCRIPT(RUN(-85));
	dev_host.run(h, &e);
	ok(played() && e.why == HOST_RESTART, "ERESTART, 85: restart");
	SCRIPT(RUN(-EINTR), RUN(-EINTR), RUN(-EAGAIN));
	dev_host.run(h, &e);
	ok(played() && e.why == HOST_AGAIN, "EINTR: read again");

	fine = true;
	for (unsigned int irq = 1; irq < 32; irq++) {
		SCRIPT(IRQ(irq, 0));
		dev_host.interrupt(h, irq);
		fine = fine && played();
	}
	ok(fine, "IRQ 2, irq for 1 to 31");
	SCRIPT(BREAK(1, 0), BREAK(0, 0));
	dev_host.break_out(h, true);
	dev_host.break_out(h, false);
	ok(played(), "BREAK 3, 1 and BREAK 3, 0");
	SCRIPT(BREAK(1, -EINTR));
	errno = 12345;
	dev_host.break_out(h, true);
	ok(played() && errno == 12345, "BREAK interrupted: errno untouched");
}

static void death(const char *text, long len, const char *want)
{
	struct host_exit e;

	memset(&e, 'x', sizeof(e));
	SCRIPT(RUN(-ENOENT), LAST(text, len));
	dev_host.run(h, &e);
	if (!ok(played() && e.why == HOST_DEAD && strcmp(e.reason, want) == 0,
		"ENOENT, then the reason: %.40s", want))
		printf("# got '%s'\n", e.reason);
}

static void deaths(void)
{
	char much[256], printable[96];

	death("Power down", 11, LGUEST_POWER_DOWN);
	death("bad stack page 0x10000", 23, "bad stack page 0x10000");
	death("no NUL", 6, "no NUL");
	death("", 1, "no reason given");
	death(NULL, 0, "no reason given");
	death(NULL, -EFAULT, "no reason given");
	death("a\nb\x1b[2J\x80\x7f\t", 10, "a?b?[2J???");
	death("Power down\n", 12, "Power down?");
	for (int c = ' '; c <= '~'; c++)
		printable[c - ' '] = (char)c;
	printable[95] = 0;
	death(printable, 96, printable);
	memset(much, 'm', sizeof(much));
	much[255] = 0;
	death(much, 255, much);

	SCRIPT({ .call = CLOSE, .answer = 0 });
	dev_host.close(h);
	ok(played(), "close");
}

/* ---- what must end the program, each in a process of its own ------------- */

static void dies(const char *what, void (*f)(void), const char *want)
{
	int fds[2], status, len = 0, n;
	char line[512];

	fflush(stdout);
	if (pipe(fds) != 0)
		exit(98);
	if (fork() == 0) {
		dup2(fds[1], 2);
		f();
		_exit(played() ? 96 : 97);
	}
	dup2(fds[0], fds[1]);	/* close is the double's */
	while ((n = (int)read(fds[0], line + len, sizeof(line) - 1 -
			      (size_t)len)) > 0)
		len += n;
	line[len] = 0;
	wait(&status);
	if (!ok(WIFEXITED(status) && WEXITSTATUS(status) == 1 &&
		strncmp(line, "lguest: ", 8) == 0 &&
		strcmp(line + 8, want) == 0, "%s", what))
		printf("# status %#x\n# got  %s# want lguest: %s", status,
		       line, want);
}

static const struct step *dying;

static void initialize(void)
{
	script = dying;
	dev_host.initialize(&start);
}

static void initialized(void)
{
	SCRIPT(OPENED, BEGIN(5 * WORD), BREAK(0, 0));
	h = dev_host.initialize(&start);
	script = dying;
}

static void run(void)
{
	struct host_exit e;

	initialized();
	dev_host.run(h, &e);
}

static void interrupt(void)
{
	initialized();
	dev_host.interrupt(h, 31);
}

#define DIES(what, f, want, ...) do { \
	const struct step steps[] = { __VA_ARGS__, { 0 } }; \
	dying = steps; \
	dies(what, f, want); \
} while (0)

#define NO_OPEN(error) \
	{ .call = OPEN, .arg = O_RDWR | O_CLOEXEC, .answer = -(error) }

static void ends(void)
{
	static const char gone[] = "; Linux 2.6.23 to 4.13 had it (module "
		"lg): use --host=user\n";
	static const char other[] = "; is this an lguest device?\n";
	char line[300];

	snprintf(line, sizeof(line), "--host=dev: cannot open /dev/lguest: "
		 "%s%s", strerror(ENOENT), gone);
	DIES("no device", initialize, line, NO_OPEN(ENOENT));
	snprintf(line, sizeof(line), "--host=dev: cannot open /dev/lguest: "
		 "%s%s", strerror(ENODEV), gone);
	DIES("no module", initialize, line, NO_OPEN(ENODEV));
	snprintf(line, sizeof(line), "--host=dev: cannot open /dev/lguest: "
		 "%s; may you use it?\n", strerror(EACCES));
	DIES("not allowed", initialize, line, NO_OPEN(EACCES));
	snprintf(line, sizeof(line), "/dev/lguest: cannot begin a Guest: "
		 "%s%s", strerror(EBUSY), other);
	DIES("INITIALIZE twice", initialize, line, OPENED, BEGIN(-EBUSY));
	DIES("BREAK refused", initialize, "/dev/lguest: does not know BREAK, "
	     "so it is not of Linux 2.6.24 to 2.6.29; use --host=user\n",
	     OPENED, BEGIN(5 * WORD), BREAK(0, -EINVAL));
	snprintf(line, sizeof(line), "/dev/lguest: running the Guest: %s\n",
		 strerror(EPERM));
	DIES("run by another thread", run, line, RUN(-EPERM));
	DIES("half a word", run, "/dev/lguest: answered with 2 bytes where a "
	     "word was due; is this an lguest device?\n",
	     RUN(2, .reply = "xy"));
	DIES("no word", run, "/dev/lguest: answered with 0 bytes where a "
	     "word was due; is this an lguest device?\n", RUN(0));
	snprintf(line, sizeof(line), "/dev/lguest: interrupt 31: %s\n",
		 strerror(EINVAL));
	DIES("IRQ refused", interrupt, line, IRQ(31, -EINVAL));
	expected_path = "/else";
	dev_set_path("/else");
	snprintf(line, sizeof(line), "--host=dev: cannot open /else: %s%s",
		 strerror(ENXIO), gone);
	DIES("another path", initialize, line, NO_OPEN(ENXIO));
}

int main(void)
{
	good_calls();
	deaths();
	ends();
	return done();
}
