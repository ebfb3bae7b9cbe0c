/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The copy that `p2v convert` makes, before anything in it is changed, is the
 * source: an empty VHDX with the incomplete marker, served by nbdkit with our
 * plugin over the source, filled by cache requests while somebody reads, and
 * finished.
 *
 *	test-guest-fill SOURCE VHDX		copies a disk so, for scripts
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/base/blk.h"
#include "p2v/base/mem.h"
#include "p2v/base/remove-tree.h"
#include "p2v/guest/fill.h"
#include "p2v/guest/serve.h"
#include "tests/base/lib-must.h"
#include "tests/guest/lib-disk.h"
#include "tests/guest/lib-tree.h"
#include "vhdx/compare.h"
#include "vhdx/image.h"
#include "vhdx/vhdx.h"

#define MIB (1ull << 20)

static struct err *finish(const char *vhdx)
{
	struct blk *blk = NULL;
	struct err *err;

	TRY(vhdx_open(vhdx, VHDX_OPEN_WRITE | VHDX_OPEN_INCOMPLETE, NULL, &blk));
	err = vhdx_finish(blk);
	return err_first(err, blk_close(blk));
}

/* Reads here and there, as the appliance does while the copy goes on. */
static struct err *read_meanwhile(const char *uri)
{
	CLEANUP_BLK struct blk *blk = NULL;
	char data[4096];

	TRY(blk_nbd_open(uri, 0, &blk));
	for (uint64_t at = 0; at + sizeof data <= blk->size_bytes; at += blk->size_bytes / 16 + 1)
		TRY(blk_pread(blk, data, sizeof data, at));
	return NULL;
}

static struct err *fill_served(const char *uri, const struct extents *data)
{
	CLEANUP_FILL struct fill *fill = NULL;

	TRY(fill_start(uri, data, NULL, &fill));
	TRY(read_meanwhile(uri));
	return fill_finish(take_ptr(fill));
}

/* source: a path or an NBD URI. */
static struct err *copy_disk(const char *source, const char *vhdx, const char *scratch_dir)
{
	struct serve_options options = {.file = vhdx, .fill_from = source, .scratch_dir = scratch_dir};
	CLEANUP_EXTENTS struct extents data = {0};
	CLEANUP_BLK struct blk *blk = NULL;
	struct vhdx_create_options create = {0};
	struct blk *target = NULL;
	struct server *server = NULL;
	struct err *err;

	TRY(image_open(source, NULL, NULL, &blk));
	TRY(blk_data_extents(blk, blk->size_bytes, 0, &data));
	create.size_bytes = blk->size_bytes;
	create.logical_sector_bytes = blk->logical_sector_bytes;
	TRY(vhdx_create(vhdx, &create, NULL, &target));
	TRY(blk_close(target));
	TRY(serve_vhdx(&options, &server));
	err = fill_served(server_uri(server), &data);
	TRY(err_first(err, server_stop(server)));
	return finish(vhdx);
}

/* Data that never repeats, at the start, across MiB boundaries, and in the last sector; zeros written out,
 * and holes. */
static char *make_disk(const struct tree *tree, const char *name, uint64_t size_bytes)
{
	static const struct {
		uint64_t start, bytes;
	} runs[] = {{0, 70000}, {MIB - 512, MIB + 1024}, {17 * MIB, 9 * MIB + 512}, {40 * MIB, 1}};
	char *path = disk_create(tree, name, 1);
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	CLEANUP_FREE char *zeros = xcalloc(1, 3 * MIB);
	uint64_t value = 1;

	assert_int_equal(ftruncate(fd, (off_t)size_bytes), 0);
	for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
		CLEANUP_FREE uint64_t *data = xcalloc(1, runs[i].bytes + 8);

		for (uint64_t k = 0; k < runs[i].bytes; k += 8)
			data[k / 8] = value *= 6364136223846793005u;
		assert_int_equal(pwrite(fd, data, runs[i].bytes, (off_t)runs[i].start), runs[i].bytes);
	}
	assert_int_equal(pwrite(fd, zeros, 3 * MIB, 30 * MIB), 3 * MIB);
	assert_int_equal(pwrite(fd, "last", 4, (off_t)(size_bytes - 4)), 4);
	return path;
}

