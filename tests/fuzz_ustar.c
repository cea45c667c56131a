/*
 * A libFuzzer target: any bytes as the Guest's initial ramdisk. What is
 * listed can be opened, and lies within the archive.
 */
#include "tests/fuzz_guest.h"

static uintptr_t archive;
#undef INITRD_BASE
#define INITRD_BASE	archive
#include "guest/ustar.c"

uint32_t initrd_size;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + !size), *to;
	struct open_file file;
	struct file_info info;

	memcpy(copy, data, size);
	archive = (uintptr_t)copy;
	initrd_size = (uint32_t)size;
	initrd_setup();
	for (uint32_t i = 0; initrd_list(i, &info); i++) {
		require(strlen(info.name) < sizeof info.name);
		require(info.size <= size && i <= size / 512);
		require(initrd_open(info.name, &file));
		require(file.size <= size);
		to = malloc(file.size + 1);
		require(file.read(&file, to, 0, file.size) == 0);
		free(to);
	}
	initrd_open("none", &file);
	free(copy);
	return 0;
}
