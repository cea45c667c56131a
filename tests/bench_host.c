/*
 * The host's own figures for tests/bench, and the two ends of a network.
 *
 *	bench_host futex		round trip between two processes, ns
 *	bench_host disk FILE		MB/s of 256 KiB reads; us of 4 KiB reads
 *	bench_host pipe			MB/s of 64-byte writes
 *	bench_host echo PORT		mirrors datagrams until killed
 *	bench_host rtt ADDR PORT	ns of a round trip, the median
 *	bench_host sink PORT		prints bytes received when killed
 *	bench_host flood ADDR PORT	datagrams for a second: bytes, ns
 *	bench_host latency N COMMAND...	ns from a byte on a pipe to "at TSC"
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

static double now(void)			/* nanoseconds */
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), order);
	return v[n / 2];
}

/* ---- waking ---- */
static void wait_until(unsigned int *word, unsigned int value)
{
	unsigned int is;

	while ((is = __atomic_load_n(word, __ATOMIC_SEQ_CST)) != value)
		syscall(SYS_futex, word, FUTEX_WAIT, is, NULL, NULL, 0);
}

static void tell(unsigned int *word, unsigned int value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void futex(void)
{
	enum { N = 5000 };
	unsigned int *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	double start;

	for (unsigned int i = 0; pid == 0; i++) {
		wait_until(word, 1);
		tell(word, 0);
		if (i == N)
			_exit(0);
	}
	tell(word, 1);
	wait_until(word, 0);
	start = now();
	for (int i = 0; i < N; i++) {
		tell(word, 1);
		wait_until(word, 0);
	}
	printf("%.1f\n", (now() - start) / N);
	waitpid(pid, NULL, 0);
}

static void latency(int rounds, char *command[])
{
	double *ns = calloc((size_t)rounds, sizeof(*ns)), start = now(), khz;
	uint64_t tsc = __rdtsc(), sent = 0;
	int in[2], out[2], n = 0;
	char line[256];
	pid_t pid;
	FILE *f;

	usleep(50000);
	khz = (double)(__rdtsc() - tsc) / ((now() - start) / 1e6);
	if (pipe(in) == -1 || pipe(out) == -1 || (pid = fork()) == -1)
		err(1, "latency");
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		for (int i = 3; i < 10; i++)
			close(i);
		execv(command[0], command);
		err(1, "%s", command[0]);
	}
	close(out[1]);
	f = fdopen(out[0], "r");
	while (n < rounds && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, "at ");

		if (at && sent)
			ns[n++] = (double)(int64_t)(strtoull(at + 3, NULL, 16)
						    - sent) * 1e6 / khz;
		else if (!strstr(line, "ready"))
			continue;
		usleep(2000);	/* everybody sleeps again */
		sent = __rdtsc();
		if (write(in[1], "\n", 1) != 1)
			err(1, "write");
	}
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	if (n < rounds)
		errx(1, "the Guest ended after %d rounds", n);
	printf("%.1f\n", median(ns, n));
}

/* ---- files and pipes ---- */
static void disk(const char *path)
{
	enum { LARGE = 256 * 1024, SMALL = 4096 };
	static char buffer[LARGE];
	int fd = open(path, O_RDONLY);
	off_t size = lseek(fd, 0, SEEK_END), at;
	uint32_t where = 1;
	double start;

	if (fd == -1)
		err(1, "%s", path);
	start = now();
	for (at = 0; at + LARGE <= size; at += LARGE)
		if (pread(fd, buffer, LARGE, at) != LARGE)
			err(1, "pread");
	printf("%.1f ", (double)at / (now() - start) * 1e3);
	start = now();
	for (int i = 0; i < 2000; i++) {
		where = where * 1664525 + 1013904223;
		at = (off_t)(where >> 8) % (size / SMALL) * SMALL;
		if (pread(fd, buffer, SMALL, at) != SMALL)
			err(1, "pread");
	}
	printf("%.2f\n", (now() - start) / 2000 / 1e3);
}

