/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which arrays stand on disks, what of these is theirs alone, and when they have come to rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "capture/arrays.h"
#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/capture/lib-recorded.h"

#define MIB (1ull << 20)
#define ARRAY "/sys/devices/virtual/block/md0"
#define PART_MIB 100u
#define DATA_MIB 90u
#define ON_SDA "../../../pci0000:00/ata1/block/sda/sda1"
#define ON_SDB "../../../pci0000:00/ata2/block/sdb/sdb1"

static void record_member(struct recorded_machine *machine, const char *name, const char *block)
{
	CLEANUP_FREE char *folder = xasprintf(ARRAY "/md/dev-%s", name);
	CLEANUP_FREE char *offset = xasprintf("%s/offset", folder);
	CLEANUP_FREE char *size = xasprintf("%s/size", folder);
	CLEANUP_FREE char *link = xasprintf("%s/block", folder);
	CLEANUP_FREE char *target = xasprintf("->../../%s", block);
	CLEANUP_FREE char *kib = xasprintf("%u", DATA_MIB * 1024);

	record(machine, offset, "2048");
	record(machine, size, kib);
	record(machine, link, target);
}

/* RAID 1 of a partition of each of the first two disks; the third has none. */
static struct recorded_machine *record_server(const char *version)
{
	struct recorded_machine *machine = recorded_create();

	record_disk(machine, &(struct recorded_disk){"sda", "8:0", "pci0000:00/ata1", 200, "DISK", "A"});
	record_disk(machine, &(struct recorded_disk){"sdb", "8:16", "pci0000:00/ata2", 200, "DISK", "B"});
	record_disk(machine, &(struct recorded_disk){"sdc", "8:32", "pci0000:00/ata3", 200, "DISK", "C"});
	record_part(machine,
		    &(struct recorded_part){"sda", 1, "sda1", "8:1", "linux_raid_member", 5, PART_MIB});
	record_part(machine,
		    &(struct recorded_part){"sdb", 1, "sdb1", "8:17", "linux_raid_member", 5, PART_MIB});
	record_volume(machine, &(struct recorded_volume){.name = "md0",
							 .device_number = "9:0",
							 .md_level = "raid1",
							 .on = "sda1 sdb1",
							 .content = "ext4",
							 .mib = DATA_MIB});
	record(machine, ARRAY "/md/metadata_version", version);
	record(machine, ARRAY "/md/array_state", "clean");
	record(machine, ARRAY "/md/safe_mode_delay", "0.201");
	record(machine, ARRAY "/md/sync_action", "idle");
	record_member(machine, "sda1", ON_SDA);
	record_member(machine, "sdb1", ON_SDB);
	return machine;
}

static void find(const struct recorded_machine *machine, const char *first, const char *second,
		 struct arrays *ret_arrays)
{
	CLEANUP_STRV struct strv disks = {0};

	strv_add(&disks, first);
	if (second)
		strv_add(&disks, second);
	arrays_find(machine->root, &disks, ret_arrays);
}

/* Before the data and behind it, and nothing of the partition's neighbours. */
static void assert_notes(const struct extents *own)
{
	assert_int_equal(own->count, 2);
	assert_int_equal(own->ranges[0].start, 5 * MIB);
	assert_int_equal(own->ranges[0].end, 6 * MIB);
	assert_int_equal(own->ranges[1].start, (6 + DATA_MIB) * MIB);
	assert_int_equal(own->ranges[1].end, (5 + PART_MIB) * MIB);
}

static void test_found(void **state)
{
	struct recorded_machine *machine = record_server("1.2");
	struct arrays arrays;

	(void)state;
	find(machine, "8:0", "8:16", &arrays);
	assert_int_equal(arrays.names.count, 1);
	assert_string_equal(arrays.names.items[0], "md0");
	assert_notes(&arrays.own[0]);
	assert_notes(&arrays.own[1]);
	arrays_deinit(&arrays);
	/* Half of it is enough; none is not. */
	find(machine, "8:32", "8:16", &arrays);
	assert_int_equal(arrays.names.count, 1);
	assert_int_equal(arrays.own[0].count, 0);
	assert_notes(&arrays.own[1]);
	arrays_deinit(&arrays);
	find(machine, "8:32", NULL, &arrays);
	assert_int_equal(arrays.names.count, 0);
	arrays_deinit(&arrays);
	recorded_destroy(machine);
}

/* Firmware's RAID: what lies beside a volume may be another one's. */
static void test_foreign_notes(void **state)
{
	struct recorded_machine *machine = record_server("external:/md127/0");
	struct arrays arrays;

	(void)state;
	find(machine, "8:0", "8:16", &arrays);
	assert_int_equal(arrays.names.count, 1);
	assert_int_equal(arrays.own[0].count, 0);
	assert_int_equal(arrays.own[1].count, 0);
	arrays_deinit(&arrays);
	recorded_destroy(machine);
}

/* A member that claims more than its partition has. */
static void test_nonsense(void **state)
{
	struct recorded_machine *machine = record_server("1.2");
	struct arrays arrays;

	(void)state;
	record(machine, ARRAY "/md/dev-sda1/size", "18014398509481984");
	record(machine, ARRAY "/md/dev-sdb1/offset", "36028797018963967");
	find(machine, "8:0", "8:16", &arrays);
	assert_int_equal(arrays.own[0].count, 0);
	assert_int_equal(arrays.own[1].count, 0);
	arrays_deinit(&arrays);
	recorded_destroy(machine);
}

static void test_rest(void **state)
{
	static const struct {
		const char *array_state, *delay;
		bool is_clean;
	} cases[] = {
		{"clean", "0.201", true},	 {"active", "0.201", false},
		{"active-idle", "0.201", false}, {"write-pending", "0.201", false},
		{"read-auto", "0.201", true},	 {"active", "0.000", true},
	};
	struct recorded_machine *machine = record_server("1.2");
	struct arrays arrays;

	(void)state;
	find(machine, "8:0", "8:16", &arrays);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		record(machine, ARRAY "/md/array_state", cases[i].array_state);
		record(machine, ARRAY "/md/safe_mode_delay", cases[i].delay);
		assert_int_equal(arrays_are_clean(machine->root, &arrays), cases[i].is_clean);
	}
	arrays_deinit(&arrays);
	recorded_destroy(machine);
}

static void test_rebuild(void **state)
{
	struct recorded_machine *machine = record_server("1.2");
	struct arrays arrays;

	(void)state;
	find(machine, "8:0", NULL, &arrays);
	must(arrays_check(machine->root, &arrays));
	record(machine, ARRAY "/md/sync_action", "check");
	must(arrays_check(machine->root, &arrays));
	record(machine, ARRAY "/md/sync_action", "recover");
	must_fail_with(arrays_check(machine->root, &arrays), "is being rebuilt");
	arrays_deinit(&arrays);
	recorded_destroy(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),	 cmocka_unit_test(test_foreign_notes),
		cmocka_unit_test(test_nonsense), cmocka_unit_test(test_rest),
		cmocka_unit_test(test_rebuild),
	};

	return cmocka_run_group_tests_name("arrays", tests, NULL, NULL);
}
