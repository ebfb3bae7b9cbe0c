// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * make-seeds DIR [IMAGE...]: writes the inputs that fuzzing starts from: to
 * DIR/wire, DIR/receiver and DIR/sender what sync says; to DIR/vhdx and DIR/vhd images made by our own
 * writer, in the states that matter, and the structures of the images named, if any; to DIR/disk the images
 * named *.disk.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"
#include "tests/fuzz/lib-fuzz-image.h"
#include "tests/fuzz/lib-fuzz-sync.h"
#include "vhdx/vhd.h"
#include "vhdx/vhdx.h"

#define MIB (1ull << 20)
#define STRUCTURES_BYTES (4 * MIB) /* what lies behind is payload, in files of ours and of Windows */

static void must(struct err *err)
{
	if (!err)
		return;
	fprintf(stderr, "make-seeds: %s\n", err_message(err));
	exit(1);
}

struct seed {
	const char *dir, *format, *name;
	uint64_t limit_bytes; /* what lies behind is left out */
};

/* Operations for the targets that take some: a few of each kind, the same every time. */
static bool put_operations(FILE *to)
{
	uint32_t state = 1;

	for (unsigned i = 0; i < 160; i++) {
		state = state * 1103515245 + 12345;
		if (fputc((int)(state >> 16 & 0xff), to) == EOF)
			return false;
	}
	return true;
}

/* The file as it is now, once for each way in which targets may treat it. */
static void put(const struct seed *seed, struct blk *file)
{
	static const unsigned ways[] = {FUZZ_FIX_CHECKSUMS, FUZZ_TARGET_FLAG(0), FUZZ_TARGET_FLAG(1)};

	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		CLEANUP_FREE char *path = xasprintf("%s/%s/%s-%zu", seed->dir, seed->format, seed->name, i);
		FILE *to = fopen(path, "wbx");
		bool fine =
			to && fuzz_image_encode(file, STRUCTURES_BYTES, ways[i], to) && put_operations(to);

		if (!fine || fclose(to)) {
			fprintf(stderr, "make-seeds: %s: %s\n", path, strerror(errno));
			exit(1);
		}
	}
}

static struct blk *created(const struct vhdx_create_options *options, struct blk **ret_file)
{
	struct blk *vhdx;

	must(blk_mem_create(0, ret_file));
	must(vhdx_create_on(*ret_file, options, NULL, &vhdx));
	return vhdx;
}

static void write_number(struct blk *blk, uint64_t number, uint64_t offset)
{
	must(blk_pwrite(blk, &number, sizeof number, offset, 0));
}

/* Under construction, with and without content. */
static void seed_incomplete(const char *dir, const struct vhdx_create_options *options)
{
	struct blk *file, *vhdx = created(options, &file);

	put(&(struct seed){dir, "vhdx", "new", STRUCTURES_BYTES}, file);
	write_number(vhdx, 1, MIB + 512);
	must(blk_flush(vhdx));
	put(&(struct seed){dir, "vhdx", "incomplete", STRUCTURES_BYTES}, file);
	must(blk_close(vhdx));
}

/* Finished, then changed: a log with one entry, and one that has wrapped. */
static void seed_logs(const char *dir, const struct vhdx_create_options *options, const char *prefix)
{
	CLEANUP_FREE char *finished = xasprintf("%s-finished", prefix);
	CLEANUP_FREE char *dirty = xasprintf("%s-dirty", prefix);
	CLEANUP_FREE char *wrapped = xasprintf("%s-wrapped", prefix);
	struct blk *file, *vhdx = created(options, &file);

	write_number(vhdx, 1, 0);
	must(vhdx_finish(vhdx));
	put(&(struct seed){dir, "vhdx", finished, STRUCTURES_BYTES}, file);
	write_number(vhdx, 2, MIB);
	must(blk_zero(vhdx, MIB, 0, BLK_MAY_TRIM));
	must(blk_flush(vhdx));
	put(&(struct seed){dir, "vhdx", dirty, STRUCTURES_BYTES}, file);
	for (uint64_t i = 0; i < 130; i++) {
		must(blk_discard(vhdx, options->size_bytes, 0));
		write_number(vhdx, i, i % 2 * MIB);
		must(blk_flush(vhdx));
	}
	put(&(struct seed){dir, "vhdx", wrapped, STRUCTURES_BYTES}, file);
	must(blk_close(vhdx));
}

