// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Power cuts at any moment while a VHD is written: the file opens, holds what
 * flushes allow, and can be written on.  $P2V_POWER_CUTS / 10 states are tried.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/base/lib-disk-user.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-overlay.h"
#include "tests/base/lib-power-cut.h"
#include "tests/vhdx/lib-vhdx.h"
#include "vhdx/vhd.h"

#define BLOCK_BYTES (512u << 10)
#define DISK_BYTES (6 * MIB + 1536)

DEFINE_CLEANUP(power_cut, struct power_cut *, power_cut_destroy)
DEFINE_CLEANUP(recording, struct recording *, recording_destroy)
DEFINE_CLEANUP(user, struct disk_user *, disk_user_destroy)

static size_t wanted_states(void)
{
	const char *text = getenv("P2V_POWER_CUTS");
	unsigned long wanted = text ? strtoul(text, NULL, 10) / 10 : 300;

	return wanted ? wanted : 1;
}

static struct err *judge_reading(const struct disk_user *user, struct blk *left)
{
	CLEANUP_BLK struct blk *view = borrowed(left);
	CLEANUP_BLK struct blk *vhd = NULL;

	TRY(vhd_open_on(view, 0, NULL, &vhd));
	(void)take_ptr(view);
	return disk_user_judge(user, vhd);
}

/* Takes over left. */
static struct err *judge(const struct disk_user *user, struct blk *left)
{
	CLEANUP_BLK struct blk *owned = left;
	CLEANUP_BLK struct blk *vhd = NULL;

	TRY(err_wrap(judge_reading(user, left), "reading"));
	TRY(vhd_open_on(left, VHD_OPEN_WRITE, NULL, &vhd));
	(void)take_ptr(owned);
	TRY(err_wrap(disk_user_judge(user, vhd), "reading it open for writing"));
	TRY(err_wrap(disk_user_judge_new_blocks(user, vhd), "writing"));
	TRY(blk_flush(vhd));
	return NULL;
}

/* Lives once, recorded; the time when it was made. */
static uint64_t live(struct recording *recording, struct disk_user *user, uint64_t seed, unsigned flags)
{
	const struct vhd_create_options options = {
		.size_bytes = DISK_BYTES, .block_bytes = BLOCK_BYTES, .flags = flags};
	struct disk_user_run run = {.requests = 60, .flush_every = 6, .shares = 1, .seed = seed};
	struct blk *vhd, *file = recording_attach(recording, overlay_create(NULL));
	uint64_t created;

	must(vhd_create_on(file, &options, NULL, &vhd));
	must(blk_flush(vhd));
	created = recording_tick(recording);
	must(disk_user_use(user, vhd, &run));
	must(blk_close(vhd));
	return created;
}

static size_t cut_life(uint64_t seed, unsigned flags)
{
	const struct disk_user_layout layout = {DISK_BYTES, BLOCK_BYTES, BLOCK_BYTES};
	CLEANUP(cleanup_recording) struct recording *recording = recording_create();
	CLEANUP(cleanup_user) struct disk_user *user = disk_user_create(&layout, recording);
	uint64_t time = live(recording, user, seed, flags);
	CLEANUP(cleanup_power_cut) struct power_cut *cut = power_cut_create(recording, seed);
	size_t states = 0;

	for (; power_cut_advance(cut, time); time++) {
		CLEANUP_FREE char *text = NULL;
		uint64_t hash;

		disk_user_advance(user, time);
		power_cut_choose(cut, &hash);
		text = power_cut_describe(cut);
		must(err_wrap(judge(user, power_cut_leave(cut, 0)), "seed %d, %s", (int)seed, text));
		states++;
	}
	return states;
}

static void test_dynamic(void **state)
{
	size_t states = 0;

	(void)state;
	for (uint64_t seed = 1; states < wanted_states(); seed++)
		states += cut_life(seed, 0);
	print_message("%zu states\n", states);
}

static void test_fixed(void **state)
{
	(void)state;
	assert_true(cut_life(4, VHD_CREATE_FIXED) > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dynamic),
		cmocka_unit_test(test_fixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