static void through_pipe(void)
{
	enum { BYTES = 16 << 20 };
	static char buffer[65536];
	char line[64];
	double start;
	pid_t pid;
	int p[2];

	if (pipe(p) == -1 || (pid = fork()) == -1)
		err(1, "pipe");
	if (pid == 0) {
		close(p[1]);
		while (read(p[0], buffer, sizeof(buffer)) > 0)
			;
		_exit(0);
	}
	memset(line, '.', sizeof(line));
	start = now();
	for (int i = 0; i < BYTES; i += (int)sizeof(line))
		if (write(p[1], line, sizeof(line)) != sizeof(line))
			err(1, "write");
	printf("%.1f\n", BYTES / (now() - start) * 1e3);
	close(p[1]);
	waitpid(pid, NULL, 0);
}

/* ---- datagrams ---- */
static struct sockaddr_in address(const char *ip, const char *port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = inet_addr(ip),
		.sin_port = htons((uint16_t)atoi(port)) };
}

static int server(const char *port)
{
	struct sockaddr_in a = address("0.0.0.0", port);
	int s = socket(AF_INET, SOCK_DGRAM, 0), large = 4 << 20;

	setsockopt(s, SOL_SOCKET, SO_RCVBUF, &large, sizeof(large));
	if (bind(s, (void *)&a, sizeof(a)) == -1)
		err(1, "port %s", port);
	printf("ready\n");
	fflush(stdout);
	return s;
}

static int client(const char *ip, const char *port)
{
	struct sockaddr_in a = address(ip, port);
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	if (connect(s, (void *)&a, sizeof(a)) == -1)
		err(1, "%s", ip);
	return s;
}

static void echo(const char *port)
{
	int s = server(port);
	static char data[65536];

	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(s, data, sizeof(data), 0,
				     (void *)&from, &len);

		if (n >= 0)
			sendto(s, data, (size_t)n, 0, (void *)&from, len);
	}
}

static void rtt(const char *ip, const char *port)
{
	enum { N = 1000 };
	struct timeval second = { 1, 0 };
	int s = client(ip, port), got = 0;
	static double ns[N];
	char data[64] = "";

	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	for (int i = 0; i < N + 10; i++) {
		double start = now();

		send(s, data, sizeof(data), 0);
		if (recv(s, data, sizeof(data), 0) != sizeof(data))
			continue;
		if (i >= 10)
			ns[got++] = now() - start;
	}
	if (got < N / 2)
		errx(1, "only %d of %d came back", got, N);
	printf("%.1f\n", median(ns, got));
}

static volatile sig_atomic_t ending;

static void end(int sig)
{
	(void)sig;
	ending = 1;
}

static void sink(const char *port)
{
	int s = server(port);
	static char data[65536];
	double bytes = 0;

	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = end }, NULL);
	while (!ending) {
		ssize_t n = recv(s, data, sizeof(data), 0);

		bytes += n > 0 ? (double)n : 0;
	}
	printf("%.0f\n", bytes);
}

static void flood(const char *ip, const char *port)
{
	static const char data[1472];
	int s = client(ip, port);
	double start = now(), bytes = 0;

	while (now() - start < 1e9) {
		ssize_t n = send(s, data, sizeof(data), 0);

		bytes += n > 0 ? (double)n : 0;
	}
	printf("%.0f %.0f\n", bytes, now() - start);
}

int main(int argc, char *argv[])
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "futex") == 0)
		futex();
	else if (strcmp(what, "pipe") == 0)
		through_pipe();
	else if (strcmp(what, "disk") == 0 && argc > 2)
		disk(argv[2]);
	else if (strcmp(what, "echo") == 0 && argc > 2)
		echo(argv[2]);
	else if (strcmp(what, "sink") == 0 && argc > 2)
		sink(argv[2]);
	else if (strcmp(what, "rtt") == 0 && argc > 3)
		rtt(argv[2], argv[3]);
	else if (strcmp(what, "flood") == 0 && argc > 3)
		flood(argv[2], argv[3]);
	else if (strcmp(what, "latency") == 0 && argc > 3)
		latency(atoi(argv[2]), argv + 3);
	else
		errx(1, "what?");
	return 0;
}
