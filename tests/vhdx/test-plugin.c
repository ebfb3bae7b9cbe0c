// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The nbdkit plugin, served by a real nbdkit and used through libnbd: the
 * conformance suite over each format, filling, read-only service, and what it
 * refuses to start with.
 */
#include <libnbd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-blk-conformance.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-rng.h"
#include "tests/vhdx/lib-vhdx.h"
#include "vhdx/image.h"

#define DISK_BYTES (6 * MIB + 512)

struct fixture {
	char *dir;
	char *plugin;
	char *path; /* of the image that is served */
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	f->dir = test_dir_make();
	f->path = test_path(f->dir, "disk");
	f->plugin = test_plugin_path();
	*state = f;
	if (!f->plugin)
		print_message("no plugin: build it first, and name its folder in P2V_BUILD\n");
	return f->plugin ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	test_dir_remove(f->dir);
	free(f->plugin);
	free(f->path);
	free(f);
	return 0;
}

static void make_image(const char *path, const struct image_create_options *options, bool finish)
{
	struct blk *blk;

	must(image_create(path, options, NULL, &blk));
	if (finish)
		must(image_finish(blk, options->format));
	must(blk_close(blk));
}

/* Starts nbdkit with the plugin and these (NULL-ended) options or parameters. */
static struct nbd_server *serve(const struct fixture *f, const char *const *args)
{
	const char *all[16] = {0};
	struct nbd_server *server = NULL;
	size_t count = 0;

	while (*args && **args == '-')
		all[count++] = *args++;
	all[count++] = f->plugin;
	while (*args)
		all[count++] = *args++;
	must(nbd_server_start(f->dir, all, &server));
	return server;
}
#define SERVE(f, ...) serve(f, (const char *const[]){__VA_ARGS__, NULL})

static void test_formats(void **state)
{
	static const struct {
		const char *name;
		struct image_create_options options;
	} cases[] = {
		{"plugin, VHDX", {.format = IMAGE_VHDX, .size_bytes = DISK_BYTES}},
		{"plugin, VHDX, fixed", {.format = IMAGE_VHDX, .size_bytes = DISK_BYTES, .fixed = true}},
		{"plugin, VHDX, 4Kn",
		 {.format = IMAGE_VHDX, .size_bytes = DISK_BYTES, .logical_sector_bytes = 4096}},
		{"plugin, VHD", {.format = IMAGE_VHD, .size_bytes = DISK_BYTES}},
		{"plugin, raw", {.format = IMAGE_RAW, .size_bytes = DISK_BYTES + 3}},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP_FREE uint8_t *content = NULL;
		struct nbd_server *server;
		enum image_format format;
		struct blk *blk;

		make_image(f->path, &cases[i].options, true);
		server = SERVE(f, f->path);
		must(blk_nbd_open(nbd_server_uri(server), BLK_NBD_WRITE, &blk));
		content = blk_conformance_run(blk, cases[i].name);
		must(blk_close(blk));
		nbd_server_stop(server);
		must(image_open(f->path, NULL, &format, &blk));
		assert_int_equal(format, cases[i].options.format);
		blk_conformance_read_only(blk, content);
		must(blk_close(blk));
		unlink(f->path);
	}
}

/* Another client sees what one wrote; both see the disk's size and the block size. */
static void test_two_clients(void **state)
{
	struct fixture *f = *state;
	const struct image_create_options options = {
		.format = IMAGE_VHDX, .size_bytes = DISK_BYTES, .block_bytes = 1 << 20};
	CLEANUP_BLK struct blk *a = NULL;
	CLEANUP_BLK struct blk *b = NULL;
	CLEANUP_FREE char *file = xasprintf("file=%s", f->path);
	struct nbd_server *server;
	char got[5];

	make_image(f->path, &options, true);
	server = SERVE(f, file);
	must(blk_nbd_open(nbd_server_uri(server), BLK_NBD_WRITE, &a));
	must(blk_nbd_open(nbd_server_uri(server), BLK_NBD_WRITE, &b));
	assert_int_equal(a->size_bytes, DISK_BYTES);
	assert_int_equal(a->preferred_bytes, 1 << 20);
	assert_true(a->flags & BLK_FAST_ZERO);
	must(blk_pwrite(a, "hello", 5, 3 * MIB - 2, 0));
	must(blk_flush(b));
	must(blk_pread(b, got, 5, 3 * MIB - 2));
	assert_memory_equal(got, "hello", 5);
	must(blk_close(take_ptr(a)));
	must(blk_close(take_ptr(b)));
	nbd_server_stop(server);
}

/* With nbdkit -r nothing is written, not even by opening. */
static void test_read_only(void **state)
{
	struct fixture *f = *state;
	const struct image_create_options options = {.format = IMAGE_VHDX, .size_bytes = DISK_BYTES};
	CLEANUP_FREE char *before = NULL;
	CLEANUP_FREE char *after = NULL;
	struct nbd_server *server;
	struct blk *blk;

	make_image(f->path, &options, true);
	before = RUN("sha256sum", f->path);
	server = SERVE(f, "--readonly", f->path);
	must_fail(blk_nbd_open(nbd_server_uri(server), BLK_NBD_WRITE, &blk), ERR_REFUSED);
	must(blk_nbd_open(nbd_server_uri(server), 0, &blk));
	assert_int_equal(blk->size_bytes, DISK_BYTES);
	must(blk_close(blk));
	nbd_server_stop(server);
	after = RUN("sha256sum", f->path);
	assert_string_equal(before, after);
}

