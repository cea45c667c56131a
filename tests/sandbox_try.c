/*
 * A Launcher that has been taken over, as far as a test can have one: loaded
 * with LD_PRELOAD, it waits until the console asks about the terminal, which
 * is after the sandbox was put on and before the Guest begins, and then does
 * what TRY says. What comes back is printed, with its error.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static long int80(long number)
{
	long result;

	asm volatile ("int $0x80" : "=a" (result) : "a" (number) : "memory");
	return result;
}

static long try(const char *what)
{
	const char *file = getenv("TRY_FILE");
	char *argv[] = { (char *)"true", NULL };

#define TRY(name, call)	if (strcmp(what, name) == 0) return (long)(call)
	TRY("socket", socket(AF_INET, SOCK_STREAM, 0));
	TRY("create", open(file, O_WRONLY | O_CREAT, 0600));
	TRY("truncate", open("/dev/null", O_WRONLY | O_TRUNC));
	TRY("temporary", open("/tmp", O_TMPFILE | O_RDWR, 0600));
	TRY("unlink", unlink(file));
	TRY("chmod", chmod(file, 0777));
	TRY("type", ioctl(0, TIOCSTI, "x"));
	TRY("unshare", unshare(CLONE_NEWUSER));
	TRY("namespace", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD,
				 0, 0, 0, 0));
	TRY("trace", ptrace(PTRACE_TRACEME, 0, 0, 0));
	TRY("all", kill(-1, 0));
	TRY("group", kill(0 - getppid(), 0));
	TRY("limit", prlimit(getppid(), RLIMIT_CORE, NULL, NULL));
	TRY("dumpable", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	TRY("path", syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv,
			    NULL, 0));
	TRY("int80", int80(20));
	TRY("getpid", getpid() > 0);
	TRY("x32", syscall(0x40000000 | SYS_getpid));
	TRY("young", syscall(425, 1, NULL));	/* io_uring_setup */
	TRY("read", open(file, O_RDONLY));
	TRY("write", open(file, O_WRONLY));
	TRY("list", open("/", O_RDONLY | O_DIRECTORY));
	TRY("status", open("/proc/self/status", O_RDONLY));
	TRY("execute", execv("/bin/true", argv));
	TRY("signal", kill(atoi(getenv("TRY_PID")), 0));
	printf("try: no such thing: %s\n", what);
	exit(3);
}

int tcgetattr(int fd, struct termios *t)
{
	static int (*real)(int, struct termios *);
	static int once;
	const char *what = getenv("TRY");
	long result;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "tcgetattr");
	if (!what || once++)
		return real(fd, t);
	if (*what == '+') {		/* a child does it */
		if (fork())
			sleep(10);
		what++;
	}
	errno = 0;
	result = try(what);
	printf("try: %s: %s\n", what, result < 0 ? strerrorname_np(errno) :
	       "allowed");
	exit(0);
}
