/*
 * The first process of a virtual machine that has nothing else: it runs each
 * line of /run as root or as somebody, says how it ended, and switches off.
 * A line is a name, a user's number, and a command.
 */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

static int run(int uid, char *command)
{
	char *argv[32];
	int n = 0, status;
	pid_t child = fork();

	if (child) {
		waitpid(child, &status, 0);
		return status;
	}
	for (char *w = strtok(command, " "); w && n < 31; w = strtok(NULL, " "))
		argv[n++] = w;
	argv[n] = NULL;
	close(0);
	open("/dev/null", O_RDONLY);
	if (uid && (setgroups(0, NULL) || setgid(uid) || setuid(uid)))
		perror("setuid");
	else
		execv(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

int main(void)
{
	char line[512], name[64];
	struct utsname u;
	FILE *list;
	int uid, at;

	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	mount("none", "/proc", "proc", 0, NULL);
	mount("none", "/dev", "devtmpfs", 0, NULL);
	put("/proc/sys/vm/mmap_min_addr", "65536");
	uname(&u);
	printf("\nINIT %s\n", u.release);
	list = fopen("/run", "r");
	while (list && fgets(line, sizeof(line), list)) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%63s %d %n", name, &uid, &at) != 2)
			continue;
		printf("\nBEGIN %s\n", name);
		fflush(stdout);
		printf("\nEND %s %d\n", name, run(uid, line + at));
		fflush(stdout);
	}
	puts("\nINIT done");
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	return 0;
}
