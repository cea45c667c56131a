/*
 * A Host that runs nothing: it answers run as the letters of $ENDING say
 * (n notify, a again, r restart, p powered off, d dead), one in each call, and
 * tells on standard output what is done to it. It keeps a child, as a real
 * Host does, which close must end. Links with the whole Launcher.
 */
#include <dirent.h>
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/select.h>
#include <unistd.h>
#include "host/host.h"

static pid_t child;

static bool present(void)
{
	return true;
}

static void print_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int n = 0;

	while ((e = readdir(d)) != NULL)
		if (atoi(e->d_name) > 2 && atoi(e->d_name) != dirfd(d))
			n++;
	closedir(d);
	printf("%d descriptors, %s\n", n,
	       waitpid(-1, NULL, WNOHANG | __WALL) == -1 ? "no child"
	       : "a child");
}

static struct host *initialize(const struct host_start *start)
{
	printf("pid %d\n", getpid());
	print_descriptors();
	printf("start %#x pfn_limit %#x\n", start->start, start->pfn_limit);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		select(0, NULL, NULL, NULL, NULL);	/* pause is no Launcher's call */
		_exit(0);
	}
	return (struct host *)&child;
}

static void run(struct host *h, struct host_exit *stop)
{
	char *ending = getenv("ENDING"), c = ending ? *ending : 'p';

	(void)h;
	if (ending)
		memmove(ending, ending + 1, strlen(ending));
	printf("run: %c\n", c);
	fflush(stdout);
	memset(stop, 0, sizeof(*stop));
	stop->why = c == 'n' ? HOST_NOTIFY : c == 'a' ? HOST_AGAIN
		: c == 'r' ? HOST_RESTART : HOST_DEAD;
	stop->address = 0x2000;		/* an empty early console text */
	strcpy(stop->reason, c == 'p' ? "Power down" : "Power down?");
}

static void interrupt(struct host *h, unsigned int irq)
{
	(void)h;
	(void)irq;
}

static void break_out(struct host *h, bool on)
{
	(void)h;
	if (!on) {
		printf("released\n");
		fflush(stdout);
		return;
	}
	for (;;)
		select(0, NULL, NULL, NULL, NULL);	/* pause is no Launcher's call */
}

static void finish(struct host *h)
{
	(void)h;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	printf("closed, %s\n", waitpid(-1, NULL, WNOHANG | __WALL) == -1
	       ? "no child left" : "a child left");
	fflush(stdout);
}

const struct host_ops user_host = {
	.name = "user", .shared_memory = true, .boot_params = 0x90000,
	.present = present, .initialize = initialize, .run = run,
	.interrupt = interrupt, .break_out = break_out, .close = finish,
};
