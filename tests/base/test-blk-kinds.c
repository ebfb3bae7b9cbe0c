// SPDX-License-Identifier: GPL-3.0-or-later
/* The conformance suite over the kinds of p2v/base; tests/vhdx has it over VHD and VHDX. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-blk-conformance.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-nbd-server.h"
#include "tests/base/lib-rng.h"

/* Not a multiple of anything: the device's end lies inside a sector. */
#define ODD_BYTES ((5u << 20) + 777)
#define EVEN_BYTES (6u << 20)

static void reopen_file(const char *path, unsigned flags, const uint8_t *content)
{
	CLEANUP_BLK struct blk *blk = NULL;

	must(blk_file_open(path, flags, 0, &blk));
	blk_conformance_read_only(blk, content);
}

static void check_file(unsigned flags, uint64_t size_bytes)
{
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "disk");
	CLEANUP_FREE uint8_t *content = NULL;
	struct blk *blk;

	must(blk_file_open(path, BLK_FILE_CREATE | flags, size_bytes, &blk));
	content = blk_conformance_run(blk, flags & BLK_FILE_DIRECT ? "file, direct" : "file");
	must(blk_close(blk));
	reopen_file(path, 0, content);
	reopen_file(path, BLK_FILE_DIRECT, content);
	test_dir_remove(dir);
}

static void test_file(void **state)
{
	(void)state;
	check_file(0, ODD_BYTES);
	check_file(0, EVEN_BYTES);
}

static void test_file_direct(void **state)
{
	(void)state;
	check_file(BLK_FILE_DIRECT, ODD_BYTES);
	check_file(BLK_FILE_DIRECT, EVEN_BYTES);
}

static void test_memory(void **state)
{
	struct blk *blk;

	(void)state;
	must(blk_mem_create(ODD_BYTES, &blk));
	free(blk_conformance_run(blk, "memory"));
	must(blk_close(blk));
}

static void test_fault_without_faults(void **state)
{
	struct blk *inner, *blk;

	(void)state;
	must(blk_mem_create(ODD_BYTES, &inner));
	must(blk_fault_create(inner, NULL, 0, &blk));
	free(blk_conformance_run(blk, "fault injector"));
	must(blk_close(blk));
}

/* A source with data, holes and an end inside a unit. */
static struct blk *make_source(uint64_t size_bytes)
{
	CLEANUP_FREE uint8_t *buf = xmalloc(300001);
	struct rng rng = {7};
	struct blk *blk;

	must(blk_mem_create(size_bytes, &blk));
	for (uint64_t offset = 1000; offset + 300001 < size_bytes; offset += 700000) {
		rng_fill(&rng, buf, 300001);
		must(blk_pwrite(blk, buf, 300001, offset, 0));
	}
	return blk;
}

static void test_fill(void **state)
{
	static const struct {
		uint64_t target_bytes, source_bytes, unit_bytes;
	} cases[] = {
		{ODD_BYTES, ODD_BYTES, 64 << 10},
		{EVEN_BYTES, ODD_BYTES, 1 << 20},
		{ODD_BYTES, EVEN_BYTES - (2 << 20), 4096},
		{ODD_BYTES, ODD_BYTES - 5, 64 << 20},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct blk *target, *blk;

		must(blk_mem_create(cases[i].target_bytes, &target));
		must(blk_fill_create(target, make_source(cases[i].source_bytes), cases[i].unit_bytes, &blk));
		free(blk_conformance_run(blk, "fill"));
		must(blk_close(blk));
	}
}

/* nbdkit's memory plugin behind filters that make it awkward. */
static void check_nbd(const char *name, const char *const *args)
{
	char *dir = test_dir_make();
	struct nbd_server *server = NULL;
	CLEANUP_FREE uint8_t *content = NULL;
	struct blk *blk;

	must(nbd_server_start(dir, args, &server));
	must(blk_nbd_open(nbd_server_uri(server), BLK_NBD_WRITE, &blk));
	content = blk_conformance_run(blk, name);
	must(blk_close(blk));
	must(blk_nbd_open(nbd_server_uri(server), 0, &blk));
	blk_conformance_read_only(blk, content);
	must(blk_close(blk));
	nbd_server_stop(server);
	test_dir_remove(dir);
}

static void test_nbd(void **state)
{
	(void)state;
	check_nbd("nbd", (const char *const[]){"memory", "5243657", NULL});
	check_nbd("nbd, 4 KiB blocks, small requests",
		  (const char *const[]){"--filter=blocksize-policy", "memory", "6M", "blocksize-minimum=4096",
					"blocksize-preferred=65536", "blocksize-maximum=256k",
					"blocksize-error-policy=error", NULL});
	check_nbd("nbd, one connection, no extents, no zero, no FUA",
		  (const char *const[]){"--filter=noextents", "--filter=nozero", "--filter=fua",
					"--filter=noparallel", "memory", "6M", "zeromode=none", NULL});
	check_nbd("nbd, no multi-conn", (const char *const[]){"--filter=multi-conn", "memory", "5M",
							      "multi-conn-mode=disable", NULL});
}

static void test_nbd_refusals(void **state)
{
	char *dir = test_dir_make();
	CLEANUP_FREE char *nowhere = xasprintf("nbd+unix:///?socket=%s/none", dir);
	struct nbd_server *server = NULL;
	struct blk *blk = NULL;
	struct err *err;

	(void)state;
	err = blk_nbd_open(nowhere, 0, &blk);
	assert_non_null(err);
	assert_non_null(strstr(err_message(err), nowhere));
	assert_non_null(err_advice(err));
	err_free(err);
	must_fail(blk_nbd_open("nbd:nonsense", 0, &blk), ERR_FAILED);
	must(nbd_server_start(dir, (const char *const[]){"--readonly", "memory", "5M", NULL}, &server));
	must_fail(blk_nbd_open(nbd_server_uri(server), BLK_NBD_WRITE, &blk), ERR_REFUSED);
	assert_null(blk);
	nbd_server_stop(server);
	test_dir_remove(dir);
}

/* A server that goes away gives an error that names it, on every later request too. */
static void test_nbd_lost(void **state)
{
	char *dir = test_dir_make();
	struct nbd_server *server = NULL;
	CLEANUP_FREE char *uri = NULL;
	struct blk *blk = NULL;
	char byte = 0;

	(void)state;
	must(nbd_server_start(dir, (const char *const[]){"memory", "5M", NULL}, &server));
	uri = xstrdup(nbd_server_uri(server));
	must(blk_nbd_open(uri, BLK_NBD_WRITE, &blk));
	must(blk_pwrite(blk, &byte, 1, 5, 0));
	nbd_server_kill(server);
	for (int i = 0; i < 3; i++) {
		struct err *err = i % 2 ? blk_pread(blk, &byte, 1, 5) : blk_flush(blk);

		assert_non_null(err);
		assert_non_null(strstr(err_message(err), uri));
		err_free(err);
	}
	err_free(blk_close(blk));
	test_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),	     cmocka_unit_test(test_file_direct),
		cmocka_unit_test(test_memory),	     cmocka_unit_test(test_fault_without_faults),
		cmocka_unit_test(test_fill),	     cmocka_unit_test(test_nbd),
		cmocka_unit_test(test_nbd_refusals), cmocka_unit_test(test_nbd_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