/* A log that was never replayed: in memory under -r, which leaves the file alone, else in the file. */
static void test_dirty_log(void **state)
{
	struct fixture *f = *state;
	CLEANUP_FREE char *path = corpus_file(f->dir, "vhdx/iotest-dirtylog-10G-4M.vhdx.bz2");
	CLEANUP_FREE uint8_t *content = xmalloc(64 * MIB);
	CLEANUP_FREE char *before = NULL;
	CLEANUP_FREE char *after = NULL;
	struct nbd_server *server;
	struct blk *blk, *plain;

	if (!path)
		skip();
	must(image_open(path, NULL, NULL, &plain));
	before = RUN("sha256sum", path);
	server = SERVE(f, "--readonly", path);
	must(blk_nbd_open(nbd_server_uri(server), 0, &blk));
	assert_same_range(blk, plain, 64 * MIB, 0);
	must(blk_close(blk));
	nbd_server_stop(server);
	after = RUN("sha256sum", path);
	assert_string_equal(before, after);
	must(blk_pread(plain, content, 64 * MIB, 0));
	must(blk_close(plain));
	server = SERVE(f, path);
	must(blk_nbd_open(nbd_server_uri(server), BLK_NBD_WRITE, &blk));
	must(blk_close(blk));
	nbd_server_stop(server);
	free(RUN("qemu-img", "check", "-f", "vhdx", path));
	must(image_open(path, NULL, NULL, &plain));
	for (uint64_t offset = 0; offset < 64 * MIB; offset += MIB) {
		CLEANUP_FREE uint8_t *now = xmalloc(MIB);

		must(blk_pread(plain, now, MIB, offset));
		assert_memory_equal(now, content + offset, MIB);
	}
	must(blk_close(plain));
}

/*
 * Filling.
 */

static uint8_t *make_source(const char *path)
{
	uint8_t *content = xcalloc(1, DISK_BYTES);
	struct rng rng = {77};
	struct blk *blk;

	rng_fill(&rng, content + 5000, 2 * MIB);
	rng_fill(&rng, content + 5 * MIB, DISK_BYTES - 5 * MIB);
	must(blk_file_open(path, BLK_FILE_CREATE, DISK_BYTES, &blk));
	must(blk_pwrite_data(blk, content, DISK_BYTES, 0));
	must(blk_close(blk));
	return content;
}

static struct nbd_server *serve_filling(const struct fixture *f, const char *source)
{
	CLEANUP_FREE char *file = xasprintf("file=%s", f->path);
	CLEANUP_FREE char *from = xasprintf("fill-from=%s", source);

	return SERVE(f, file, from, "incomplete=true");
}

static void request_cache(const char *uri, uint64_t len_bytes, uint64_t offset)
{
	struct nbd_handle *conn = nbd_create();

	assert_int_equal(nbd_connect_uri(conn, uri), 0);
	assert_int_equal(nbd_can_cache(conn), 1);
	assert_int_equal(nbd_cache(conn, len_bytes, offset, 0), 0);
	nbd_close(conn);
}

/* The first blocks are in the target and reads the source's content; what lies behind them is zeros. */
static void expect_filled(const char *path, const uint8_t *content, uint64_t filled_bytes)
{
	CLEANUP_FREE uint8_t *expected = xmemdup(content, DISK_BYTES);
	CLEANUP_BLK struct blk *blk = NULL;

	memset(expected + filled_bytes, 0, DISK_BYTES - filled_bytes);
	must(image_open_with(path, IMAGE_OPEN_INCOMPLETE, NULL, NULL, &blk));
	blk_conformance_read_only(blk, expected);
}

static void test_cache_fills(void **state)
{
	struct fixture *f = *state;
	const struct image_create_options options = {.format = IMAGE_VHDX, .size_bytes = DISK_BYTES};
	CLEANUP_FREE char *source = test_path(f->dir, "source");
	CLEANUP_FREE uint8_t *content = make_source(source);
	CLEANUP_FREE char *before = RUN("sha256sum", source);
	CLEANUP_FREE char *after = NULL;
	struct nbd_server *server;
	struct blk *blk;

	make_image(f->path, &options, false);
	server = serve_filling(f, source);
	/* The first block, and no other. */
	request_cache(nbd_server_uri(server), 2 * MIB, 0);
	must(blk_nbd_open(nbd_server_uri(server), 0, &blk));
	blk_conformance_expect(blk, content);
	must(blk_close(blk));
	nbd_server_stop(server);
	expect_filled(f->path, content, 2 * MIB);
	server = serve_filling(f, source);
	request_cache(nbd_server_uri(server), DISK_BYTES, 0);
	nbd_server_stop(server);
	expect_filled(f->path, content, DISK_BYTES);
	after = RUN("sha256sum", source);
	assert_string_equal(before, after);
}

