// SPDX-License-Identifier: GPL-3.0-or-later
/* What images are taken for, by content, whatever they are called; and making them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-vhdx.h"
#include "vhdx/image.h"

static void make_file(const char *path, uint64_t size_bytes, uint64_t offset, const void *bytes,
		      size_t len_bytes)
{
	struct blk *file;

	unlink(path);
	must(blk_file_open(path, BLK_FILE_CREATE, size_bytes, &file));
	must(blk_pwrite(file, bytes, len_bytes, offset, 0));
	must(blk_close(file));
}

#define BYTES(text) text, sizeof(text) - 1

static void test_signatures(void **state)
{
	static const struct {
		const char *bytes;
		size_t len_bytes;
		uint64_t offset;
		uint64_t size_bytes;
		enum image_format format;
	} cases[] = {
		{BYTES("vhdxfile"), 0, MIB, IMAGE_VHDX},
		{BYTES("vhdxfil_"), 0, MIB, IMAGE_RAW},
		{BYTES("conectix"), 0, MIB, IMAGE_VHD},
		{BYTES("conectix"), MIB - 512, MIB, IMAGE_VHD},
		{BYTES("conectix"), MIB - 511, MIB, IMAGE_VHD},
		{BYTES("conectix"), MIB - 510, MIB, IMAGE_RAW},
		{BYTES("conectix"), 512, MIB, IMAGE_RAW},
		{BYTES("QFI\xfb\0\0\0\2"), 0, MIB, IMAGE_QCOW2},
		{BYTES("QFI\xfb\0\0\0\3"), 0, MIB, IMAGE_QCOW2},
		{BYTES("KDMV"), 0, MIB, IMAGE_VMDK},
		{BYTES("COWD"), 0, MIB, IMAGE_VMDK},
		{BYTES("# Disk DescriptorFile\nversion=1\n"), 0, 400, IMAGE_VMDK},
		{BYTES("\x7f\x10\xda\xbe"), 64, MIB, IMAGE_VDI},
		{BYTES("\x55\xaa"), 510, MIB, IMAGE_RAW},
		{BYTES("x"), 0, 1, IMAGE_RAW},
		{BYTES("conectix"), 0, 8, IMAGE_VHD},
		{BYTES("vhdxfile"), 0, 8, IMAGE_VHDX},
		{BYTES("vhdx"), 0, 4, IMAGE_RAW},
	};
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "misleading.qcow2");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		enum image_format format = IMAGE_VDI + 1;

		make_file(path, cases[i].size_bytes, cases[i].offset, cases[i].bytes, cases[i].len_bytes);
		must(image_probe(path, &format));
		if (format != cases[i].format)
			fail_msg("case %zu is %d, not %d", i, format, cases[i].format);
	}
	test_dir_remove(dir);
}

static void test_refused_kinds(void **state)
{
	static const struct {
		const char *bytes;
		size_t len_bytes;
		const char *message;
	} cases[] = {
		{BYTES("QFI\xfb\0\0\0\1"), "does not read"},
		{BYTES("QED\0"), "does not read"},
		{BYTES("WithoutFreeSpace"), "does not read"},
		{BYTES("EVF\x09\x0d\x0a\xff\0"), "does not read"},
		{BYTES("\x1f\x8b\x08"), "compressed"},
		{BYTES("\3757zXZ\0"), "compressed"},
		{BYTES("\x28\xb5\x2f\xfd"), "compressed"},
		{BYTES("PK\3\4"), "compressed"},
	};
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "disk.raw");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		enum image_format format;
		struct err *err;

		make_file(path, MIB, 0, cases[i].bytes, cases[i].len_bytes);
		err = image_probe(path, &format);
		must_refuse(err, cases[i].message);
	}
	test_dir_remove(dir);
}

static void assert_refused(const char *path, const char *message)
{
	enum image_format format;
	struct blk *blk = NULL;
	struct err *err = image_probe(path, &format);

	if (err)
		assert_non_null(strstr(err_message(err), path));
	must_refuse(err, message);
	must_fail(image_open(path, NULL, NULL, &blk), ERR_REFUSED);
	assert_null(blk);
}

/* A pipe must not make us wait, and what cannot be read says why. */
static void test_no_disk_at_all(void **state)
{
	char *dir = test_dir_make();
	CLEANUP_FREE char *empty = test_path(dir, "empty");
	CLEANUP_FREE char *none = test_path(dir, "none");
	CLEANUP_FREE char *pipe = test_path(dir, "pipe");
	CLEANUP_FREE char *under_a_file = test_path(dir, "empty/disk");
	struct blk *file;

	(void)state;
	must(blk_file_open(empty, BLK_FILE_CREATE, 0, &file));
	must(blk_close(file));
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_refused(empty, "is empty");
	assert_refused(dir, "is a folder");
	assert_refused(none, "No such file");
	assert_refused(pipe, "neither a file nor a block device");
	assert_refused("/dev/null", "neither a file nor a block device");
	assert_refused(under_a_file, "Not a directory");
	test_dir_remove(dir);
}

