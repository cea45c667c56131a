/*
 * A libFuzzer target: the Guest's reader of ext2. The image is a small good
 * one, and the input is damage to it and questions about it, in any order.
 */
#include "tests/fuzz_guest.h"
#include "guest/ext2.c"
#include "guest/file.c"

#define BLOCK	1024u
#define BLOCKS	64u

static uint8_t image[BLOCKS * BLOCK];
struct disk disks[DISKS];
uint32_t disk_count = 1;

/* ---- what the reader stands on ---- */
int disk_ask(struct disk *d, uint32_t type, uint64_t sector,
	     const struct virtio_piece *data, uint32_t count)
{
	require(d == disks && type == VIRTIO_BLK_T_IN && count == 1);
	require(data->device_writes && data->bytes % BLOCK_SECTOR == 0);
	if (sector > d->sectors
	    || data->bytes / BLOCK_SECTOR > d->sectors - sector)
		return -EIO;
	memcpy((void *)(uintptr_t)data->at, image + sector * BLOCK_SECTOR,
	       data->bytes);
	return 0;
}

bool initrd_open(const char *path, struct open_file *file)
{
	(void)path, (void)file;
	return false;
}

bool initrd_list(uint32_t index, struct file_info *info)
{
	(void)index, (void)info;
	return false;
}

void *space_page(struct space *space, uint32_t address, bool write)
{
	(void)space, (void)address, (void)write;
	return NULL;
}

/* ---- a good image, as mke2fs -b 1024 lays it out ---- */
static struct ext2_inode *inode(uint32_t number)
{
	return (struct ext2_inode *)(image + 5 * BLOCK + (number - 1) * 128);
}

static void add_file(uint32_t number, uint16_t mode, uint32_t size,
		     uint32_t first)
{
	struct ext2_inode *i = inode(number);

	i->mode = mode;
	i->size = size;
	for (uint32_t b = 0; b < 12 && b * BLOCK < size; b++)
		i->block[b] = first + b;
}

static uint8_t *add_entry(uint8_t *at, uint32_t number, const char *name,
			  uint32_t length)
{
	struct ext2_entry e = { number, (uint16_t)length,
				(uint8_t)strlen(name), 0 };

	memcpy(at, &e, sizeof e);
	memcpy(at + sizeof e, name, strlen(name));
	return at + length;
}

static void make_image(void)
{
	struct ext2_super *s = (void *)(image + 1024);
	uint32_t *indirect = (void *)(image + 24 * BLOCK);
	uint8_t *at;

	memset(image, 0, sizeof image);
	*s = (struct ext2_super){ .inodes = 16, .blocks = BLOCKS,
		.first_data_block = 1, .inodes_per_group = 16,
		.magic = EXT2_MAGIC, .revision = 1, .inode_size = 128,
		.incompatible = EXT2_FILETYPE };
	((struct ext2_group *)(image + 2 * BLOCK))->inode_table = 5;
	add_file(EXT2_ROOT, EXT2_DIRECTORY, BLOCK, 7);
	add_file(11, EXT2_DIRECTORY, BLOCK, 8);
	add_file(12, EXT2_REGULAR, 20, 9);
	add_file(13, EXT2_REGULAR, 300 * BLOCK, 10);
	inode(13)->block[12] = 24;
	indirect[0] = 25;
	inode(13)->block[13] = 26;
	((uint32_t *)(image + 26 * BLOCK))[0] = 24;
	at = add_entry(image + 7 * BLOCK, EXT2_ROOT, ".", 12);
	at = add_entry(at, EXT2_ROOT, "..", 12);
	at = add_entry(at, 12, "motd", 12);
	at = add_entry(at, 11, "sub", 12);
	add_entry(at, 13, "large", BLOCK - 48);
	at = add_entry(image + 8 * BLOCK, 11, ".", 12);
	at = add_entry(at, EXT2_ROOT, "..", 12);
	add_entry(at, 13, "file", BLOCK - 24);
}

static void forget(void)
{
	for (uint32_t i = 0; i < BUFFERS; i++)
		page_free(buffers[i].page);
	memset(buffers, 0, sizeof buffers);
	memset(systems, 0, sizeof systems);
	buffer_clock = 0;
	disks[0].sectors = sizeof image / BLOCK_SECTOR;
}

/* ---- questions ---- */
static void list(const char *path, uint32_t index)
{
	struct file_info info;

	memset(&info, 0xAA, sizeof info);
	if (file_list(path, index, &info) > 0) {
		uint32_t n = 0;

		while (n < sizeof info.name && info.name[n])
			n++;
		require(n < sizeof info.name);
	}
	require(!ext2_busy);
}

static void read_all(const char *path, uint32_t where)
{
	struct open_file file;
	uint32_t at, n;
	uint8_t *to;

	if (file_open(path, &file) != 0)
		return;
	require(file.size <= INT32_MAX && file.read);
	at = where % (file.size + 1);
	n = file.size - at < 5000 ? file.size - at : 5000;
	to = malloc(n + 1);
	file.read(&file, to, at, n);
	require(!ext2_busy);
	free(to);
}

static const char *const paths[] = {
	"/disk", "/disk/motd", "/disk0/sub", "/disk/sub/file", "/disk/large",
	"disk/sub/../sub/./file", "/disk/none", "/disk9/x", "/disk8", "motd",
};
#define PATHS	(sizeof paths / sizeof *paths)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	make_image();
	forget();
	while (size >= 4) {
		uint32_t at = data[1] | (uint32_t)data[2] << 8, n;

		if (data[0] < 200) {		/* damage */
			n = data[0] % 32 + 1u;
			if (n > size - 3)
				n = (uint32_t)size - 3;
			if (n > sizeof image - at)
				n = sizeof image - at;
			memcpy(image + at, data + 3, n);
			data += 3 + n;
			size -= 3 + n;
			continue;
		}
		if (data[0] < 220)
			list(paths[data[3] % PATHS], at);
		else if (data[0] < 250)
			read_all(paths[data[3] % PATHS], at * 16);
		else
			forget();
		data += 4;
		size -= 4;
	}
	for (uint32_t i = 0; i < PATHS; i++) {
		list(paths[i], 0);
		list(paths[i], 3);
		read_all(paths[i], i * 100000);
	}
	return 0;
}
