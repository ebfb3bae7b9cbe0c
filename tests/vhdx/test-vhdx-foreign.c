// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Against the other readers and writers there are: QEMU both ways, libvhdi as a
 * reader.  The reference is always a raw file that was written alike.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-rng.h"
#include "tests/vhdx/lib-vhdx.h"

struct pair {
	char *dir;
	char *vhdx_path, *raw_path;
	struct blk *vhdx, *raw;
};

static void pair_open(struct pair *p, const struct vhdx_create_options *options)
{
	p->dir = test_dir_make();
	p->vhdx_path = test_path(p->dir, "disk.vhdx");
	p->raw_path = test_path(p->dir, "disk.raw");
	must(blk_file_open(p->raw_path, BLK_FILE_CREATE, options->size_bytes, &p->raw));
	must(vhdx_create(p->vhdx_path, options, NULL, &p->vhdx));
}

static void pair_close(struct pair *p)
{
	must(blk_close(p->raw));
	free(p->vhdx_path);
	free(p->raw_path);
	test_dir_remove(p->dir);
}

static void write_pair(struct pair *p, struct rng *rng, uint64_t len_bytes, uint64_t offset)
{
	CLEANUP_FREE uint8_t *buf = xmalloc(len_bytes);

	rng_fill(rng, buf, len_bytes);
	must(blk_pwrite(p->vhdx, buf, len_bytes, offset, 0));
	must(blk_pwrite(p->raw, buf, len_bytes, offset, 0));
}

/* Data at both ends and around the borders of blocks and chunks; some of it taken back. */
static void change_pair(struct pair *p, struct rng *rng)
{
	uint64_t size = p->vhdx->size_bytes, block = p->vhdx->preferred_bytes;
	uint64_t borders[] = {0, block, 4 * GIB, 8 * GIB, size / 2, size};

	for (size_t i = 0; i < COUNT_OF(borders); i++) {
		uint64_t len = 1 + rng_below(rng, 200000);
		uint64_t start = borders[i] < len / 2 ? 0 : borders[i] - len / 2;

		if (start + len <= size)
			write_pair(p, rng, len, start);
	}
	if (size > 2 * block) {
		must(blk_discard(p->vhdx, block, block));
		must(blk_zero(p->raw, block, block, 0));
	}
	must(blk_zero(p->vhdx, 5000, 3000, BLK_MAY_TRIM));
	must(blk_zero(p->raw, 5000, 3000, 0));
	write_pair(p, rng, 70000, size - 70000);
}

/* QEMU's reading of a part of a VHDX equals the raw file's. */
static void qemu_reads(const char *dir, const char *vhdx_path, struct blk *raw, uint64_t start_mib,
		       uint64_t count_mib)
{
	CLEANUP_FREE char *part_path = test_path(dir, "part.raw");
	CLEANUP_FREE char *input = xasprintf("if=%s", vhdx_path);
	CLEANUP_FREE char *output = xasprintf("of=%s", part_path);
	CLEANUP_FREE char *skip = xasprintf("skip=%llu", (unsigned long long)start_mib);
	CLEANUP_FREE char *count = xasprintf("count=%llu", (unsigned long long)(start_mib + count_mib));
	CLEANUP_FREE uint8_t *expected = xmalloc(MIB);
	CLEANUP_FREE uint8_t *got = xmalloc(MIB);
	CLEANUP_BLK struct blk *part = NULL;

	free(RUN("qemu-img", "dd", "-f", "vhdx", "-O", "raw", "bs=1M", skip, count, input, output));
	must(blk_file_open(part_path, 0, 0, &part));
	for (uint64_t i = 0; i < count_mib && (start_mib + i) * MIB < raw->size_bytes; i++) {
		uint64_t left = raw->size_bytes - (start_mib + i) * MIB;
		size_t bytes = left < MIB ? left : MIB;

		must(blk_pread(part, got, bytes, i * MIB));
		must(blk_pread(raw, expected, bytes, (start_mib + i) * MIB));
		assert_memory_equal(got, expected, bytes);
	}
	unlink(part_path);
}