static void assert_refused_foreign(const char *path, const char *name)
{
	struct blk *blk = NULL;
	struct err *err = image_open(path, NULL, NULL, &blk);

	must_refuse(err, name);
	assert_null(blk);
}

/* QEMU makes one of each kind; those that are ours open, the others say what they are. */
static void test_qemu_made(void **state)
{
	static const struct {
		const char *name, *options;
		enum image_format format;
		bool ours;
	} cases[] = {
		{"raw", NULL, IMAGE_RAW, true},
		{"vpc", "subformat=dynamic", IMAGE_VHD, true},
		{"vpc", "subformat=fixed", IMAGE_VHD, true},
		{"vhdx", "subformat=dynamic", IMAGE_VHDX, true},
		{"vhdx", "subformat=fixed", IMAGE_VHDX, true},
		{"qcow2", NULL, IMAGE_QCOW2, false},
		{"qcow2", "compat=0.10", IMAGE_QCOW2, false},
		{"vmdk", NULL, IMAGE_VMDK, false},
		{"vmdk", "subformat=streamOptimized", IMAGE_VMDK, false},
		{"vmdk", "subformat=monolithicFlat", IMAGE_VMDK, false},
		{"vmdk", "subformat=twoGbMaxExtentSparse", IMAGE_VMDK, false},
		{"vdi", NULL, IMAGE_VDI, false},
	};
	char *dir = test_dir_make();
	CLEANUP_FREE char *source = test_path(dir, "source");

	(void)state;
	make_file(source, 2 * MIB, MIB, BYTES("hello"));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP_FREE char *path = xasprintf("%s/made%zu", dir, i);
		CLEANUP_BLK struct blk *blk = NULL;
		enum image_format format;
		char got[5];

		free(cases[i].options
			     ? RUN("qemu-img", "convert", "-f", "raw", "-O", cases[i].name, "-o",
				   cases[i].options, source, path)
			     : RUN("qemu-img", "convert", "-f", "raw", "-O", cases[i].name, source, path));
		must(image_probe(path, &format));
		assert_int_equal(format, cases[i].format);
		if (!cases[i].ours) {
			assert_refused_foreign(path, image_format_name(format));
			continue;
		}
		must(image_open(path, NULL, &format, &blk));
		assert_int_equal(format, cases[i].format);
		assert_true(blk->flags & BLK_READ_ONLY);
		must(blk_pread(blk, got, sizeof got, MIB));
		assert_memory_equal(got, "hello", sizeof got);
	}
	test_dir_remove(dir);
}

/* A block device is raw, whatever it holds.  Needs root and a loop device. */
static void test_block_device(void **state)
{
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "disk");
	const char *const argv[] = {"losetup", "--find", "--show", path, NULL};
	CLEANUP_RUN_RESULT struct run_result result = {0};
	enum image_format format = IMAGE_VDI;
	CLEANUP_BLK struct blk *blk = NULL;
	struct err *err;

	(void)state;
	make_file(path, MIB, 0, BYTES("vhdxfile"));
	err = run_argv(argv, NULL, &result);
	if (err) {
		print_message("  skipped: no loop device: %s\n", err_message(err));
		err_free(err);
		test_dir_remove(dir);
		skip();
	}
	result.out[strcspn(result.out, "\n")] = '\0';
	err = image_probe(result.out, &format);
	if (!err)
		err = image_open(result.out, NULL, NULL, &blk);
	if (blk) {
		assert_int_equal(blk->size_bytes, MIB);
		assert_true(blk->flags & BLK_READ_ONLY);
		must(blk_close(take_ptr(blk)));
	}
	free(RUN("losetup", "--detach", result.out));
	must(err);
	assert_int_equal(format, IMAGE_RAW);
	test_dir_remove(dir);
}

