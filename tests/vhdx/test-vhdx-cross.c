// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The same random requests, and what each reader makes of the result: files that
 * we write are read by QEMU, libvhdi and us, files that QEMU writes by us, and
 * again by QEMU after we have changed them.  Sizes, block sizes, sectors and kinds
 * of file are by chance too.  $P2V_CROSS_SEEDS such lives are tried (default 6).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libvhdi.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-rng.h"
#include "tests/vhdx/lib-stream.h"

#define REQUESTS 30u
#define LIMIT_NS (120ull * 1000000000)

/* What a seed decides. */
struct shape {
	struct vhdx_create_options options;
	const char *qemu_subformat, *qemu_block_state_zero;
};

static struct shape choose_shape(struct rng *rng, bool by_qemu)
{
	uint32_t block_bytes = 1u << (20 + rng_below(rng, 9));
	uint32_t sector = !by_qemu && !rng_below(rng, 3) ? 4096 : 512;
	uint64_t size = rng_below(rng, 4 * (uint64_t)block_bytes);
	struct shape shape = {
		.qemu_subformat = "dynamic",
		.qemu_block_state_zero = rng_below(rng, 2) ? "on" : "off",
	};

	if (!rng_below(rng, 4))
		size += (VHDX_SECTORS_PER_BITMAP_BLOCK * sector) * (1 + rng_below(rng, 2));
	if (rng_below(rng, 3) == 0)
		size = size / block_bytes * block_bytes;
	size = (size + 128 * 1024) / sector * sector;
	shape.options = (struct vhdx_create_options){
		.size_bytes = size,
		.block_bytes = block_bytes,
		.logical_sector_bytes = sector,
		.physical_sector_bytes = sector == 512 && rng_below(rng, 2) ? 512 : 4096,
	};
	if (size < 4 * GIB && !rng_below(rng, 4)) {
		shape.options.flags = VHDX_FIXED;
		shape.qemu_subformat = "fixed";
	}
	return shape;
}

/* QEMU's driver behind an NBD connection, for reading or for writing. */
struct qemu {
	struct child *child;
	struct blk *blk;
};

static void qemu_open(struct qemu *q, const char *dir, const char *path, bool writes)
{
	CLEANUP_FREE char *socket = test_path(dir, "qemu.sock");
	CLEANUP_FREE char *pid_file = test_path(dir, "qemu.pid");
	CLEANUP_FREE char *log = test_path(dir, "qemu.log");
	CLEANUP_FREE char *uri = xasprintf("nbd+unix:///?socket=%s", socket);
	const char *argv[] = {"qemu-nbd", "--persistent",  "--socket", socket, "--pid-file",
			      pid_file,	  "--format=vhdx", path,       NULL,   NULL};
	const struct run_options options = {0};
	uint64_t give_up_ns = run_now_ns() + LIMIT_NS;

	if (!writes)
		argv[8] = "--read-only";
	unlink(pid_file);
	must(child_start(argv, log, &options, &q->child));
	while (access(pid_file, F_OK)) {
		if (child_wait(q->child, 10000000) >= 0 || run_now_ns() > give_up_ns)
			fail_msg("qemu-nbd takes no connections for %s", path);
	}
	must(blk_nbd_open(uri, writes ? BLK_NBD_WRITE : 0, &q->blk));
}

static void qemu_close(struct qemu *q)
{
	must(blk_close(q->blk));
	child_stop(q->child, LIMIT_NS);
}

/* libvhdi as a device. */
struct vhdi {
	struct blk blk;
	libvhdi_file_t *file;
};

static struct err *vhdi_failed(struct blk *blk, libvhdi_error_t *error)
{
	char text[512] = "";

	libvhdi_error_sprint(error, text, sizeof text);
	libvhdi_error_free(&error);
	return err_failed("%s: libvhdi: %s", blk->name, text);
}

static struct err *vhdi_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	uint8_t *at = buf;

	while (len_bytes) {
		libvhdi_error_t *error = NULL;
		ssize_t got = libvhdi_file_read_buffer_at_offset(((struct vhdi *)blk)->file, at, len_bytes,
								 (off64_t)offset, &error);

		if (got <= 0)
			return vhdi_failed(blk, error);
		at += got;
		offset += (uint64_t)got;
		len_bytes -= (size_t)got;
	}
	return NULL;
}

static struct err *vhdi_close(struct blk *blk)
{
	struct vhdi *vhdi = (struct vhdi *)blk;

	libvhdi_file_close(vhdi->file, NULL);
	libvhdi_file_free(&vhdi->file, NULL);
	free(blk->name);
	free(blk);
	return NULL;
}

static struct blk *vhdi_opened(const char *path)
{
	static const struct blk_ops ops = {.kind = "vhdi", .pread = vhdi_pread, .close = vhdi_close};
	struct vhdi *vhdi = xcalloc(1, sizeof *vhdi);
	libvhdi_error_t *error = NULL;

	vhdi->blk.ops = &ops;
	vhdi->blk.name = xstrdup(path);
	vhdi->blk.flags = BLK_READ_ONLY;
	if (libvhdi_file_initialize(&vhdi->file, &error) != 1 ||
	    libvhdi_file_open(vhdi->file, path, LIBVHDI_OPEN_READ, &error) != 1 ||
	    libvhdi_file_get_media_size(vhdi->file, &vhdi->blk.size_bytes, &error) != 1)
		must(vhdi_failed(&vhdi->blk, error));
	return &vhdi->blk;
}

