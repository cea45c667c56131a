/*
 * A libFuzzer target: any bytes as a program for the Guest. What is loaded is
 * in the file, and goes to addresses that a program may have.
 */
#include "tests/fuzz_guest.h"
#include "guest/exec.c"

static const uint8_t *program;
static uint32_t program_size;
static bool made, freed;

static int read_program(struct open_file *file, void *to, uint32_t at,
			uint32_t n)
{
	(void)file;
	require(at <= program_size && n <= program_size - at);
	memcpy(to, program + at, n);
	return 0;
}

int file_open(const char *path, struct open_file *file)
{
	(void)path;
	*file = (struct open_file){ .read = read_program,
				    .size = program_size };
	return 0;
}

static void require_user(uint32_t at, uint32_t n)
{
	require(made && !freed && at >= USER_LOWEST && at < KERNEL_BASE
		&& n <= KERNEL_BASE - at);
}

int file_to_space(struct open_file *file, uint32_t at, struct space *space,
		  uint32_t to, uint32_t n)
{
	(void)file, (void)space;
	require(at <= program_size && n <= program_size - at);
	require_user(to, n);
	require(to + n <= USER_STACK_TOP - USER_STACK_MAX);
	return 0;
}

uint32_t gate_offered = LGUEST_RESERVED;

void *space_page(struct space *space, uint32_t address, bool write)
{
	static uint8_t page[PAGE_SIZE] = { 0xcd, 0x80, 0xc3, 0x90, 0x90, 0x90,
		0x90, 0x90, 0x90, 0x90, 0x90 };

	(void)space;
	require(made && !freed && write);
	return address >= USER_LOWEST && address < KERNEL_BASE
		? page + address % PAGE_SIZE : NULL;
}

bool space_create(struct space *space)
{
	memset(space, 0, sizeof *space);
	made = true;
	return true;
}

void space_free(struct space *space)
{
	(void)space;
	require(made && !freed);
	freed = true;
}

void space_protect(struct space *space, uint32_t start, uint32_t bytes)
{
	(void)space;
	require_user(start, bytes);
}

bool space_write(struct space *space, uint32_t to, const void *from,
		 uint32_t n)
{
	(void)space, (void)from;
	require_user(to, n);
	require(to >= USER_STACK_TOP - USER_STACK_MAX
		&& to + n <= USER_STACK_TOP);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arguments *arguments = page_alloc();
	struct trap_frame frame;
	struct space space;

	/* The first byte says how many words follow in the argument list. */
	for (uint32_t i = 0; size && i < data[0]; i++)
		if (!arguments_add(arguments, (const char *)"word", i % 5))
			break;
	program = data + !!size;
	program_size = (uint32_t)size - !!size;
	made = freed = false;
	if (exec_load(&space, &frame, "program", arguments) == 0) {
		require(made && !freed);
		require(frame.cs == GUEST_USER_CS && frame.ss == GUEST_USER_DS
			&& frame.eflags == 0x202);
		require(space.start <= space.brk || !space.brk);
		require(space.heap == space.brk && space.brk < KERNEL_BASE);
	} else {
		require(made == freed);
	}
	page_free(arguments);
	return 0;
}