/* QEMU cannot tell where a VHDX has holes: of a large one, it reads what matters. */
static void qemu_compares(const char *dir, const char *vhdx_path, const char *raw_path, struct blk *raw)
{
	uint64_t size_mib = raw->size_bytes / MIB;

	free(RUN("qemu-img", "check", "-q", "-f", "vhdx", vhdx_path));
	if (size_mib < 1024) {
		free(RUN("qemu-img", "compare", "-q", "-f", "raw", "-F", "vhdx", raw_path, vhdx_path));
		return;
	}
	qemu_reads(dir, vhdx_path, raw, 0, 40);
	qemu_reads(dir, vhdx_path, raw, 4090, 20);
	qemu_reads(dir, vhdx_path, raw, size_mib / 2 - 2, 4);
	qemu_reads(dir, vhdx_path, raw, size_mib - 5, 6);
}

static void libvhdi_compares(const struct pair *p, bool *mount_works)
{
	CLEANUP_FREE char *mount = test_path(p->dir, "mount");
	CLEANUP_FREE char *image = test_path(mount, "vhdi1");
	CLEANUP_FREE char *info = RUN("vhdiinfo", p->vhdx_path);
	const char *argv[] = {"vhdimount", p->vhdx_path, mount, NULL};
	struct run_options options = {.time_limit_ns = 20ull * 1000000000};

	assert_non_null(strstr(info, "VHDX (version 2)"));
	assert_int_equal(mkdir(mount, 0700), 0);
	if (*mount_works) {
		struct err *err = run_argv(argv, &options, NULL);

		*mount_works = !err;
		err_free(err);
	}
	if (!*mount_works)
		return;
	free(RUN("cmp", p->raw_path, image));
	free(RUN("fusermount", "-u", mount));
}

static void test_ours(void **state)
{
	static const struct vhdx_create_options shapes[] = {
		{.size_bytes = 40 * MIB + 512, .block_bytes = 1 << 20},
		{.size_bytes = 30 * MIB},
		{.size_bytes = 4 * GIB + 40 * MIB, .block_bytes = 32 << 20},
		{.size_bytes = 300 * MIB, .block_bytes = 256 << 20, .physical_sector_bytes = 512},
		{.size_bytes = 9 * GIB + 1024, .block_bytes = 1 << 20},
		{.size_bytes = 30 * MIB + 1024, .flags = VHDX_FIXED},
		{.size_bytes = 30 * MIB + 4096, .logical_sector_bytes = 4096},
	};
	bool mount_works = true;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(shapes); i++) {
		struct rng rng = {i};
		struct pair p;

		pair_open(&p, &shapes[i]);
		change_pair(&p, &rng);
		must(vhdx_finish(p.vhdx));
		change_pair(&p, &rng);
		must(blk_close(p.vhdx));
		/* QEMU 7.2 does not open files with sectors of 4096 bytes. */
		if (shapes[i].logical_sector_bytes != 4096)
			qemu_compares(p.dir, p.vhdx_path, p.raw_path, p.raw);
		/* Reading 4 GiB of zeros through FUSE and comparing them takes too long. */
		if (shapes[i].size_bytes < GIB)
			libvhdi_compares(&p, &mount_works);
		pair_close(&p);
	}
	if (!mount_works)
		print_message("  skipped: vhdimount does not work here (FUSE?)\n");
}

/* QEMU replays our log, and finds in it what was flushed. */
static void test_our_log(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = 5 * GIB, .block_bytes = 1 << 20};
	CLEANUP_FREE char *copy = NULL;
	struct rng rng = {5};
	struct pair p;

	(void)state;
	pair_open(&p, &options);
	must(vhdx_finish(p.vhdx));
	copy = test_path(p.dir, "copy.vhdx");
	for (unsigned i = 0; i < 3; i++) {
		struct blk *vhdx;
		struct vhdx_info info;

		change_pair(&p, &rng);
		must(blk_flush(p.vhdx));
		free(RUN("cp", "--sparse=always", p.vhdx_path, copy));
		must(vhdx_open(copy, 0, NULL, &vhdx));
		must(vhdx_get_info(vhdx, &info));
		assert_int_equal(info.log.replayed_entries, 1);
		vhdx_info_deinit(&info);
		must(blk_close(vhdx));
		free(RUN("qemu-img", "check", "-q", "-r", "all", copy));
		qemu_compares(p.dir, copy, p.raw_path, p.raw);
	}
	must(blk_close(p.vhdx));
	pair_close(&p);
}

