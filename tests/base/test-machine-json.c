/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "p2v/base/machine.h"
#include "p2v/base/mem.h"

static void fill_machine(struct machine *machine)
{
	struct machine_disk *disk = machine_add_disk(machine);
	struct machine_partition *partition = machine_disk_add_partition(disk);
	struct machine_nic *nic = machine_add_nic(machine);

	machine->name = xstrdup("web1");
	machine->firmware = FIRMWARE_UEFI;
	machine->secure_boot = -1;
	machine->processors = 4;
	machine->memory_bytes = 8ull << 30;
	machine->os = (struct machine_os){xstrdup("debian"), xstrdup("12"), xstrdup("Debian 12"),
					  xstrdup("x86_64"), xstrdup("web1")};
	disk->file = xstrdup("web1-disk1.vhdx");
	disk->size_bytes = 3ull << 40;
	disk->logical_sector_bytes = 512;
	disk->physical_sector_bytes = 4096;
	disk->table = xstrdup("gpt");
	partition->number = 3;
	partition->start_bytes = 1 << 20;
	partition->size_bytes = 5ull << 30;
	partition->content = xstrdup("ext4");
	nic->name = xstrdup("enp0s2");
	nic->mac = xstrdup("52:54:00:12:34:56");
	nic->mac_is_made_up = 1;
	strv_add(&nic->addresses, "192.0.2.7/24");
}

static void test_machine_round_trip(void **state)
{
	CLEANUP_MACHINE struct machine machine = {0};
	CLEANUP_MACHINE struct machine again = {0};
	CLEANUP_JSON json_t *json = NULL;
	CLEANUP_JSON json_t *json_again = NULL;

	(void)state;
	fill_machine(&machine);
	json = machine_to_json(&machine);
	assert_null(machine_from_json(json, &again));
	json_again = machine_to_json(&again);
	assert_true(json_equal(json, json_again));
	assert_string_equal(again.nics[0].addresses.items[0], "192.0.2.7/24");
	assert_int_equal(again.disks[0].partitions[0].number, 3);
	assert_int_equal(again.secure_boot, -1);
}

static void test_machine_refuses(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"p2v_machine\": 2}",
		"{\"p2v_machine\": \"1\"}",
		"{\"p2v_machine\": 1, \"disks\": [{\"size_bytes\": -1}]}",
		"{\"p2v_machine\": 1, \"disks\": [7]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		CLEANUP_JSON json_t *json = json_loads(bad[i], 0, NULL);
		CLEANUP_MACHINE struct machine machine = {0};
		CLEANUP_ERR struct err *err = machine_from_json(json, &machine);

		assert_non_null(err);
		assert_int_equal(err_kind(err), ERR_REFUSED);
	}
}

static void test_targets(void **state)
{
	unsigned targets = 0;
	struct err *err;

	(void)state;
	assert_null(targets_parse("hyperv,kvm", &targets));
	assert_int_equal(targets, TARGET_HYPERV | TARGET_KVM);
	assert_null(targets_parse("all", &targets));
	assert_int_equal(targets, TARGET_ALL);
	err = targets_parse("hyperv,azure", &targets);
	assert_int_equal(err_kind(err), ERR_USAGE);
	assert_non_null(strstr(err_message(err), "azure"));
	err_free(err);
	err = targets_parse(",", &targets);
	assert_int_equal(err_kind(err), ERR_USAGE);
	err_free(err);
}

static void test_json_files(void **state)
{
	char folder[] = "/tmp/p2v-test-json.XXXXXX";
	CLEANUP_FREE char *path = NULL;
	CLEANUP_JSON json_t *json = json_pack("{s:s, s:i}", "text", "x", "number", 7);
	CLEANUP_JSON json_t *again = NULL;
	const char *text;
	uint64_t number;
	struct err *err;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(folder));
	path = xasprintf("%s/a.json", folder);
	assert_null(json_write_file(path, json));
	assert_null(json_read_file(path, &again));
	assert_true(json_equal(json, again));
	assert_null(json_get_string(again, "text", &text));
	assert_string_equal(text, "x");
	assert_null(json_get_u64(again, "number", &number));
	assert_int_equal(number, 7);
	err = json_get_u64(again, "text", &number);
	assert_non_null(strstr(err_message(err), "'text'"));
	err_free(err);
	file = fopen(path, "w");
	fputs("{\n\"a\": }", file);
	fclose(file);
	json_t *broken = NULL;
	err = json_read_file(path, &broken);
	assert_int_equal(err_kind(err), ERR_REFUSED);
	assert_non_null(strstr(err_message(err), "line 2"));
	err_free(err);
	unlink(path);
	err = json_read_file(path, &broken);
	assert_int_equal(err_errno(err), ENOENT);
	err_free(err);
	assert_int_equal(rmdir(folder), 0);
}

static void test_strings(void **state)
{
	CLEANUP_STRV struct strv list = {0};
	CLEANUP_TEXT struct text text = {0};
	CLEANUP_FREE char *taken = NULL;

	(void)state;
	strv_split(&list, ",b,,a,", ",");
	assert_int_equal(list.count, 2);
	strv_sort(&list);
	strv_addf(&list, "%d", 5);
	assert_string_equal(list.items[0], "a");
	assert_string_equal(list.items[2], "5");
	assert_null(list.items[3]);
	assert_true(strv_has(&list, "b"));
	assert_false(strv_has(&list, "c"));
	text_addf(&text, "%s-%d", "x", 1);
	text_add(&text, "\0y", 2);
	assert_int_equal(text.bytes, 5);
	taken = text_take(&text);
	assert_memory_equal(taken, "x-1\0y", 6);
	assert_true(str_starts_with("abc", "ab"));
	assert_false(str_starts_with("a", "ab"));
	assert_true(str_ends_with("abc", "bc"));
	assert_false(str_ends_with("c", "bc"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machine_round_trip),
		cmocka_unit_test(test_machine_refuses),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_json_files),
		cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