static void test_uri(void **state)
{
	static const char *const args[] = {"memory", "1M", NULL};
	char *dir = test_dir_make();
	struct nbd_server *server;
	enum image_format format = IMAGE_VDI;
	struct blk *blk;

	(void)state;
	assert_true(image_is_uri("nbd://host"));
	assert_true(image_is_uri("nbds+unix:///?socket=/x"));
	assert_false(image_is_uri("nbd.img"));
	assert_false(image_is_uri("/nbd://x"));
	assert_false(image_is_uri("http://x"));
	must(nbd_server_start(dir, args, &server));
	must(image_probe(nbd_server_uri(server), &format));
	assert_int_equal(format, IMAGE_RAW);
	must(image_open(nbd_server_uri(server), NULL, &format, &blk));
	assert_int_equal(blk->size_bytes, MIB);
	must(blk_close(blk));
	nbd_server_stop(server);
	test_dir_remove(dir);
}

/* Every kind that can be made: its size as it must be rounded, empty, writable, whole once finished. */
static void test_create(void **state)
{
	static const struct {
		struct image_create_options options;
		uint64_t size_bytes;
	} cases[] = {
		{{.format = IMAGE_RAW, .size_bytes = 1000}, 1000},
		{{.format = IMAGE_RAW, .size_bytes = MIB, .fixed = true}, MIB},
		{{.format = IMAGE_VHD, .size_bytes = MIB + 1}, MIB + 512},
		{{.format = IMAGE_VHD, .size_bytes = MIB, .fixed = true}, MIB},
		{{.format = IMAGE_VHD, .size_bytes = MIB, .block_bytes = 512 << 10}, MIB},
		{{.format = IMAGE_VHDX, .size_bytes = MIB + 1}, MIB + 512},
		{{.format = IMAGE_VHDX, .size_bytes = MIB, .fixed = true}, MIB},
		{{.format = IMAGE_VHDX, .size_bytes = MIB + 1, .logical_sector_bytes = 4096}, MIB + 4096},
		{{.format = IMAGE_VHDX, .size_bytes = MIB, .block_bytes = 32 << 20}, MIB},
	};
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "made");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		enum image_format format;
		struct blk *blk = NULL;
		struct stat st;
		char got[2] = {1, 1};

		must(image_create(path, &cases[i].options, NULL, &blk));
		assert_int_equal(blk->size_bytes, cases[i].size_bytes);
		must(blk_pwrite(blk, "x", 1, 500, 0));
		must(image_finish(blk, cases[i].options.format));
		must(blk_close(blk));
		must(image_open(path, NULL, &format, &blk));
		assert_int_equal(format, cases[i].options.format);
		assert_int_equal(blk->size_bytes, cases[i].size_bytes);
		must(blk_pread(blk, got, 2, 500));
		assert_memory_equal(got, "x", 2);
		must(blk_close(blk));
		assert_int_equal(stat(path, &st), 0);
		if (cases[i].options.fixed)
			assert_true((uint64_t)st.st_blocks * 512 >= MIB);
		must_fail(image_create(path, &cases[i].options, NULL, &blk), 0);
		assert_int_equal(unlink(path), 0);
	}
	test_dir_remove(dir);
}

static void test_create_refusals(void **state)
{
	static const struct image_create_options cases[] = {
		{.format = IMAGE_VHD, .size_bytes = MIB, .logical_sector_bytes = 4096},
		{.format = IMAGE_VHD, .size_bytes = 3ull << 40},
		{.format = IMAGE_VHDX, .size_bytes = 65ull << 40},
		{.format = IMAGE_VHDX, .size_bytes = UINT64_MAX},
		{.format = IMAGE_VHDX, .size_bytes = MIB, .block_bytes = 3 << 20},
		{.format = IMAGE_QCOW2, .size_bytes = MIB},
	};
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "made");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct blk *blk = NULL;

		must_fail(image_create(path, &cases[i], NULL, &blk), ERR_REFUSED);
		assert_null(blk);
		assert_int_equal(access(path, F_OK), -1);
	}
	test_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signatures),     cmocka_unit_test(test_refused_kinds),
		cmocka_unit_test(test_no_disk_at_all), cmocka_unit_test(test_qemu_made),
		cmocka_unit_test(test_block_device),   cmocka_unit_test(test_uri),
		cmocka_unit_test(test_create),	       cmocka_unit_test(test_create_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