static void qemu_io(const char *format, const char *path, const char *const *commands)
{
	const char *argv[32] = {"qemu-io", "-f", format};
	size_t count = 3;

	for (; *commands; commands++) {
		argv[count++] = "-c";
		argv[count++] = *commands;
	}
	argv[count++] = path;
	free(run_ok(argv));
}

static const char *const qemu_commands[] = {
	"write -P 0x11 0 64k",
	"write -P 0x22 1M 3M",
	"write -P 0x33 4095M 2M",
	"write -z 2M 512k",
	"write -P 0x44 4607M 512k",
	"write -P 0x55 100M 1536",
	"flush",
	NULL,
};

/* QEMU's files read as QEMU says, and stay right when we change them. */
static void check_qemu_file(const char *dir, const char *qemu_options)
{
	CLEANUP_FREE char *path = test_path(dir, "qemu.vhdx");
	CLEANUP_FREE char *raw_path = test_path(dir, "qemu.raw");
	CLEANUP_BLK struct blk *raw = NULL;
	CLEANUP_BLK struct blk *file = NULL;
	struct blk *vhdx;
	uint8_t data[5000];

	memset(data, 0x66, sizeof data);
	free(RUN("qemu-img", "create", "-q", "-f", "vhdx", "-o", qemu_options, path, "4608M"));
	qemu_io("vhdx", path, qemu_commands);
	free(RUN("qemu-img", "create", "-q", "-f", "raw", raw_path, "4608M"));
	qemu_io("raw", raw_path, qemu_commands);
	must(blk_file_open(raw_path, BLK_FILE_WRITE, 0, &raw));
	must(blk_file_open(path, 0, 0, &file));
	assert_no_errors_in(file);
	must(vhdx_open(path, VHDX_OPEN_WRITE, NULL, &vhdx));
	assert_int_equal(vhdx->size_bytes, 4608 * MIB);
	assert_same_range(vhdx, raw, 110 * MIB, 0);
	assert_same_range(vhdx, raw, 600 * MIB, 4008 * MIB);
	must(blk_pwrite(vhdx, data, sizeof data, 3 * MIB - 100, 0));
	must(blk_pwrite(raw, data, sizeof data, 3 * MIB - 100, 0));
	must(blk_pwrite(vhdx, data, sizeof data, 2000 * MIB, 0));
	must(blk_pwrite(raw, data, sizeof data, 2000 * MIB, 0));
	must(blk_close(vhdx));
	qemu_compares(dir, path, raw_path, raw);
}

static void test_qemu(void **state)
{
	static const char *const options[] = {
		"subformat=dynamic,block_size=1M",
		"subformat=dynamic,block_size=16M,log_size=2M",
		"subformat=dynamic,block_size=8M,block_state_zero=off",
		"subformat=fixed,block_size=256M",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		char *dir = test_dir_make();

		check_qemu_file(dir, options[i]);
		test_dir_remove(dir);
	}
}

/* Nobody takes a file for complete that is not. */
static void test_incomplete(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = 20 * MIB};
	struct run_options run_options = {.time_limit_ns = 60ull * 1000000000};
	struct pair p;

	(void)state;
	pair_open(&p, &options);
	must(blk_close(p.vhdx));
	{
		const char *argv[] = {"qemu-img", "info", p.vhdx_path, NULL};

		must_fail(run_argv(argv, &run_options, NULL), ERR_FAILED);
	}
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ours),
		cmocka_unit_test(test_our_log),
		cmocka_unit_test(test_qemu),
		cmocka_unit_test(test_incomplete),
	};

	if (!run_is_installed("qemu-img") || !run_is_installed("qemu-io") || !run_is_installed("vhdiinfo")) {
		print_message("qemu-img, qemu-io and vhdiinfo are needed (qemu-utils, libvhdi-utils)\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
