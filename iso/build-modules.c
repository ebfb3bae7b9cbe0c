/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The choice is by folder, not by name: a driver that a later kernel adds for
 * new hardware is then there without a change here.
 */
#include "iso/build-modules.h"

#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

/* Beginnings of paths.  The longest that fits decides. */
static const struct {
	const char *prefix;
	bool is_wanted;
} choices[] = {
	{"kernel/arch/x86/crypto/", true},
	{"kernel/crypto/", true},
	{"kernel/crypto/tcrypt", false}, /* a test */
	{"kernel/drivers/ata/", true},
	{"kernel/drivers/block/", true},
	{"kernel/drivers/block/drbd/", false},
	{"kernel/drivers/block/floppy", false}, /* seconds of seeking for a drive that nobody has */
	{"kernel/drivers/block/nbd", false},
	{"kernel/drivers/block/null_blk/", false},
	{"kernel/drivers/block/pktcdvd", false},
	{"kernel/drivers/block/rbd", false},
	{"kernel/drivers/block/rnbd/", false},
	{"kernel/drivers/block/ublk", false},
	{"kernel/drivers/block/zram/", false},
	{"kernel/drivers/cdrom/", true},
	{"kernel/drivers/char/hw_random/", true},
	{"kernel/drivers/char/ipmi/", true},
	{"kernel/drivers/char/tpm/", true},
	{"kernel/drivers/dax/", true},
	{"kernel/drivers/firmware/qemu_fw_cfg", true},
	{"kernel/drivers/hid/hid.ko", true},
	{"kernel/drivers/hid/hid-generic", true},
	{"kernel/drivers/hid/hid-hyperv", true},
	{"kernel/drivers/hid/usbhid/", true},
	{"kernel/drivers/hv/", true},
	{"kernel/drivers/input/serio/hyperv-keyboard", true},
	{"kernel/drivers/md/", true},
	{"kernel/drivers/message/fusion/", true},
	{"kernel/drivers/mmc/core/", true},
	{"kernel/drivers/mmc/host/", true},
	{"kernel/drivers/net/bonding/", true},
	{"kernel/drivers/net/ethernet/", true},
	{"kernel/drivers/net/ethernet/mellanox/mlxsw/", false}, /* a switch */
	{"kernel/drivers/net/fjes/", false},
	{"kernel/drivers/net/hyperv/", true},
	{"kernel/drivers/net/mdio", true},
	{"kernel/drivers/net/net_failover", true},
	{"kernel/drivers/net/pcs/", true},
	{"kernel/drivers/net/phy/", true},
	{"kernel/drivers/net/usb/", true},
	{"kernel/drivers/net/virtio_net", true},
	{"kernel/drivers/net/vmxnet3/", true},
	{"kernel/drivers/net/xen-netfront", true},
	{"kernel/drivers/nvdimm/", true},
	{"kernel/drivers/nvme/", true},
	{"kernel/drivers/nvme/target/", false},
	{"kernel/drivers/pci/controller/", true},
	{"kernel/drivers/scsi/", true},
	{"kernel/drivers/scsi/scsi_debug", false},
	{"kernel/drivers/tty/serial/", true},
	{"kernel/drivers/ufs/", true},
	{"kernel/drivers/usb/common/", true},
	{"kernel/drivers/usb/core/", true},
	{"kernel/drivers/usb/host/", true},
	{"kernel/drivers/usb/storage/", true},
	{"kernel/drivers/virtio/", true},
	{"kernel/drivers/xen/", true},
	{"kernel/fs/btrfs/", true},
	{"kernel/fs/efivarfs/", true},
	{"kernel/fs/exfat/", true},
	{"kernel/fs/ext4/", true},
	{"kernel/fs/fat/", true},
	{"kernel/fs/isofs/", true},
	{"kernel/fs/jbd2/", true},
	{"kernel/fs/nls/", true},
	{"kernel/fs/ntfs3/", true},
	{"kernel/fs/udf/", true},
	{"kernel/fs/xfs/", true},
	{"kernel/net/8021q/", true},
};

