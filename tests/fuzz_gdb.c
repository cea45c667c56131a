/*
 * Fuzz the debugger's stub: any bytes on the line, before a Guest whose
 * memory is the input too. Nothing may be touched that is not the Guest's.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "launcher/gdb.c"

#define RAM 0x8000u

static uint8_t *ram;

void *memory_at(uint32_t addr, uint32_t len)
{
	return len > RAM || addr > RAM - len ? NULL : ram + addr;
}

bool device_write_all(int fd, const void *data, size_t len)
{
	static char out[PACKET_MAX + 8];

	(void)fd;
	if (len > sizeof(out))
		abort();
	memcpy(out, data, len);		/* reads all of it */
	return true;
}

void device_watch_fd(struct device *dev, int fd) { (void)dev; (void)fd; }
void device_enable_fd(int fd) { (void)fd; }
void device_disable_fd(int fd) { (void)fd; }
void guest_when_stopped(guest_stopped *handler) { (void)handler; }
void guest_stop(void) { }
void guest_close(void) { }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host_state s = { .reg = { 1, 2, 3 }, .eip = 0x3001,
				.pgdir = 0x1000 };
	enum host_resume how;
	char text[32];
	uint8_t *exact = malloc(RAM);	/* so that ASan sees its ends */

	if (size < 4)
		return free(exact), 0;
	ram = exact;
	for (size_t i = 0; i < RAM; i++)
		ram[i] = data[i % size];
	/* page tables: 0x2000 is seen at 0, with itself; the rest is chance */
	memcpy(ram + 0x1000, &(uint32_t){ 0x2007 }, 4);
	for (uint32_t i = 0; i < 8; i++)
		memcpy(ram + 0x2000 + 4 * i, &(uint32_t){ i << 12 | 7 }, 4);
	if (data[0] & 1)
		s.pgdir = data[1] * 0x100u;
	state = &s;
	line = 1000000;
	reading = OUTSIDE;
	for (size_t i = 2; i < size; i++) {
		int c = data[i];

		if (take_byte((char)c) > 0 && packet[0] != 'k')
			obey(&how);
		if (line < 0)
			break;
		/* whole packets, without the fuzzer's having to add up */
		if (c == '#' && packet_len && packet[0] != 'k' &&
		    reading == FIRST_DIGIT) {
			packet[packet_len] = '\0';
			obey(&how);
			reading = OUTSIDE;
		}
		if (c == '!')
			worth_telling(data[i - 1] % 3, text, &how);
	}
	for (struct point *p = points; p < points + POINTS; p++)
		if (p->used)
			take_away(p);
	line = -1;
	free(exact);
	return 0;
}
