/* Stands in for host/rawsys.h when host/dev.c is tested: see dev_test.c. */
#ifndef HOST_RAWSYS_H
#define HOST_RAWSYS_H
long raw_pwrite(int fd, const void *from, unsigned long len, long offset);
#endif