bool modules_is_wanted(const char *file)
{
	size_t longest = 0;
	bool is_wanted = false;

	for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
		size_t length = strlen(choices[i].prefix);

		if (length <= longest || strncmp(file, choices[i].prefix, length))
			continue;
		longest = length;
		is_wanted = choices[i].is_wanted;
	}
	return is_wanted;
}

/* A line of modules.dep: the file, and the files it needs, direct and indirect. */
struct line {
	char *name; /* of the module, with '_' only */
	struct strv files; /* itself first */
	bool is_taken;
};

struct lines {
	struct line *lines; /* sorted by name */
	size_t count, capacity;
};

static char *name_of(const char *file)
{
	const char *slash = strrchr(file, '/');
	char *name = xstrdup(slash ? slash + 1 : file);
	char *dot = strchr(name, '.');

	if (dot)
		*dot = '\0';
	for (char *c = name; *c; c++)
		if (*c == '-')
			*c = '_';
	return name;
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->name, ((const struct line *)b)->name);
}

static void read_dep(const char *dep, struct lines *lines)
{
	CLEANUP_STRV struct strv rows = {0};

	strv_split(&rows, dep, "\n");
	for (size_t i = 0; i < rows.count; i++) {
		struct line line = {0};

		strv_split(&line.files, rows.items[i], ": ");
		if (!line.files.count)
			continue;
		line.name = name_of(line.files.items[0]);
		array_grow(lines->lines, lines->count, lines->capacity);
		lines->lines[lines->count++] = line;
	}
	if (lines->count)
		qsort(lines->lines, lines->count, sizeof *lines->lines, compare_lines);
}

static void lines_deinit(struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++) {
		free(lines->lines[i].name);
		strv_deinit(&lines->lines[i].files);
	}
	free(lines->lines);
}

/* NULL: unknown, or built in. */
static struct line *find_line(const struct lines *lines, const char *file_or_name)
{
	CLEANUP_FREE char *name = name_of(file_or_name);
	struct line key = {.name = name};

	if (!lines->count)
		return NULL;
	return bsearch(&key, lines->lines, lines->count, sizeof *lines->lines, compare_lines);
}

/* True if any of them is new. */
static bool take(const struct lines *lines, struct line *line)
{
	bool is_new = false;

	for (size_t i = 0; i < line->files.count; i++) {
		struct line *other = find_line(lines, line->files.items[i]);

		if (!other || other->is_taken)
			continue;
		other->is_taken = true;
		is_new = true;
	}
	return is_new;
}

/* "softdep NAME pre: A B post: C": all that are named go with NAME. */
static bool take_soft(const struct lines *lines, const struct strv *rows)
{
	bool is_new = false;

	for (size_t i = 0; i < rows->count; i++) {
		CLEANUP_STRV struct strv words = {0};
		struct line *line;

		strv_split(&words, rows->items[i], " \t");
		if (words.count < 3 || strcmp(words.items[0], "softdep"))
			continue;
		line = find_line(lines, words.items[1]);
		if (!line || !line->is_taken)
			continue;
		for (size_t k = 2; k < words.count; k++) {
			struct line *other = find_line(lines, words.items[k]);

			if (other && !str_ends_with(words.items[k], ":"))
				is_new |= take(lines, other);
		}
	}
	return is_new;
}

void modules_choose(const char *dep, const char *softdep, struct strv *files)
{
	CLEANUP(lines_deinit) struct lines lines = {0};
	CLEANUP_STRV struct strv rows = {0};

	read_dep(dep, &lines);
	strv_split(&rows, softdep, "\n");
	for (size_t i = 0; i < lines.count; i++)
		if (modules_is_wanted(lines.lines[i].files.items[0]))
			take(&lines, &lines.lines[i]);
	/* What comes by a soft dependency may have others. */
	while (take_soft(&lines, &rows))
		;
	for (size_t i = 0; i < lines.count; i++)
		if (lines.lines[i].is_taken)
			strv_add(files, lines.lines[i].files.items[0]);
	strv_sort(files);
}