/* A client that writes all over while it is filled, and comes back; the source is an NBD export. */
static void test_conformance_while_filling(void **state)
{
	struct fixture *f = *state;
	const struct image_create_options options = {.format = IMAGE_VHDX, .size_bytes = DISK_BYTES};
	CLEANUP_FREE char *source = test_path(f->dir, "source");
	CLEANUP_FREE uint8_t *original = make_source(source);
	CLEANUP_FREE uint8_t *content = NULL;
	struct nbd_server *origin, *server;
	struct blk *blk;

	make_image(f->path, &options, false);
	origin = SERVE(f, "--readonly", source);
	server = serve_filling(f, nbd_server_uri(origin));
	must(blk_nbd_open(nbd_server_uri(server), BLK_NBD_WRITE, &blk));
	blk_conformance_expect(blk, original);
	content = blk_conformance_run(blk, "plugin, filling from NBD");
	must(blk_close(blk));
	request_cache(nbd_server_uri(server), DISK_BYTES, 0);
	must(blk_nbd_open(nbd_server_uri(server), BLK_NBD_WRITE, &blk));
	blk_conformance_expect(blk, content);
	must(blk_close(blk));
	nbd_server_stop(server);
	nbd_server_stop(origin);
	must(image_open_with(f->path, IMAGE_OPEN_INCOMPLETE, NULL, NULL, &blk));
	blk_conformance_read_only(blk, content);
	must(blk_close(blk));
}

/* Space is taken ahead while it is served, and the file is as long as it must be in the end. */
static void test_preallocate(void **state)
{
	struct fixture *f = *state;
	const struct image_create_options options = {
		.format = IMAGE_VHDX, .size_bytes = 64 * MIB, .block_bytes = 1 << 20};
	struct nbd_server *server;
	struct stat st;
	struct blk *blk;

	make_image(f->path, &options, true);
	server = SERVE(f, f->path, "preallocate=8M");
	must(blk_nbd_open(nbd_server_uri(server), BLK_NBD_WRITE, &blk));
	must(blk_pwrite(blk, "hello", 5, 33 * MIB, 0));
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, (4 + 1 + 8) * MIB);
	must(blk_close(blk));
	nbd_server_stop(server);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, (4 + 1) * MIB);
}

/* What cannot be served ends nbdkit at once, with a message that names it. */
static void test_refusals(void **state)
{
	struct fixture *f = *state;
	const struct image_create_options options = {.format = IMAGE_VHDX, .size_bytes = MIB};
	CLEANUP_FREE char *incomplete = test_path(f->dir, "incomplete.vhdx");
	CLEANUP_FREE char *missing = test_path(f->dir, "missing");
	CLEANUP_FREE char *fill_missing = xasprintf("fill-from=%s", missing);
	CLEANUP_FREE char *fine = test_path(f->dir, "fine");
	const struct {
		const char *args[3];
		const char *message;
	} cases[] = {
		{{NULL}, "file=PATH"},
		{{missing}, "missing: No such file"},
		{{f->dir}, "is a folder"},
		{{incomplete}, "incomplete.vhdx"},
		{{fine, "colour=blue"}, "unknown parameter 'colour'"},
		{{fine, "fill-unit=much"}, "much"},
		{{fine, "incomplete=perhaps"}, "perhaps"},
		{{fine, "preallocate=some"}, "some"},
		{{fine, fill_missing}, "missing: No such file"},
	};

	make_image(incomplete, &options, false);
	make_image(fine, &options, true);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct nbd_server *server = NULL;
		const char *args[] = {f->plugin, cases[i].args[0], cases[i].args[1], NULL};
		struct err *err = nbd_server_start(f->dir, args, &server);

		if (!err || !strstr(err_message(err), cases[i].message))
			fail_msg("case %zu: %s", i, err ? err_message(err) : "it started");
		err_free(err);
	}
}

/* What only the first connection can find out is told there, and does not end the server. */
static void test_refused_connection(void **state)
{
	struct fixture *f = *state;
	const struct image_create_options small = {.format = IMAGE_VHDX, .size_bytes = MIB};
	CLEANUP_FREE char *source = test_path(f->dir, "source");
	CLEANUP_FREE char *messages = NULL;
	struct nbd_server *server;
	struct blk *blk = NULL;

	free(make_source(source));
	make_image(f->path, &small, false);
	server = serve_filling(f, source);
	must_fail(blk_nbd_open(nbd_server_uri(server), BLK_NBD_WRITE, &blk), ERR_FAILED);
	assert_null(blk);
	messages = nbd_server_messages(server);
	assert_non_null(strstr(messages, "do not fit"));
	nbd_server_stop(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_formats, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dirty_log, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cache_fills, setup, teardown),
		cmocka_unit_test_setup_teardown(test_conformance_while_filling, setup, teardown),
		cmocka_unit_test_setup_teardown(test_preallocate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_connection, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
