// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The largest disks: what they cost in memory and time.  Each case runs in a
 * process of its own, whose peak is measured.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-vhdx.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* memory and time are the sanitizer's then */
#else
#define SANITIZED 0
#endif

struct shape {
	struct vhdx_create_options options;
	uint64_t writes; /* spread over the whole disk */
	uint64_t peak_mib; /* at most */
	uint64_t map_peak_mib; /* the same, for looking at the whole map; 0: not tried */
};

static const struct shape shapes[] = {
	{{.size_bytes = 1 * TIB}, 300, 32},
	{{.size_bytes = 1 * TIB, .block_bytes = 1 << 20}, 300, 32, 64},
	{{.size_bytes = 64 * TIB}, 300, 64},
	{{.size_bytes = 64 * TIB, .block_bytes = 1 << 20}, 300, 64, 600},
	{{.size_bytes = 64 * TIB, .block_bytes = 256 << 20, .logical_sector_bytes = 4096}, 300, 32},
};

static uint64_t place(const struct shape *shape, uint64_t i)
{
	return shape->options.size_bytes / shape->writes * i + 4096 * (i % 7);
}

/* Spreads small writes, finishes, opens again, reads them, looks at the whole map. */
static void use(const char *path, const struct shape *shape)
{
	uint64_t value, start_ns;
	struct blk *vhdx;

	must(vhdx_create(path, &shape->options, NULL, &vhdx));
	for (uint64_t i = 0; i < shape->writes; i++)
		must(blk_pwrite(vhdx, &i, sizeof i, place(shape, i), 0));
	must(vhdx_finish(vhdx));
	must(blk_pwrite(vhdx, "end", 4, shape->options.size_bytes - 4, 0));
	must(blk_close(vhdx));
	start_ns = run_now_ns();
	must(vhdx_open(path, 0, NULL, &vhdx));
	if (!SANITIZED)
		assert_true(run_now_ns() - start_ns < 1000000000);
	for (uint64_t i = 0; i < shape->writes; i++) {
		must(blk_pread(vhdx, &value, sizeof value, place(shape, i)));
		assert_int_equal(value, i);
	}
	must(blk_pread(vhdx, &value, 4, shape->options.size_bytes - 4));
	assert_memory_equal(&value, "end", 4);
	must(blk_close(vhdx));
}

/* The whole of the map: read, counted, checked. */
static void use_map(const char *path, const struct shape *shape)
{
	uint64_t blocks = shape->options.size_bytes / shape->options.block_bytes;
	CLEANUP_VHDX_INFO struct vhdx_info info = {0};
	struct vhdx_check_result result;
	struct blk *vhdx;

	must(vhdx_open(path, 0, NULL, &vhdx));
	must(vhdx_get_info(vhdx, &info));
	assert_int_equal(info.disk.block_count, blocks);
	assert_int_equal(info.disk.allocated_blocks, 301);
	must(blk_close(vhdx));
	must(vhdx_check(path, NULL, NULL, &result));
	assert_int_equal(result.errors + result.warnings, 0);
	assert_int_equal(result.blocks_checked, blocks);
}

/* Peak memory in MiB of a child that does this. */
static uint64_t measure(void (*fn)(const char *path, const struct shape *shape), const char *path,
			const struct shape *shape)
{
	struct rusage usage;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		fn(path, shape);
		_exit(0);
	}
	assert_int_equal(wait4(pid, &status, 0, &usage), pid);
	assert_int_equal(status, 0);
	return (uint64_t)usage.ru_maxrss >> 10;
}

static void test_sizes(void **state)
{
	char *dir = test_dir_make();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(shapes); i++) {
		CLEANUP_FREE char *path = test_path(dir, "disk.vhdx");
		uint64_t peak_mib = measure(use, path, &shapes[i]);

		print_message("  %llu TiB, blocks of %u MiB: %llu MiB\n",
			      (unsigned long long)(shapes[i].options.size_bytes / TIB),
			      (shapes[i].options.block_bytes ? shapes[i].options.block_bytes
							     : VHDX_DEFAULT_BLOCK_BYTES) >>
				      20,
			      (unsigned long long)peak_mib);
		if (!SANITIZED)
			assert_true(peak_mib <= shapes[i].peak_mib);
		if (shapes[i].map_peak_mib) {
			peak_mib = measure(use_map, path, &shapes[i]);
			print_message("  its whole map: %llu MiB\n", (unsigned long long)peak_mib);
			if (!SANITIZED)
				assert_true(peak_mib <= shapes[i].map_peak_mib);
		}
		assert_int_equal(unlink(path), 0);
	}
	test_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