static void expect_same(const char *source, const char *vhdx)
{
	struct image_difference difference = {0};
	struct vhdx_check_result check = {0};
	CLEANUP_BLK struct blk *a = NULL;
	CLEANUP_BLK struct blk *b = NULL;

	must(image_open(source, NULL, NULL, &a));
	must(image_open(vhdx, NULL, NULL, &b));
	assert_int_equal(a->size_bytes, b->size_bytes);
	must(image_compare(a, b, NULL, &difference));
	assert_false(difference.found);
	must(vhdx_check(vhdx, NULL, NULL, &check));
	assert_int_equal(check.errors, 0);
}

static void copy_equals_source(void **state)
{
	/* Whole blocks and not. */
	static const uint64_t sizes[] = {64 * MIB, 41 * MIB + 512, 57 * MIB + 3 * 512};
	CLEANUP_TREE struct tree *tree = tree_create(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		CLEANUP_FREE char *name = xasprintf("disk%zu", i);
		CLEANUP_FREE char *source = make_disk(tree, name, sizes[i]);
		CLEANUP_FREE char *vhdx = xasprintf("%s.vhdx", source);

		must(copy_disk(source, vhdx, tree->root));
		expect_same(source, vhdx);
	}
}

/* A source that p2v does not read itself. */
static void copy_of_qcow2_equals_source(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(NULL);
	CLEANUP_FREE char *source = make_disk(tree, "disk", 48 * MIB);
	CLEANUP_FREE char *qcow2 = xasprintf("%s.qcow2", source);
	CLEANUP_FREE char *vhdx = xasprintf("%s.vhdx", source);
	const char *argv[] = {"qemu-img", "convert", "-O", "qcow2", source, qcow2, NULL};
	struct server *server = NULL;

	(void)state;
	run_tool(argv);
	must(serve_foreign(qcow2, "qcow2", tree->root, NULL, &server));
	must(copy_disk(server_uri(server), vhdx, tree->root));
	must(server_stop(server));
	expect_same(source, vhdx);
}

/* The negative control: what was written meanwhile makes a difference, and is found. */
static void change_is_found(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(NULL);
	CLEANUP_FREE char *source = make_disk(tree, "disk", 48 * MIB);
	CLEANUP_FREE char *vhdx = xasprintf("%s.vhdx", source);
	CLEANUP_BLK struct blk *a = NULL;
	CLEANUP_BLK struct blk *b = NULL;
	struct image_difference difference = {0};
	int fd;

	(void)state;
	must(copy_disk(source, vhdx, tree->root));
	fd = open(source, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 18 * MIB), 1);
	close(fd);
	must(image_open(source, NULL, NULL, &a));
	must(image_open(vhdx, NULL, NULL, &b));
	must(image_compare(a, b, NULL, &difference));
	assert_true(difference.found);
	assert_int_equal(difference.offset, 18 * MIB);
}

static int copy_for_script(const char *source, const char *vhdx)
{
	char folder[] = "/tmp/p2v-fill.XXXXXX";
	CLEANUP_ERR struct err *err = NULL;

	if (!mkdtemp(folder))
		return 1;
	err = copy_disk(source, vhdx, folder);
	if (err)
		fprintf(stderr, "%s\n", err_message(err));
	(void)remove_tree(folder);
	return err ? 1 : 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copy_equals_source),
		cmocka_unit_test(copy_of_qcow2_equals_source),
		cmocka_unit_test(change_is_found),
	};

	if (argc == 3)
		return copy_for_script(argv[1], argv[2]);
	if (!PLUGIN_CAN_BE_SERVED)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