/* What was touched reads as the model says, and so does some of the rest. */
static void compare(struct stream *s, struct blk *got)
{
	uint64_t size = s->model->size_bytes;

	assert_int_equal(got->size_bytes, size);
	extents_align(&s->touched, 1 << 16);
	for (size_t i = 0; i < s->touched.count; i++) {
		uint64_t start = s->touched.ranges[i].start, end = s->touched.ranges[i].end;

		end = end < size ? end : size;
		assert_same_range(got, s->model, end - start, start);
	}
	for (unsigned i = 0; i < 10; i++)
		assert_same_range(got, s->model, 4096, rng_below(&s->rng, size - 4096));
	assert_same_range(got, s->model, 4096, size - 4096);
}

static void assert_file_has_no_errors(const char *path)
{
	CLEANUP_BLK struct blk *file = NULL;

	must(blk_file_open(path, 0, 0, &file));
	assert_no_errors_in(file);
}

/* All readers agree. */
static void compare_all(struct stream *s, const char *dir, const char *path, bool is_ours)
{
	CLEANUP_BLK struct blk *file = NULL;
	struct blk *reader;
	struct qemu qemu;

	must(blk_file_open(path, 0, 0, &file));
	if (is_ours)
		assert_clean(file);
	else
		assert_no_errors_in(file);
	must(vhdx_open(path, 0, NULL, &reader));
	compare(s, reader);
	must(blk_close(reader));
	reader = vhdi_opened(path);
	compare(s, reader);
	must(blk_close(reader));
	/* QEMU 7.2 opens no files with sectors of 4096 bytes. */
	if (s->model->logical_sector_bytes == 4096)
		return;
	qemu_open(&qemu, dir, path, false);
	compare(s, qemu.blk);
	qemu_close(&qemu);
}

static void run_requests(struct stream *s, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		stream_request(s);
}

static void start_stream(struct stream *s, const struct shape *shape, uint64_t seed)
{
	uint64_t sector = shape->options.logical_sector_bytes;

	stream_init(s, shape->options.size_bytes, VHDX_SECTORS_PER_BITMAP_BLOCK * sector, seed);
	s->model->logical_sector_bytes = (uint32_t)sector;
}

static void live_ours(uint64_t seed)
{
	struct rng rng = {seed};
	const struct shape shape = choose_shape(&rng, false);
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "ours.vhdx");
	struct stream s;

	start_stream(&s, &shape, seed);
	must(vhdx_create(path, &shape.options, NULL, &s.vhdx));
	run_requests(&s, REQUESTS / 2);
	must(vhdx_finish(s.vhdx));
	run_requests(&s, REQUESTS / 2);
	must(blk_close(s.vhdx));
	compare_all(&s, dir, path, true);
	stream_deinit(&s);
	test_dir_remove(dir);
}

static void create_by_qemu(const struct shape *shape, const char *path)
{
	CLEANUP_FREE char *options =
		xasprintf("subformat=%s,block_size=%u,block_state_zero=%s", shape->qemu_subformat,
			  shape->options.block_bytes, shape->qemu_block_state_zero);
	CLEANUP_FREE char *size = xasprintf("%llu", (unsigned long long)shape->options.size_bytes);

	free(RUN("qemu-img", "create", "-q", "-f", "vhdx", "-o", options, path, size));
}

static void live_qemus(uint64_t seed)
{
	struct rng rng = {seed};
	const struct shape shape = choose_shape(&rng, true);
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "qemus.vhdx");
	struct qemu qemu;
	struct stream s;

	create_by_qemu(&shape, path);
	start_stream(&s, &shape, seed);
	qemu_open(&qemu, dir, path, true);
	s.vhdx = qemu.blk;
	s.vhdx->preferred_bytes = shape.options.block_bytes;
	/* It writes every zero. */
	s.max_clear_bytes = 4 * MIB;
	run_requests(&s, REQUESTS);
	s.max_clear_bytes = 0;
	must(blk_flush(s.vhdx));
	qemu_close(&qemu);
	compare_all(&s, dir, path, false);
	/* And on from there. */
	must(vhdx_open(path, VHDX_OPEN_WRITE, NULL, &s.vhdx));
	run_requests(&s, REQUESTS / 3);
	must(vhdx_finish(s.vhdx));
	must(blk_close(s.vhdx));
	assert_file_has_no_errors(path);
	compare_all(&s, dir, path, false);
	stream_deinit(&s);
	test_dir_remove(dir);
}

static uint64_t seed_count(void)
{
	const char *text = getenv("P2V_CROSS_SEEDS");

	return text ? strtoull(text, NULL, 10) : 6;
}

static void run_seeds(void (*live)(uint64_t seed))
{
	const char *one = getenv("P2V_CROSS_SEED");

	if (one) {
		live(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= seed_count(); seed++) {
		print_message("  seed %llu\n", (unsigned long long)seed);
		live(seed);
	}
}

static void test_ours(void **state)
{
	(void)state;
	run_seeds(live_ours);
}

static void test_qemus(void **state)
{
	(void)state;
	run_seeds(live_qemus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ours),
		cmocka_unit_test(test_qemus),
	};

	if (!run_is_installed("qemu-img") || !run_is_installed("qemu-nbd")) {
		print_message("qemu-img and qemu-nbd are needed (qemu-utils)\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