/* A differencing file with all kinds of blocks, and a log that says more. */
static void seed_child(const char *dir, const struct vhdx_create_options *parent_options)
{
	struct vhdx_create_options options = {.block_bytes = MIB};
	struct blk *parent_file, *file, *child;

	options.parent = created(parent_options, &parent_file);
	write_number(options.parent, 1, 0);
	must(vhdx_finish(options.parent));
	child = created(&options, &file);
	write_number(child, 2, 4096);
	must(blk_zero(child, MIB, MIB, BLK_MAY_TRIM));
	must(vhdx_finish(child));
	put(&(struct seed){dir, "vhdx", "child-finished", 2 * STRUCTURES_BYTES}, file);
	write_number(child, 3, MIB + 512);
	write_number(child, 4, 2 * MIB);
	must(blk_flush(child));
	put(&(struct seed){dir, "vhdx", "child-dirty", 2 * STRUCTURES_BYTES}, file);
	must(blk_close(child));
}

/* Dynamic in half of the blocks, or fixed. */
static void seed_vhd(const char *dir, unsigned flags, const char *name)
{
	struct vhd_create_options options = {
		.size_bytes = 3 * MIB + 512, .block_bytes = 512 << 10, .flags = flags};
	struct blk *file, *vhd;

	must(blk_mem_create(0, &file));
	must(vhd_create_on(file, &options, NULL, &vhd));
	for (uint64_t offset = 0; offset < options.size_bytes; offset += MIB)
		write_number(vhd, offset, offset);
	must(blk_flush(vhd));
	put(&(struct seed){dir, "vhd", name, STRUCTURES_BYTES}, file);
	must(blk_close(vhd));
}

/* By its name: structures of a VHD or VHDX, all of a disk. */
static void seed_image(const char *dir, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct seed seed = {dir, "vhdx", name, STRUCTURES_BYTES};
	struct blk *file;

	if (str_ends_with(name, ".vhd"))
		seed.format = "vhd";
	must(blk_file_open(path, 0, 0, &file));
	if (str_ends_with(name, ".disk")) {
		seed.format = "disk";
		seed.limit_bytes = file->size_bytes;
	}
	put(&seed, file);
	must(blk_close(file));
}

static void make_folder(const char *dir, const char *name)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);

	if (mkdir(path, 0777) && errno != EEXIST) {
		fprintf(stderr, "make-seeds: %s: %s\n", path, strerror(errno));
		exit(1);
	}
}

int main(int argc, char **argv)
{
	static const struct vhdx_create_options small = {.size_bytes = 3 * MIB + 1536, .block_bytes = MIB};
	static const struct vhdx_create_options native = {
		.size_bytes = 3 * MIB, .block_bytes = MIB, .logical_sector_bytes = 4096};
	static const struct vhdx_create_options fixed = {
		.size_bytes = 2 * MIB, .block_bytes = MIB, .flags = VHDX_FIXED};
	static const struct vhdx_create_options chunks = {.size_bytes = 9ull << 30, .block_bytes = MIB};

	if (argc < 2) {
		fprintf(stderr, "usage: make-seeds DIR [IMAGE...]\n");
		return 2;
	}
	make_folder(argv[1], "vhdx");
	make_folder(argv[1], "vhd");
	make_folder(argv[1], "disk");
	seed_incomplete(argv[1], &small);
	seed_logs(argv[1], &small, "small");
	seed_logs(argv[1], &native, "native");
	seed_logs(argv[1], &fixed, "fixed");
	seed_logs(argv[1], &chunks, "chunks");
	seed_child(argv[1], &small);
	seed_vhd(argv[1], 0, "dynamic");
	seed_vhd(argv[1], VHD_CREATE_FIXED, "fixed");
	if (!fuzz_sync_seeds(argv[1])) {
		fprintf(stderr, "make-seeds: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	for (int i = 2; i < argc; i++)
		seed_image(argv[1], argv[i]);
	return 0;
}
