/*
 * Loads a Guest as main does and writes its memory to a file.
 * usage: lguest MIB BOOT_PARAMS KERNEL INITRD|- LINE OUT [shared]
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "contract/lguest.h"
#include "launcher/loader.h"
#include "launcher/memory.h"

int main(int argc, char *argv[])
{
	struct load_order order;
	struct loaded loaded;
	FILE *f;

	if (argc < 7)
		errx(9, "usage");
	memory_create((unsigned int)atoi(argv[1]), argc > 7);
	order = (struct load_order) {
		.kernel = argv[3],
		.initrd = strcmp(argv[4], "-") ? argv[4] : NULL,
		.command_line = argv[5],
		.boot_params = (uint32_t)strtoul(argv[2], NULL, 0),
	};
	load_guest(&order, &loaded);
	f = fopen(argv[6], "w");
	if (!f || fwrite(memory_base(), 1, memory_pfn_limit() * 4096ull, f)
	    != memory_pfn_limit() * 4096ull || fclose(f))
		err(9, "%s", argv[6]);
	printf("%#x %#x %u\n", loaded.pgdir, loaded.start, memory_pfn_limit());
	return 0;
}
